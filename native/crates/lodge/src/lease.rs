//! A reference of this process to a payload: bytes that are the payload's for as long as `is_valid` says so.

use crate::Error;
use crate::env_view::EnvView;
use crate::fault::{Point, Rule};
use crate::layout::{
    FREE, HEADER_BYTES, HELD, MAGIC, PAGE_BYTES, PINNED, REVOKED, Token, VALUE_IN_PAGE, env_of, id_of, state_of, word,
};
use crate::lock::locked;
use crate::shared::Shared;
use crate::system::Mapping;
use std::ops::Range;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex};

/// Where the payload starts in the first of its pages.
const PAYLOAD_IN_PAGE: usize = VALUE_IN_PAGE + HEADER_BYTES;

/// What a reference reads.
pub(crate) enum Memory {
    /// A range of the private mapping of the whole file, which this reference claims.
    Whole(Arc<EnvView>, Range<u64>),
    /// A private mapping of these pages alone, so that references of one process do not see each other's writes.
    Alone(Mapping),
    /// A copy, where no slot was left.
    Copied(Box<[u8]>),
}

pub struct Lease {
    pub(crate) shared: Arc<Shared>,
    pub(crate) token: Token,
    pub(crate) slot: usize,
    pub(crate) memory: Memory,
    released: AtomicBool,
    /// Of this reference; they end with it.
    pins: AtomicU32,
    /// Set when the owner of the bytes could not give them up at release.
    escaped: Mutex<bool>,
}

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>, token: Token, slot: usize, memory: Memory) -> Self {
        let (released, escaped) = (AtomicBool::new(false), Mutex::new(false));
        Self { shared, token, slot, memory, released, pins: AtomicU32::new(0), escaped }
    }

    pub fn token(&self) -> Token {
        self.token
    }

    /// The payload. It stays mapped while the lease exists, released or not; what is written to it nobody else sees.
    pub fn bytes(&self) -> NonNull<[u8]> {
        let start = match &self.memory {
            Memory::Whole(view, pages) => {
                // SAFETY: `acquire` found the range within the mapping.
                unsafe { view.whole().start().add(pages.start as usize + PAYLOAD_IN_PAGE) }
            }
            // SAFETY: the mapping covers header and payload.
            Memory::Alone(mapping) => unsafe { mapping.start().add(PAYLOAD_IN_PAGE) },
            Memory::Copied(bytes) => NonNull::from(&bytes[..]).cast(),
        };
        NonNull::slice_from_raw_parts(start, self.token.length as usize)
    }

    /// The file that the payload is read in, when it is mapped whole, and the offset of its first byte there.
    pub fn in_whole(&self) -> Option<(&Arc<EnvView>, u64)> {
        match &self.memory {
            Memory::Whole(view, pages) => Some((view, pages.start + PAYLOAD_IN_PAGE as u64)),
            Memory::Alone(_) | Memory::Copied(_) => None,
        }
    }

    /// Number of that file's environment, which no other ever has.
    pub fn env_number(&self) -> u64 {
        env_of(self.token.id)
    }

    /// Whether every byte read so far was this payload's (P-R5): asked after the last use, before anything is passed on.
    pub fn is_valid(&self) -> bool {
        if self.released.load(Ordering::Relaxed) || self.shared.is_closed() {
            return false;
        }
        self.holds()
    }

    fn holds(&self) -> bool {
        if matches!(self.memory, Memory::Copied(_)) {
            return true;
        }
        if !self.shared.faults.holds(Rule::ValidateBySlot) {
            // SAFETY: the header stands before the payload, within the same mapping.
            let header = unsafe { self.bytes().cast::<u8>().sub(HEADER_BYTES).cast::<[u8; 16]>().read_volatile() };
            return header[..4] == *MAGIC && header[8..16] == self.token.id.to_le_bytes();
        }
        // Reads of the bytes are ordered before this load.
        fence(Ordering::Acquire);
        let seen = self.shared.slot(self.slot).word.load(Ordering::Relaxed);
        id_of(seen) == self.token.id && matches!(state_of(seen), HELD | PINNED)
    }

    /// File and offset of the payload, for a process that maps it by itself while this lease is pinned (P-R8). `None` for a
    /// copy, which is in no file.
    pub fn place(&self) -> Result<Option<(PathBuf, u64)>, Error> {
        if matches!(self.memory, Memory::Copied(_)) { Ok(None) } else { self.shared.place(&self.token) }
    }

    /// Makes the bytes safe for code that checks first and uses then: they cannot be taken away until `unpin` (P-R8). False
    /// when they are lost already; true also proves all reads so far.
    pub fn pin(&self) -> bool {
        if self.released.load(Ordering::Relaxed) {
            return false;
        }
        let shared = &self.shared;
        if matches!(self.memory, Memory::Copied(_)) {
            return true;
        }
        let mut held = locked(&shared.held);
        let Some(of_payload) = held.payloads.get_mut(&self.token.id) else { return false };
        let slot = &shared.slot(of_payload.slot).word;
        let (from, to) = (word(self.token.id, HELD), word(self.token.id, PINNED));
        if of_payload.pins == 0 && slot.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        of_payload.pins += 1;
        self.pins.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Ends a pin of this reference; nothing where it has none.
    pub fn unpin(&self) {
        let shared = &self.shared;
        let mut held = locked(&shared.held);
        if self.pins.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.pins.fetch_sub(1, Ordering::Relaxed);
        let Some(of_payload) = held.payloads.get_mut(&self.token.id) else { return };
        of_payload.pins -= 1;
        if of_payload.pins == 0 {
            self.unpin_slot();
        }
    }

    /// With the last pin of all references.
    fn unpin_slot(&self) {
        let shared = &self.shared;
        let slot = shared.slot(self.slot);
        let deadline = shared.faults.now_ns() + shared.terms.lease.as_nanos() as u64;
        slot.deadline_ns.store(deadline, Ordering::Relaxed);
        let (from, to) = (word(self.token.id, PINNED), word(self.token.id, HELD));
        let _ = slot.word.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed);
    }

    /// Ends the lease and answers as `is_valid` did; a second call answers false. `escaped` says that somebody may still read
    /// the bytes: they become zeros for him.
    pub fn release(&self, escaped: bool) -> bool {
        if self.released.swap(true, Ordering::Relaxed) {
            return false;
        }
        self.withdraw(escaped);
        self.shared.faults.reach(Point::ReleaseDetached);
        let held = self.give_back() && !self.shared.is_closed();
        self.shared.faults.reach(Point::ReleaseDone);
        held
    }

    /// Ends this reference, and the slot's lease with the last one. Whether the payload was held to the end.
    fn give_back(&self) -> bool {
        if matches!(self.memory, Memory::Copied(_)) {
            return true;
        }
        let shared = &self.shared;
        let mut held = locked(&shared.held);
        let slot = &shared.slot(self.slot).word;
        let seen = slot.load(Ordering::Acquire);
        let valid = seen == word(self.token.id, HELD) || seen == word(self.token.id, PINNED);
        let pins = self.pins.swap(0, Ordering::Relaxed);
        let Some(index) = held.let_go(self.token.id, pins) else {
            if pins > 0 && held.payloads.get(&self.token.id).is_some_and(|of_payload| of_payload.pins == 0) {
                self.unpin_slot();
            }
            return valid;
        };
        let ended = slot.compare_exchange(seen, FREE, Ordering::AcqRel, Ordering::Relaxed);
        if ended.is_err() {
            debug_assert_eq!(slot.load(Ordering::Relaxed), word(self.token.id, REVOKED));
            slot.store(FREE, Ordering::Release);
        }
        shared.faults.reach(Point::ReleaseFreed);
        held.give_back(index);
        shared.process.bytes_held().store(held.bytes, Ordering::Relaxed);
        drop(held);
        shared.free_own(self.token.id);
        valid && ended.is_ok()
    }

    /// Nothing that was written to the bytes stays behind.
    fn withdraw(&self, escaped: bool) {
        let replaced = match &self.memory {
            Memory::Whole(view, pages) if escaped => view.replace(pages),
            Memory::Whole(view, pages) => {
                view.reset(pages);
                view.give_up(pages);
                Ok(())
            }
            Memory::Alone(mapping) if escaped => mapping.replace(0, mapping.bytes(), None),
            Memory::Alone(_) | Memory::Copied(_) => Ok(()),
        };
        debug_assert!(replaced.is_ok(), "a mapping of zeros in place of another takes no memory");
        *locked(&self.escaped) = escaped;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release(false);
        match &self.memory {
            Memory::Whole(view, pages) if *locked(&self.escaped) => view.restore(pages),
            Memory::Alone(_) => locked(&self.shared.held).give_alone_back(),
            _ => {}
        }
    }
}

const _: () = assert!(PAYLOAD_IN_PAGE == 64 && PAGE_BYTES.is_multiple_of(64));
