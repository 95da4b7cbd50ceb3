//! What a tool does to an environment that it does not own: a transaction through LMDB. For tests, and for what the store never does.

use crate::lmdb::{MdbTxn, NO_SUBDIR, NO_TLS, mdb_env_create, mdb_env_open, mdb_txn_abort, mdb_txn_begin};
use libc::c_uint;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

const READ_ONLY: c_uint = 0x2_0000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Waits for the writer's lock of the environment.
    Write,
}

/// Ends when it is dropped. The environment stays open as long as the process: to close it would take the locks of a store in
/// the same process.
pub struct Transaction(*mut MdbTxn);

impl Transaction {
    pub fn begin(data: &Path, access: Access) -> Self {
        let flags = if access == Access::Read { READ_ONLY } else { 0 };
        let (mut env, mut txn) = (ptr::null_mut(), ptr::null_mut());
        let path = CString::new(data.as_os_str().as_bytes()).expect("a path");
        // SAFETY: plain calls with valid pointers.
        unsafe {
            assert_eq!(mdb_env_create(&mut env), 0);
            assert_eq!(mdb_env_open(env, path.as_ptr(), NO_SUBDIR | NO_TLS | flags, 0o600), 0);
            assert_eq!(mdb_txn_begin(env, ptr::null_mut(), flags, &mut txn), 0);
        }
        Self(txn)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the transaction is open, and of this thread.
        unsafe { mdb_txn_abort(self.0) };
    }
}
