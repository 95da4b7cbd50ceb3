//! Calls of the operating system.

use crate::Error;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

fn answered(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Nanoseconds of `CLOCK_MONOTONIC`: one clock for all processes of a machine (P-R4 never relies on it alone).
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

pub fn wall_ms() -> u64 {
    clock_ns(libc::CLOCK_REALTIME) / 1_000_000
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Takes room on the file system for the first `bytes` of a file, so that touching them through a mapping cannot fail.
pub fn allocate(file: BorrowedFd, bytes: u64) -> io::Result<()> {
    // SAFETY: a plain call.
    answered(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) })
}

/// Gives the pages of a range back; readers then see zeros there.
pub fn punch(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: a plain call.
    answered(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as libc::off_t, bytes as libc::off_t) })
}

fn byte_zero(kind: libc::c_int) -> libc::flock {
    // SAFETY: all-zero is a valid flock.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_len = 1;
    lock
}

/// Takes the exclusive lock of the open file description on byte 0. False when another has it.
pub fn lock_for_life(file: &File) -> io::Result<bool> {
    let lock = byte_zero(libc::F_WRLCK);
    // SAFETY: `lock` is whole.
    match answered(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) }) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody else holds the lock on byte 0. In doubt somebody does.
pub fn is_locked(file: &File) -> bool {
    let mut lock = byte_zero(libc::F_WRLCK);
    // SAFETY: `lock` is whole; the answer comes in it.
    let asked = answered(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) });
    asked.is_err() || lock.l_type != libc::F_UNLCK as libc::c_short
}

/// A mapping of a file, unmapped when dropped. A forked child does not have it (P-R11).
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; users of the bytes see to their own order.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// Who sees what is written to a mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Everybody.
    Shared,
    /// Only this mapping: the page is copied at the first write.
    Private,
    /// Nothing can be written: the bytes are the file's.
    Refused,
}

impl Mapping {
    /// The range need not lie within the file; only what does may be touched.
    pub fn of(file: BorrowedFd, offset: u64, bytes: usize, writes: Writes) -> Result<Self, Error> {
        Self::placed(ptr::null_mut(), 0, Some(file), offset, bytes, writes)
    }

    fn placed(
        at: *mut libc::c_void,
        flags: libc::c_int,
        file: Option<BorrowedFd>,
        offset: u64,
        bytes: usize,
        writes: Writes,
    ) -> Result<Self, Error> {
        let sharing =
            if writes == Writes::Private { libc::MAP_PRIVATE | libc::MAP_NORESERVE } else { libc::MAP_SHARED };
        let (fd, kind) = file.map_or((-1, libc::MAP_ANONYMOUS), |file| (file.as_raw_fd(), 0));
        let access = if writes == Writes::Refused { libc::PROT_READ } else { libc::PROT_READ | libc::PROT_WRITE };
        // SAFETY: a null address maps where nothing is; `replace` vouches for another one.
        let start = unsafe { libc::mmap(at, bytes, access, sharing | kind | flags, fd, offset as libc::off_t) };
        if start == libc::MAP_FAILED {
            return Err(Error::io("mmap")(io::Error::last_os_error()));
        }
        // SAFETY: the range was just mapped.
        unsafe { libc::madvise(start, bytes, libc::MADV_DONTFORK) };
        let start = NonNull::new(start.cast()).ok_or_else(|| Error::Unsupported("mmap gave no address".into()))?;
        Ok(Self { start, bytes })
    }

    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what was written to whole pages of a private mapping: they are the file's again.
    pub fn reset(&self, offset: usize, bytes: usize) {
        debug_assert!(offset + bytes <= self.bytes);
        // SAFETY: within the mapping.
        unsafe { libc::madvise(self.start.as_ptr().add(offset).cast(), bytes, libc::MADV_DONTNEED) };
    }

    /// Puts zeros of its own, or with `file` the private view of the file, in place of whole pages of the mapping.
    pub fn replace(&self, offset: usize, bytes: usize, file: Option<BorrowedFd>) -> Result<(), Error> {
        debug_assert!(offset + bytes <= self.bytes);
        // SAFETY: within the mapping, so that nothing else is replaced.
        let at = unsafe { self.start.as_ptr().add(offset) };
        let part = Self::placed(at.cast(), libc::MAP_FIXED, file, offset as u64, bytes, Writes::Private)?;
        // The range belongs to `self`, which unmaps it.
        std::mem::forget(part);
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: whoever holds a pointer into the mapping holds the mapping too.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Kills a process that was identified beyond doubt: `is_it` is asked after the process is held by descriptor.
pub fn kill(pid: u32, is_it: impl FnOnce() -> bool) {
    // SAFETY: plain calls.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) as libc::c_int;
        if fd < 0 {
            return;
        }
        let process = OwnedFd::from_raw_fd(fd);
        if is_it() {
            let no_info = ptr::null::<libc::siginfo_t>();
            libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), libc::SIGKILL, no_info, 0);
        }
    }
}

/// Start of a process in clock ticks since boot, which tells it from a later one with its number.
pub fn start_time(process: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Fields are counted behind the name, which may hold spaces.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

pub fn boot_id() -> Result<String, Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    Ok(text.trim().replace('-', ""))
}

/// The time namespace: in another one the clock is shifted. 0 where the kernel has none.
pub fn time_namespace() -> u64 {
    namespace("time")
}

/// The namespace of process numbers. 0 where the kernel does not say.
pub fn pid_namespace() -> u64 {
    namespace("pid")
}

fn namespace(kind: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |found| found.ino())
}

pub fn random_u128() -> Result<u128, Error> {
    let mut bytes = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 16 { Ok(u128::from_le_bytes(bytes)) } else { Err(Error::io("getrandom")(io::Error::last_os_error())) }
}
