//! The state of a window node, with the changes since the last `seal`, which can be undone.

use crate::combined::Combined;
use crate::fold::{CellSpec, Fold, Input, Lane, Rows, Values};
use crate::windows::Windows;
use std::collections::HashSet;

/// What a caller asked for that does not fit together.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

/// Messages to accumulate.
pub struct Frame<'a> {
    /// Physical indices of the messages; `None`: all of `0 …`.
    pub at: Option<&'a [u32]>,
    /// Event time in ms by physical index; of the messages finite.
    pub times: &'a [f64],
    /// Key of each message, below `key_count`.
    pub keys: &'a [u32],
    pub key_count: u32,
    pub inputs: &'a [Input<'a>],
}

struct Touch {
    slot: u32,
    is_new: bool,
}

pub struct WindowGroups {
    size: f64,
    specs: Vec<CellSpec>,
    initial: Vec<f64>,
    windows: Windows,
    lowest: f64,
    /// By slot and cell.
    cells: Vec<f64>,
    key_of: Vec<u32>,
    start_of: Vec<f64>,
    /// Number of the draft that touched a slot last.
    touched_in: Vec<u64>,
    free: Vec<u32>,
    draft: u64,
    touched: Vec<Touch>,
    /// Cells of the touched groups that are not new, as they were.
    saved: Vec<f64>,
    /// Windows that ended in this draft.
    ended: Vec<usize>,
    /// Groups of the windows that have ended, by start, then first-seen key; those before `taken` are taken.
    due: Vec<u32>,
    taken: usize,
    /// Of them, those that were there before this draft.
    due_before: usize,
    /// Groups of the messages of one call.
    slots: Vec<u32>,
    /// Groups that `read` gives out.
    listed: Vec<u32>,
    /// What it gives out instead, where those that were listed last are no groups of their own.
    combined: Option<Combined>,
}

impl WindowGroups {
    /// `size`: length of a window in ms, > 0.
    pub fn new(size: f64, specs: Vec<CellSpec>) -> Result<Self, Refused> {
        if specs.is_empty() || size.is_nan() || size <= 0.0 {
            return Err(Refused("a window has a length above 0 and at least one cell"));
        }
        let initial = specs.iter().map(|spec| spec.fold.initial()).collect();
        Ok(Self {
            size,
            specs,
            initial,
            windows: Windows::default(),
            lowest: f64::INFINITY,
            cells: Vec::new(),
            key_of: Vec::new(),
            start_of: Vec::new(),
            touched_in: Vec::new(),
            free: Vec::new(),
            draft: 1,
            touched: Vec::new(),
            saved: Vec::new(),
            ended: Vec::new(),
            due: Vec::new(),
            taken: 0,
            due_before: 0,
            slots: Vec::new(),
            listed: Vec::new(),
            combined: None,
        })
    }

    /// Adds messages to their groups, on the draft.
    pub fn accumulate(&mut self, frame: &Frame<'_>) -> Result<(), Refused> {
        check(frame, &self.specs)?;
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        self.find_slots(frame, &mut slots);
        let width = self.specs.len();
        for (offset, spec) in self.specs.iter().enumerate() {
            let input = if spec.fold == Fold::Messages { None } else { Some(frame.inputs[spec.input]) };
            Lane { cells: &mut self.cells, width, offset }.add(spec.fold, &slots, Rows(frame.at), input);
        }
        self.slots = slots;
        Ok(())
    }

    fn find_slots(&mut self, frame: &Frame<'_>, slots: &mut Vec<u32>) {
        let rows = Rows(frame.at);
        let (mut start, mut end, mut window) = (f64::NAN, f64::NAN, 0);
        for (i, &key) in frame.keys.iter().enumerate() {
            let time = frame.times[rows.at(i)];
            // True for NaN too: there is no window yet.
            if !(time >= start && time < end) {
                start = (time / self.size).floor() * self.size;
                end = start + self.size;
                window = self.window_at(start);
            }
            let slot = match self.windows.get(window).slot(key) {
                Some(slot) => {
                    if self.touched_in[slot as usize] != self.draft {
                        self.save(slot);
                    }
                    slot
                }
                None => {
                    let slot = self.make(window, key, frame.key_count);
                    self.touched_in[slot as usize] = self.draft;
                    self.touched.push(Touch { slot, is_new: true });
                    slot
                }
            };
            slots.push(slot);
        }
    }

