use millrace_log_block::{BlockError, BlockHeader};
use napi::bindgen_prelude::Uint8ArraySlice;
use napi::{Error, Result, Status};
use napi_derive::napi;

fn refused(error: BlockError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

/// -1 when all records hold.
#[napi]
pub fn check_records(bytes: Uint8ArraySlice, from: u32, to: u32) -> Result<i32> {
    let damaged = millrace_log_block::check_records(&bytes, from as usize, to as usize).map_err(refused)?;
    Ok(damaged.map_or(-1, |at| at as i32))
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
    // SAFETY: no other thread has the buffer of an open block, and no JS runs during the call; `salt` was copied.
    millrace_log_block::seal_block(unsafe { buffer.as_mut() }, used as usize, align as usize, &header).map_err(refused)
}
