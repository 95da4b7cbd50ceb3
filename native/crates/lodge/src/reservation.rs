//! A payload that is written in place, outside any transaction: nobody sees it until it is published, and nobody but its
//! writer can free it while the writer lives (P-R9).

use crate::checksum::checksum;
use crate::env_view::pages_of;
use crate::layout::{HEADER_BYTES, RecordHeader, Token, VALUE_IN_PAGE};
use crate::lock::locked;
use crate::owned_env::Placed;
use crate::shared::Shared;
use crate::system::{self, Mapping};
use std::ptr::{self, NonNull};
use std::sync::Arc;

pub struct Reservation {
    shared: Arc<Shared>,
    placed: Placed,
    memory: Arc<Mapping>,
    done: bool,
}

impl Reservation {
    pub(crate) fn new(shared: Arc<Shared>, placed: Placed, memory: Arc<Mapping>) -> Self {
        Self { shared, placed, memory, done: false }
    }

    /// Where the payload is to be written, while this is kept: whoever can still write has to keep it, or others get the pages. What is
    /// written after `publish` would be seen by readers, so nobody may be able to.
    pub fn bytes(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.at(HEADER_BYTES), self.placed.length as usize)
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        let pages = pages_of(self.placed.offset, self.placed.length);
        debug_assert!(pages.end as usize <= self.memory.bytes());
        // SAFETY: the record lies within the mapping.
        unsafe { self.memory.start().add(pages.start as usize + VALUE_IN_PAGE + offset) }
    }

    /// Seals the payload and makes it visible. `None` when the store was closed meanwhile.
    pub fn publish(mut self) -> Option<Token> {
        // SAFETY: the writer is done, and nobody else has the pages.
        let payload = unsafe { self.bytes().as_ref() };
        let Placed { id, length, format, .. } = self.placed;
        self.placed.xxh3 = checksum(payload);
        let xxh3 = self.placed.xxh3;
        let header = RecordHeader { format, id, length, xxh3, schema: 0, created_ms: system::wall_ms() }.encode();
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(header.as_ptr(), self.at(0).as_ptr(), HEADER_BYTES) };
        self.done = locked(&self.shared.own).publish(&self.placed);
        self.done.then(|| self.placed.token(self.shared.id))
    }
}

impl Drop for Reservation {
    /// Given up.
    fn drop(&mut self) {
        if !self.done {
            let mut own = locked(&self.shared.own);
            own.discard(self.placed.id, self.placed.entry, &mut locked(&self.shared.peers), &self.shared.faults);
        }
    }
}
