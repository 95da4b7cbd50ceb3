//! The leases of this process by payload: one slot each, counted here and not where others see it (P-R1).

use std::collections::HashMap;

pub struct HeldPayload {
    pub slot: usize,
    pub references: u32,
    pub pins: u32,
    /// A reference reads through the mapping of the whole file.
    pub uses_whole: bool,
    pub length: u64,
}

pub struct Held {
    pub payloads: HashMap<u64, HeldPayload>,
    free: Vec<usize>,
    pub bytes: u64,
    bytes_max: u64,
}

/// Lends its lease for the time of a copy when no other slot is free.
pub const COPY_SLOT: usize = 0;

impl Held {
    pub fn new(slots: usize, bytes_max: u64) -> Self {
        Self { payloads: HashMap::new(), free: (COPY_SLOT + 1..slots).rev().collect(), bytes: 0, bytes_max }
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

    pub fn hold(&mut self, id: u64, slot: usize, length: u64, uses_whole: bool) {
        self.bytes += length;
        self.payloads.insert(id, HeldPayload { slot, references: 1, pins: 0, uses_whole, length });
    }

    /// Ends a reference. The slot, when it was the last.
    pub fn let_go(&mut self, id: u64, used_whole: bool) -> Option<usize> {
        let held = self.payloads.get_mut(&id)?;
        held.references -= 1;
        held.uses_whole &= !used_whole;
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
