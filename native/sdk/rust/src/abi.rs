//! The structures of `millrace_calculator.h`, as they cross the border.

use std::ffi::{c_char, c_void};

/// Changed together with `AB_ABI_VERSION` of the header.
pub const ABI_VERSION: u32 = 1;
/// The only format of views: one msgpack value.
pub const MSGPACK: u32 = 1;

pub const OK: i32 = 0;
pub const FAILED: i32 = 1;

/// Where a calculator runs.
#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub reserved: u32,
    pub graph: *const c_char,
    pub node: *const c_char,
    /// Null where no payload by reference can be opened; hosts of before have no such field.
    pub payloads: *const Payloads,
}

/// What opens the payloads that the rows of a batch name, on any thread, while `ab_batch` runs.
#[derive(Debug)]
#[repr(C)]
pub struct Payloads {
    pub struct_size: u32,
    pub reserved: u32,
    pub context: *mut c_void,
    pub open: OpenPayload,
    pub close: ClosePayload,
}

// SAFETY: a host lets them be called on any thread.
unsafe impl Send for Payloads {}
// SAFETY: as above.
unsafe impl Sync for Payloads {}

/// An opened payload, or why it is none.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Payload {
    pub struct_size: u32,
    /// Of `Format`.
    pub format: u32,
    pub bytes: *const u8,
    pub length: usize,
    /// The host's.
    pub handle: usize,
    /// Null for an opened one; texts of the host's, for the time of the batch.
    pub code: *const c_char,
    pub why: *const c_char,
}

/// What a host hands in; its memory is the host's, for the time of one call.
#[repr(C)]
pub struct View {
    pub struct_size: u32,
    pub format: u32,
    pub bytes: *const u8,
    pub length: usize,
    pub at_ms: f64,
}

/// What a calculator hands out; its memory is the calculator's, until the next call with the same state.
#[repr(C)]
pub struct Out {
    pub struct_size: u32,
    pub format: u32,
    pub bytes: *const u8,
    pub length: usize,
}

pub type AbiVersion = unsafe extern "C" fn() -> u32;
pub type Open = unsafe extern "C" fn(config: *const View, host: *const Host, state: *mut *mut c_void) -> i32;
pub type Describe = unsafe extern "C" fn(state: *mut c_void, out: *mut Out) -> i32;
pub type Batch = unsafe extern "C" fn(state: *mut c_void, rows: *const View, out: *mut Out) -> i32;
pub type Snapshot = unsafe extern "C" fn(state: *mut c_void, out: *mut Out) -> i32;
pub type Restore = unsafe extern "C" fn(state: *mut c_void, snapshot: *const View) -> i32;
pub type Close = unsafe extern "C" fn(state: *mut c_void);
pub type OpenPayload =
    unsafe extern "C" fn(context: *mut c_void, sha256: *const c_char, length: usize, payload: *mut Payload) -> i32;
pub type ClosePayload = unsafe extern "C" fn(context: *mut c_void, payload: *mut Payload);
pub type LastError = unsafe extern "C" fn() -> *const c_char;

impl Payload {
    pub fn empty() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            format: 0,
            bytes: std::ptr::null(),
            length: 0,
            handle: 0,
            code: std::ptr::null(),
            why: std::ptr::null(),
        }
    }
}

impl View {
    pub fn of(bytes: &[u8], at_ms: f64) -> Self {
        let struct_size = size_of::<Self>() as u32;
        Self { struct_size, format: MSGPACK, bytes: bytes.as_ptr(), length: bytes.len(), at_ms }
    }

    /// # Safety
    /// The view is one that a host handed in, and the call has not returned.
    pub unsafe fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: as promised by the caller.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Out {
    pub fn empty() -> Self {
        Self { struct_size: size_of::<Self>() as u32, format: MSGPACK, bytes: std::ptr::null(), length: 0 }
    }
}
