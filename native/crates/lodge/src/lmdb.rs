//! The few functions of LMDB that the owner of an environment needs, and nothing that reads through LMDB (P-R12).

use crate::Error;
use libc::{c_char, c_int, c_uint, c_void, mode_t, size_t};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{ptr, slice};

#[repr(C)]
pub(crate) struct MdbEnv([u8; 0]);
#[repr(C)]
pub(crate) struct MdbTxn([u8; 0]);

#[repr(C)]
struct MdbVal {
    size: size_t,
    data: *mut c_void,
}

unsafe extern "C" {
    fn mdb_strerror(error: c_int) -> *const c_char;
    pub(crate) fn mdb_env_create(env: *mut *mut MdbEnv) -> c_int;
    pub(crate) fn mdb_env_open(env: *mut MdbEnv, path: *const c_char, flags: c_uint, mode: mode_t) -> c_int;
    fn mdb_env_close(env: *mut MdbEnv);
    fn mdb_env_get_fd(env: *mut MdbEnv, fd: *mut RawFd) -> c_int;
    fn mdb_env_set_mapsize(env: *mut MdbEnv, size: size_t) -> c_int;
    fn mdb_env_set_maxreaders(env: *mut MdbEnv, readers: c_uint) -> c_int;
    fn mdb_reader_check(env: *mut MdbEnv, dead: *mut c_int) -> c_int;
    pub(crate) fn mdb_txn_begin(env: *mut MdbEnv, parent: *mut MdbTxn, flags: c_uint, txn: *mut *mut MdbTxn) -> c_int;
    fn mdb_txn_commit(txn: *mut MdbTxn) -> c_int;
    pub(crate) fn mdb_txn_abort(txn: *mut MdbTxn);
    fn mdb_dbi_open(txn: *mut MdbTxn, name: *const c_char, flags: c_uint, dbi: *mut c_uint) -> c_int;
    fn mdb_put(txn: *mut MdbTxn, dbi: c_uint, key: *mut MdbVal, value: *mut MdbVal, flags: c_uint) -> c_int;
    fn mdb_del(txn: *mut MdbTxn, dbi: c_uint, key: *mut MdbVal, value: *mut MdbVal) -> c_int;
}

const NO_OVERWRITE: c_uint = 0x10;
const RESERVE: c_uint = 0x1_0000;
pub(crate) const NO_SUBDIR: c_uint = 0x4000;
const NO_SYNC: c_uint = 0x1_0000;
const NO_META_SYNC: c_uint = 0x4_0000;
const WRITE_MAP: c_uint = 0x8_0000;
pub(crate) const NO_TLS: c_uint = 0x20_0000;
const NO_READ_AHEAD: c_uint = 0x80_0000;
const NO_MEM_INIT: c_uint = 0x100_0000;
const FLAGS: c_uint = NO_SUBDIR | NO_SYNC | NO_META_SYNC | WRITE_MAP | NO_TLS | NO_READ_AHEAD | NO_MEM_INIT;

const MAP_FULL: c_int = -30792;
const TXN_FULL: c_int = -30788;
const NOT_FOUND: c_int = -30798;

/// For tools; we take no reader slots.
pub const READERS_MAX: u32 = 1024;
/// Room for the table of LMDB's lock file, which is mapped and must not be sparse.
pub const LOCK_FILE_BYTES: u64 = 256 * 1024;

fn checked(what: &'static str, code: c_int) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        MAP_FULL | TXN_FULL | libc::ENOSPC => Err(Error::Full),
        _ => {
            // SAFETY: LMDB returns a constant string, or strerror's.
            let text = unsafe { CStr::from_ptr(mdb_strerror(code)) }.to_string_lossy().into_owned();
            Err(Error::Lmdb { what, text })
        }
    }
}

/// An environment of this process. One thread at a time uses it.
pub struct Lmdb {
    env: *mut MdbEnv,
    dbi: c_uint,
}

// SAFETY: LMDB ties a write transaction to its thread, an environment to its process; every transaction here begins and
// ends within one call.
unsafe impl Send for Lmdb {}

