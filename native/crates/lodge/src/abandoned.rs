//! Stores that nobody will use again: whoever had them was killed, and what they take is memory until the machine restarts.

use crate::place::is_store_name;
use crate::process_file::{Peer, open_lock};
use crate::system;
use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether no process has a store under `base` attached, and nothing there was made, named or removed for `age`. False where there is
/// no store. A process that attaches changes the directory first, so that a store that is just being opened is never abandoned.
pub fn is_abandoned(base: &Path, age: Duration) -> bool {
    let Ok(found) = fs::read_dir(base) else { return false };
    let stores: Vec<DirEntry> =
        found.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_store_name)).collect();
    !stores.is_empty() && stores.iter().all(|store| is_old(&store.path(), age) && !is_attached(&store.path()))
}

/// What cannot be told is new.
fn is_old(dir: &Path, age: Duration) -> bool {
    let changed = fs::metadata(dir).and_then(|found| found.modified());
    changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|since| since >= age)
}

/// What cannot be looked at is in use.
fn is_attached(dir: &Path) -> bool {
    let Ok(found) = fs::read_dir(dir) else { return true };
    let mut processes = found.flatten().filter(|entry| entry.file_name().to_str().is_some_and(Peer::is_named));
    processes.any(|process| open_lock(&process.path()).map_or(true, |file| system::is_locked(&file)))
}
