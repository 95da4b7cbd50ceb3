use napi::bindgen_prelude::{Uint8ArraySlice, Uint32ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

#[napi(js_name = "sha256Batch")]
pub fn sha256_batch(bytes: Uint8ArraySlice, ends: Uint32ArraySlice, mut into: Uint8ArraySlice) -> Result<()> {
    // SAFETY: the caller hands over no overlapping arrays, and no JS runs during the call.
    let into = unsafe { into.as_mut() };
    millrace_hash::sha256_batch(&bytes, &ends, into).map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}
