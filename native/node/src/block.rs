use crate::data_view::DataViewBytes;
use millrace_log_block::{BlockError, BlockHeader};
use napi::bindgen_prelude::{AsyncTask, Uint8Array, Uint8ArraySlice};
use napi::{Env, Error, Result, Status, Task};
use napi_derive::napi;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

fn refused(error: BlockError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

#[napi(js_name = "crc32c")]
pub fn crc32c(view: DataViewBytes, from: u32, to: u32, seed: u32) -> Result<u32> {
    match view.0.get(from as usize..to as usize) {
        Some(bytes) => Ok(millrace_log_block::crc32c(bytes, seed)),
        None => Err(Error::new(Status::InvalidArg, format!("{from}..{to} is not within {} bytes", view.0.len()))),
    }
}

/// -1 when all records hold.
#[napi]
pub fn check_records(bytes: Uint8ArraySlice, from: u32, to: u32) -> Result<i32> {
    let damaged = millrace_log_block::check_records(&bytes, from as usize, to as usize).map_err(refused)?;
    Ok(damaged.map_or(-1, |at| at as i32))
}

#[napi]
pub fn finish_block(mut buffer: Uint8ArraySlice, used: u32) -> Result<u32> {
    // SAFETY: no other thread has the buffer of an open block, and no JS runs during the call.
    millrace_log_block::finish_block(unsafe { buffer.as_mut() }, used as usize).map_err(refused)
}

#[napi]
#[allow(clippy::too_many_arguments)] // An object would cost a property read each.
pub fn seal_block(
    mut buffer: Uint8ArraySlice,
    used: u32,
    align: u32,
    salt: Uint8ArraySlice,
    seq: i64,
    first: i64,
    count: u32,
    prev: u32,
    epoch: u32,
    kind: u32,
) -> Result<u32> {
    let not_eight = |_| Error::new(Status::InvalidArg, "a salt has 8 bytes");
    let header = BlockHeader {
        salt: <[u8; 8]>::try_from(&salt[..]).map_err(not_eight)?,
        seq: seq as u64,
        first: first as u64,
        count,
        prev,
        epoch,
        kind: kind as u16,
    };
    // SAFETY: as in `finish_block`; `salt` was copied.
    millrace_log_block::seal_block(unsafe { buffer.as_mut() }, used as usize, align as usize, &header).map_err(refused)
}

/// A positional write of all bytes, on a thread of the pool. Its result is 0 or the error number.
pub struct FullWrite {
    fd: i32,
    buffer: Uint8Array,
    length: usize,
    offset: u64,
}

impl Task for FullWrite {
    type Output = i32;
    type JsValue = i32;

    fn compute(&mut self) -> Result<i32> {
        // SAFETY: the caller keeps the descriptor open until the promise settles.
        let file = unsafe { BorrowedFd::borrow_raw(self.fd) };
        Ok(millrace_log_block::write_at(file, &self.buffer[..self.length], self.offset)
            .map_or_else(Errno::raw_os_error, |()| 0))
    }

    fn resolve(&mut self, _env: Env, output: i32) -> Result<i32> {
        Ok(output)
    }
}

#[napi(ts_return_type = "Promise<number>")]
pub fn write_block(fd: i32, buffer: Uint8Array, length: u32, offset: i64) -> Result<AsyncTask<FullWrite>> {
    let length = length as usize;
    if length > buffer.len() || fd < 0 || offset < 0 {
        return Err(Error::new(Status::InvalidArg, format!("cannot write {length} bytes to {fd} at {offset}")));
    }
    Ok(AsyncTask::new(FullWrite { fd, buffer, length, offset: offset as u64 }))
}