    /// Ends the windows that end at or before `limit`, on the draft: by start, then first-seen key. Answers how many groups are due.
    pub fn end(&mut self, limit: f64) -> usize {
        if self.lowest + self.size <= limit {
            for number in self.windows.sorted(|start| start + self.size <= limit) {
                self.windows.close(number);
                self.due.extend_from_slice(&self.windows.get(number).slots);
                self.ended.push(number);
            }
            self.lowest = self.windows.lowest();
        }
        self.due.len() - self.taken
    }

    /// Start of the first window with a group that is due; NaN when none is.
    pub fn first_due(&self) -> f64 {
        self.due.get(self.taken).map_or(f64::NAN, |&slot| self.start_of[slot as usize])
    }

    /// Takes the first groups that are due, at most `most`, on the draft, and lists them.
    pub fn take(&mut self, most: usize) -> usize {
        let from = self.taken;
        self.taken = self.due.len().min(from.saturating_add(most));
        self.list(|groups, listed| listed.extend_from_slice(&groups.due[from..groups.taken]))
    }

    /// Lists the groups changed in this draft that are not taken, in the order of their first change.
    pub fn changed(&mut self) -> usize {
        let taken: HashSet<u32> = self.due[..self.taken].iter().copied().collect();
        self.list(|groups, listed| {
            listed.extend(groups.touched.iter().map(|touch| touch.slot).filter(|slot| !taken.contains(slot)));
        })
    }

    /// Lists all groups that are not taken, by window start, then first-seen key.
    pub fn all(&mut self) -> usize {
        self.list(|groups, listed| {
            listed.extend_from_slice(&groups.due[groups.taken..]);
            for number in groups.windows.sorted(|_| true) {
                listed.extend_from_slice(&groups.windows.get(number).slots);
            }
        })
    }

    /// Start of the first window at or after `from` that has a group and has not ended; NaN when there is none.
    pub fn next_start(&self, from: f64) -> f64 {
        self.windows.next_start(from).unwrap_or(f64::NAN)
    }

    /// Lists one group per key of the windows that have not ended and start in `[from, to)`: by the first window that has the
    /// key, then as that one lists it.
    pub fn combine(&mut self, from: f64, to: f64) -> usize {
        let windows = self.windows.sorted(|start| start >= from && start < to);
        let slots: Vec<u32> = windows.iter().flat_map(|&number| &self.windows.get(number).slots).copied().collect();
        let combined = Combined::of(from, &slots, &self.key_of, &self.cells, &self.specs);
        let n = combined.keys.len();
        self.combined = Some(combined);
        n
    }

    fn list(&mut self, slots: impl FnOnce(&mut Self, &mut Vec<u32>)) -> usize {
        let mut listed = std::mem::take(&mut self.listed);
        listed.clear();
        slots(self, &mut listed);
        self.combined = None;
        self.listed = listed;
        self.listed.len()
    }

    /// Writes out the groups that were listed last: cells one kind after the other.
    pub fn read(&self, starts: &mut [f64], keys: &mut [u32], cells: &mut [f64]) -> Result<(), Refused> {
        let n = self.combined.as_ref().map_or(self.listed.len(), |combined| combined.keys.len());
        let width = self.specs.len();
        if starts.len() != n || keys.len() != n || cells.len() != n * width {
            return Err(Refused("there is room for another number of groups than were listed"));
        }
        if let Some(combined) = &self.combined {
            starts.fill(combined.start);
            keys.copy_from_slice(&combined.keys);
            cells.copy_from_slice(&combined.cells);
            return Ok(());
        }
        for (i, &slot) in self.listed.iter().enumerate() {
            let slot = slot as usize;
            starts[i] = self.start_of[slot];
            keys[i] = self.key_of[slot];
            for c in 0..width {
                cells[c * n + i] = self.cells[slot * width + c];
            }
        }
        Ok(())
    }

    pub fn seal(&mut self) {
        for number in std::mem::take(&mut self.ended) {
            self.windows.give_back(number, &self.key_of);
        }
        self.free.extend(self.due.drain(..self.taken));
        self.taken = 0;
        self.due_before = self.due.len();
        self.end_draft();
    }

    pub fn discard(&mut self) {
        for number in std::mem::take(&mut self.ended) {
            self.windows.reopen(number);
        }
        self.due.truncate(self.due_before);
        self.taken = 0;
        let width = self.specs.len();
        for Touch { slot, is_new } in std::mem::take(&mut self.touched).into_iter().rev() {
            if is_new {
                self.unmake(slot);
            } else {
                let from = self.saved.len() - width;
                let to = slot as usize * width;
                self.cells[to..to + width].copy_from_slice(&self.saved[from..]);
                self.saved.truncate(from);
            }
        }
        self.lowest = self.windows.lowest();
        self.end_draft();
    }

