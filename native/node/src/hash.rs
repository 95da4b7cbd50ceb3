use millrace_hash::TreeError;
use napi::bindgen_prelude::{AsyncTask, Uint8Array, Uint8ArraySlice, Uint32Array};
use napi::{Env, Error, Result, Status, Task};
use napi_derive::napi;

fn refused(error: TreeError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

/// Hashes in a thread of libuv's. The caller must leave the arrays alone until it has the answer.
pub enum TreeHashes {
    Leaves { bytes: Uint8Array, places: Uint32Array },
    TileRoots { tiles: Uint8Array },
}

impl Task for TreeHashes {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Leaves { bytes, places } => millrace_hash::leaf_hashes(bytes, places),
            Self::TileRoots { tiles } => millrace_hash::tile_roots(tiles),
        }
        .map_err(refused)
    }

    fn resolve(&mut self, _: Env, hashes: Vec<u8>) -> Result<Uint8Array> {
        Ok(hashes.into())
    }
}

#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn leaf_hashes(bytes: Uint8Array, places: Uint32Array) -> AsyncTask<TreeHashes> {
    AsyncTask::new(TreeHashes::Leaves { bytes, places })
}

#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn tile_roots(tiles: Uint8Array) -> AsyncTask<TreeHashes> {
    AsyncTask::new(TreeHashes::TileRoots { tiles })
}

/// Of a segment as it grows, in a thread of its own.
#[napi(js_name = "SegmentHash")]
#[derive(Default)]
pub struct NativeSegmentHash(millrace_hash::SegmentHash);

#[napi]
impl NativeSegmentHash {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn update(&mut self, bytes: Uint8ArraySlice) {
        self.0.update(&bytes);
    }

    /// Begins anew.
    #[napi]
    pub fn digest(&mut self) -> Uint8Array {
        std::mem::take(&mut self.0).digest().to_vec().into()
    }

    /// Ends its thread; what waits for it is not hashed.
    #[napi]
    pub fn discard(&mut self) {
        self.0 = millrace_hash::SegmentHash::default();
    }
}
