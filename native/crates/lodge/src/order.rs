//! The order of writes and looks that a reader and an owner meet in (P-R2, P-R3): each writes its word, fences, and only then looks at
//! the word of the other, so that one of them at least sees what the other wrote. A release and an acquire would let both miss it.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Of a reader: its slot says what it is about to look for.
pub fn publish(slot: &AtomicU64, word: u64) {
    slot.store(word, Ordering::Release);
    fence(Ordering::SeqCst);
}

/// Of an owner: these entries say that they are about to be freed.
pub fn condemn<'a>(entries: impl Iterator<Item = (&'a AtomicU64, u64)>) {
    for (entry, word) in entries {
        entry.store(word, Ordering::Release);
    }
    fence(Ordering::SeqCst);
}
