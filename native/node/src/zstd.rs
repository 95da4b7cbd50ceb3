use millrace_zstd::{Codec, FrameError};
use napi::bindgen_prelude::{Uint8Array, Uint8ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn refused(error: FrameError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

#[napi(js_name = "Zstd")]
#[derive(Default)]
pub struct NativeZstd(Codec);

#[napi]
impl NativeZstd {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn compress(&mut self, bytes: Uint8ArraySlice) -> Result<Uint8Array> {
        self.0.compress(&bytes).map(Uint8Array::from).map_err(refused)
    }

    #[napi]
    pub fn decompress(&mut self, bytes: Uint8ArraySlice, bytes_max: u32) -> Result<Uint8Array> {
        self.0.decompress(&bytes, bytes_max as usize).map(Uint8Array::from).map_err(refused)
    }
}