    /// Overwrites groups, made if they are new: cells one kind after the other. Not part of a draft.
    pub fn write(&mut self, starts: &[f64], keys: &[u32], key_count: u32, cells: &[f64]) -> Result<(), Refused> {
        let n = starts.len();
        let width = self.specs.len();
        if keys.len() != n || cells.len() != n * width || keys.iter().any(|&key| key >= key_count) {
            return Err(Refused("every group has a start, a key and its cells"));
        }
        for i in 0..n {
            let window = self.window_at(starts[i]);
            let known = self.windows.get(window).slot(keys[i]);
            let slot = known.unwrap_or_else(|| self.make(window, keys[i], key_count)) as usize;
            for c in 0..width {
                self.cells[slot * width + c] = cells[c * n + i];
            }
        }
        Ok(())
    }

    /// Number of groups, those taken in this draft included.
    pub fn len(&self) -> usize {
        self.key_of.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the keys new numbers: `numbers[old]` is the new one. Not within a draft.
    pub fn renumber(&mut self, numbers: &[u32]) -> Result<(), Refused> {
        let open = self.windows.sorted(|_| true);
        let slots = self.due.iter().chain(open.iter().flat_map(|&number| &self.windows.get(number).slots));
        for &slot in slots {
            let key = &mut self.key_of[slot as usize];
            *key = *numbers.get(*key as usize).ok_or(Refused("every key of a group has a new number"))?;
        }
        for number in open {
            self.windows.get_mut(number).reindex(&self.key_of);
        }
        Ok(())
    }

    fn window_at(&mut self, start: f64) -> usize {
        self.lowest = self.lowest.min(start);
        self.windows.at(start)
    }

    fn make(&mut self, window: usize, key: u32, keys: u32) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.cells.resize(self.cells.len() + self.specs.len(), 0.0);
            self.key_of.push(0);
            self.start_of.push(0.0);
            self.touched_in.push(0);
            (self.key_of.len() - 1) as u32
        });
        let at = slot as usize;
        self.key_of[at] = key;
        self.start_of[at] = self.windows.get(window).start;
        let width = self.specs.len();
        self.cells[at * width..(at + 1) * width].copy_from_slice(&self.initial);
        self.windows.get_mut(window).add(key, slot, keys);
        slot
    }

    /// Takes back the newest group of its window.
    fn unmake(&mut self, slot: u32) {
        let start = self.start_of[slot as usize];
        let Some(number) = self.windows.number(start) else { return };
        let window = self.windows.get_mut(number);
        debug_assert_eq!(window.slots.last(), Some(&slot));
        window.forget(self.key_of[slot as usize]);
        if window.slots.is_empty() {
            self.windows.close(number);
            self.windows.give_back(number, &self.key_of);
        }
        self.free.push(slot);
    }

    fn save(&mut self, slot: u32) {
        let at = slot as usize;
        let width = self.specs.len();
        self.touched_in[at] = self.draft;
        self.touched.push(Touch { slot, is_new: false });
        self.saved.extend_from_slice(&self.cells[at * width..(at + 1) * width]);
    }

    fn end_draft(&mut self) {
        self.draft += 1;
        self.touched.clear();
        self.saved.clear();
    }
}

/// From here on nothing can fail: a frame is accumulated whole or not at all.
fn check(frame: &Frame<'_>, specs: &[CellSpec]) -> Result<(), Refused> {
    let n = frame.keys.len();
    let rows = match frame.at {
        None => n,
        Some(at) if at.len() != n => return Err(Refused("every message has an index and a key")),
        Some(at) => at.iter().max().map_or(0, |&last| last as usize + 1),
    };
    if frame.times.len() < rows || frame.keys.iter().max().is_some_and(|&last| last >= frame.key_count) {
        return Err(Refused("every message has a time and one of the keys"));
    }
    for spec in specs.iter().filter(|spec| spec.fold != Fold::Messages) {
        let input = frame.inputs.get(spec.input).ok_or(Refused("every cell reads an input"))?;
        let values = match input.values {
            Values::Doubles(values) => values.len(),
            Values::Ints(values) => values.len(),
        };
        if input.nulls.is_some_and(|nulls| nulls.len() < rows) || (spec.fold != Fold::Nulls && values < rows) {
            return Err(Refused("every message has a cell in the columns that are read"));
        }
    }
    Ok(())
}
