//! The leases of this process by payload: one slot each, counted here and not where others see it (P-R1).

use std::collections::HashMap;

pub struct HeldPayload {
    pub slot: usize,
    pub references: u32,
    pub pins: u32,
    pub length: u64,
}

pub struct Held {
    pub payloads: HashMap<u64, HeldPayload>,
    free: Vec<usize>,
    pub bytes: u64,
    bytes_max: u64,
    /// References with a mapping of their own, of which a process can have so many only.
    alone: usize,
    alone_max: usize,
}

/// Lends its lease for the time of a copy when no other slot is free.
pub const COPY_SLOT: usize = 0;

/// A process has 65,530 mappings by default, and its engine needs some: without any it ends.
const ALONE_MAX: usize = 16_384;

impl Held {
    pub fn new(slots: usize, bytes_max: u64) -> Self {
        let free = (COPY_SLOT + 1..slots).rev().collect();
        Self { payloads: HashMap::new(), free, bytes: 0, bytes_max, alone: 0, alone_max: slots.min(ALONE_MAX) }
    }

    /// Room for one more mapping of its own.
    pub fn take_alone(&mut self) -> bool {
        let is_free = self.alone < self.alone_max;
        self.alone += usize::from(is_free);
        is_free
    }

    pub fn give_alone_back(&mut self) {
        self.alone -= 1;
    }

    /// A slot for one more payload; `None` when slots or bytes are used up.
    pub fn take(&mut self, length: u64) -> Option<usize> {
        if self.bytes.saturating_add(length) > self.bytes_max {
            return None;
        }
        self.free.pop()
    }

    pub fn give_back(&mut self, slot: usize) {
        self.free.push(slot);
    }

    pub fn hold(&mut self, id: u64, slot: usize, length: u64) {
        self.bytes += length;
        self.payloads.insert(id, HeldPayload { slot, references: 1, pins: 0, length });
    }

    /// Ends a reference, and the pins that it has. The slot, when it was the last.
    pub fn let_go(&mut self, id: u64, pins: u32) -> Option<usize> {
        let held = self.payloads.get_mut(&id)?;
        held.references -= 1;
        held.pins -= pins;
        if held.references > 0 {
            return None;
        }
        let held = self.payloads.remove(&id)?;
        self.bytes -= held.length;
        Some(held.slot)
    }

    pub fn references(&self) -> u32 {
        self.payloads.values().map(|held| held.references).sum()
    }
}
