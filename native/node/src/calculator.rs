//! A calculator behind the C ABI inside of this process: whatever its code does it does to the host.

use millrace_calculator_host::{LoadedCalculator, Origin};
use napi::bindgen_prelude::{Uint8Array, Uint8ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn failed(why: String) -> Error {
    Error::new(Status::GenericFailure, why)
}

#[napi]
pub struct NativeCalculator {
    loaded: LoadedCalculator,
    /// An answer that was too long for the buffer that was given for it.
    long: Vec<u8>,
}

#[napi]
impl NativeCalculator {
    #[napi(constructor)]
    pub fn new(file: String, config: Uint8ArraySlice, graph: String, node: String) -> Result<Self> {
        let origin = Origin { file: &file, config: &config, graph: &graph, node: &node };
        Ok(Self { loaded: LoadedCalculator::open(&origin).map_err(failed)?, long: Vec::new() })
    }

    #[napi]
    pub fn describe(&mut self) -> Result<Uint8Array> {
        let about = self.loaded.about().map_err(failed)?;
        Ok(millrace_calculator_host::pack(&about).into())
    }

    /// Answers the first `length` bytes of `rows` into `out`; the length of the answer. `long_answer` has one that does not fit.
    /// `places` says in msgpack where the payloads lie that the rows name; without it none by reference can be opened.
    #[napi]
    pub fn batch(
        &mut self,
        rows: Uint8ArraySlice,
        length: u32,
        at: f64,
        mut out: Uint8ArraySlice,
        places: Option<Uint8ArraySlice>,
    ) -> Result<u32> {
        let rows = rows.get(..length as usize).ok_or_else(|| failed(format!("there are no {length} bytes of rows")))?;
        let answer = self.loaded.batch(rows, at, places.as_deref()).map_err(failed)?;
        // SAFETY: no JS runs during the call, and nothing else has the buffer.
        match unsafe { out.as_mut() }.get_mut(..answer.len()) {
            Some(fitting) => fitting.copy_from_slice(answer),
            None => self.long = answer.to_vec(),
        }
        Ok(answer.len() as u32)
    }

    /// Payloads that were opened since it was last asked.
    #[napi]
    pub fn take_opens(&self) -> u32 {
        self.loaded.take_opens() as u32
    }

    #[napi]
    pub fn long_answer(&mut self) -> Uint8Array {
        std::mem::take(&mut self.long).into()
    }
}