impl Lmdb {
    /// Makes an environment that is one file at `path`, mapped at `map_bytes`. The file must not exist; it is sparse until
    /// the caller allocates it, which has to be before the first transaction.
    pub fn create(path: &Path, map_bytes: usize) -> Result<Self, Error> {
        let name =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Unsupported("a NUL in a path".into()))?;
        let mut env = ptr::null_mut();
        // SAFETY: plain calls with valid pointers; on failure the half-open environment is closed by `Drop`.
        unsafe {
            checked("mdb_env_create", mdb_env_create(&mut env))?;
            let lmdb = Self { env, dbi: 0 };
            checked("mdb_env_set_mapsize", mdb_env_set_mapsize(env, map_bytes))?;
            checked("mdb_env_set_maxreaders", mdb_env_set_maxreaders(env, READERS_MAX))?;
            checked("mdb_env_open", mdb_env_open(env, name.as_ptr(), FLAGS, 0o600))?;
            Ok(lmdb)
        }
    }

    /// Opens the one database of the environment.
    pub fn open_database(&mut self) -> Result<(), Error> {
        let mut dbi = 0;
        self.write(|txn| {
            // SAFETY: a null name is the unnamed database.
            checked("mdb_dbi_open", unsafe { mdb_dbi_open(txn.0, ptr::null(), 0, &mut dbi) })
        })?;
        self.dbi = dbi;
        Ok(())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        let mut fd = -1;
        // SAFETY: an open environment has a descriptor, which lives as long.
        unsafe {
            mdb_env_get_fd(self.env, &mut fd);
            BorrowedFd::borrow_raw(fd)
        }
    }

    /// Maps anew at `bytes`, which are allocated. No transaction may be open, which the borrow proves.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Error> {
        // SAFETY: nothing points into the old mapping.
        checked("mdb_env_set_mapsize", unsafe { mdb_env_set_mapsize(self.env, bytes) })
    }

    /// Runs `body` in a write transaction, which is committed when it succeeds.
    pub fn write<T>(&mut self, body: impl FnOnce(&mut Write) -> Result<T, Error>) -> Result<T, Error> {
        let mut txn = ptr::null_mut();
        // SAFETY: the transaction ends below, on this thread.
        checked("mdb_txn_begin", unsafe { mdb_txn_begin(self.env, ptr::null_mut(), 0, &mut txn) })?;
        let mut write = Write(txn, self.dbi);
        match body(&mut write) {
            // SAFETY: `txn` is open.
            Ok(value) => checked("mdb_txn_commit", unsafe { mdb_txn_commit(txn) }).map(|()| value),
            Err(error) => {
                // SAFETY: `txn` is open.
                unsafe { mdb_txn_abort(txn) };
                Err(error)
            }
        }
    }

    /// Clears the reader slots of tools that died.
    pub fn check_readers(&mut self) {
        let mut dead = 0;
        // SAFETY: an open environment. A failure leaves the slots as they are.
        unsafe { mdb_reader_check(self.env, &mut dead) };
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // SAFETY: no transaction is open.
        unsafe { mdb_env_close(self.env) };
    }
}

/// A write transaction.
pub struct Write(*mut MdbTxn, c_uint);

impl Write {
    /// Room for a value of `length` bytes under a new key, to be filled before the transaction ends.
    pub fn reserve(&mut self, id: u64, length: usize) -> Result<&mut [u8], Error> {
        let mut key = id.to_be_bytes();
        let mut key = MdbVal { size: key.len(), data: key.as_mut_ptr().cast() };
        let mut value = MdbVal { size: length, data: ptr::null_mut() };
        // SAFETY: LMDB sets `value.data` to `length` bytes of its map, ours until the transaction ends.
        unsafe {
            checked("mdb_put", mdb_put(self.0, self.1, &mut key, &mut value, RESERVE | NO_OVERWRITE))?;
            Ok(slice::from_raw_parts_mut(value.data.cast(), length))
        }
    }

    pub fn delete(&mut self, id: u64) -> Result<(), Error> {
        let mut key = id.to_be_bytes();
        let mut key = MdbVal { size: key.len(), data: key.as_mut_ptr().cast() };
        // SAFETY: plain call with valid pointers.
        match unsafe { mdb_del(self.0, self.1, &mut key, ptr::null_mut()) } {
            NOT_FOUND => Ok(()),
            code => checked("mdb_del", code),
        }
    }
}
