//! Locks whose data a panic cannot leave half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a lock protects is whole at every point where a panic could be.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
