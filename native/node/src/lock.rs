use napi_derive::napi;
use rustix::fd::BorrowedFd;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

const LOCKED: i32 = 1;
const HELD: i32 = 0;
const UNAVAILABLE: i32 = -1;

/// flock(2) of an open file, without waiting: 1 locked, 0 another description has the lock, -1 there are no such locks here.
#[napi]
pub fn lock_file(fd: i32) -> i32 {
    if fd < 0 {
        return UNAVAILABLE;
    }
    // SAFETY: it is used during this call only, in which the caller keeps its file open; were it closed, the system says so.
    match flock(unsafe { BorrowedFd::borrow_raw(fd) }, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => LOCKED,
        Err(Errno::WOULDBLOCK) => HELD,
        Err(_) => UNAVAILABLE,
    }
}
