//! The windows that are open, by start, and the groups of each.

use std::collections::HashMap;

/// A window without groups is one that is not there.
pub(crate) struct Window {
    pub start: f64,
    /// Groups in first-seen order of their keys.
    pub slots: Vec<u32>,
    /// Slot + 1 by key; 0 and beyond the end where there is none.
    by_key: Vec<u32>,
}

impl Window {
    pub(crate) fn slot(&self, key: u32) -> Option<u32> {
        self.by_key.get(key as usize).and_then(|&slot| slot.checked_sub(1))
    }

    pub(crate) fn add(&mut self, key: u32, slot: u32, keys: u32) {
        let key = key as usize;
        if key >= self.by_key.len() {
            // Room for keys still to come, so that it is rarely grown.
            let room = (keys + keys / 2) as usize;
            self.by_key.resize(room.max(64).max(key + 1), 0);
        }
        self.by_key[key] = slot + 1;
        self.slots.push(slot);
    }

    pub(crate) fn forget(&mut self, key: u32) {
        self.by_key[key as usize] = 0;
        self.slots.pop();
    }

    pub(crate) fn reindex(&mut self, key_of: &[u32]) {
        self.by_key.clear();
        let last = self.slots.iter().map(|&slot| key_of[slot as usize] as usize).max().unwrap_or(0);
        self.by_key.resize(last + 1, 0);
        for &slot in &self.slots {
            self.by_key[key_of[slot as usize] as usize] = slot + 1;
        }
    }
}

#[derive(Default)]
pub(crate) struct Windows {
    /// By the bits of their start.
    numbers: HashMap<u64, usize>,
    windows: Vec<Window>,
    free: Vec<usize>,
}

/// -0 and 0 are one start.
fn bits(start: f64) -> u64 {
    (start + 0.0).to_bits()
}

impl Windows {
    pub(crate) fn number(&self, start: f64) -> Option<usize> {
        self.numbers.get(&bits(start)).copied()
    }

    pub(crate) fn at(&mut self, start: f64) -> usize {
        if let Some(number) = self.number(start) {
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.windows.push(Window { start, slots: Vec::new(), by_key: Vec::new() });
            self.windows.len() - 1
        });
        self.windows[number].start = start;
        self.numbers.insert(bits(start), number);
        number
    }

    pub(crate) fn get(&self, number: usize) -> &Window {
        &self.windows[number]
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> &mut Window {
        &mut self.windows[number]
    }

    /// The window is no longer found by its start; its groups stay until it is given back or reopened.
    pub(crate) fn close(&mut self, number: usize) {
        self.numbers.remove(&bits(self.windows[number].start));
    }

    pub(crate) fn reopen(&mut self, number: usize) {
        self.numbers.insert(bits(self.windows[number].start), number);
    }

    /// Its room is used again.
    pub(crate) fn give_back(&mut self, number: usize, key_of: &[u32]) {
        let window = &mut self.windows[number];
        for &slot in &window.slots {
            window.by_key[key_of[slot as usize] as usize] = 0;
        }
        window.slots.clear();
        self.free.push(number);
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.numbers.values().map(|&number| self.windows[number].start).fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn next_start(&self, from: f64) -> Option<f64> {
        let starts = self.numbers.values().map(|&number| self.windows[number].start);
        starts.filter(|&start| start >= from).min_by(f64::total_cmp)
    }

    /// Those for which `is_wanted`, by start.
    pub(crate) fn sorted(&self, is_wanted: impl Fn(f64) -> bool) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.numbers.values().copied().filter(|&number| is_wanted(self.windows[number].start)).collect();
        found.sort_by(|&a, &b| self.windows[a].start.total_cmp(&self.windows[b].start));
        found
    }
}
