//! A calculator behind the C ABI inside of this process: whatever its code does it does to the host.

use std::cell::RefCell;
use std::rc::Rc;

use millrace_calculator_host::{LoadedCalculator, Origin};
use napi::bindgen_prelude::{Uint8Array, Uint8ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn failed(why: String) -> Error {
    Error::new(Status::GenericFailure, why)
}

struct Calculator {
    loaded: LoadedCalculator,
    /// Shared with the caller, so that a small batch crosses as two numbers: handing an array over costs more than copying it.
    rows: Uint8Array,
    answer: Uint8Array,
    /// An answer that is too long for the shared array.
    long: Vec<u8>,
}

thread_local! {
    /// By number. A function that is given a number costs an eighth of a method, whose receiver Node-API has to unwrap and check.
    static CALCULATORS: RefCell<Vec<Option<Rc<RefCell<Calculator>>>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a calculator: it is closed when this is collected.
#[napi]
pub struct NativeCalculator {
    calculator: Rc<RefCell<Calculator>>,
    number: u32,
}

#[napi]
impl NativeCalculator {
    /// The caller keeps `rows` and `answer` as they are, neither detached nor resized, for as long as it has the calculator.
    #[napi(constructor)]
    pub fn new(
        file: String,
        config: Uint8ArraySlice,
        graph: String,
        node: String,
        rows: Uint8Array,
        answer: Uint8Array,
    ) -> Result<Self> {
        let origin = Origin { file: &file, config: &config, graph: &graph, node: &node };
        let loaded = LoadedCalculator::open(&origin).map_err(failed)?;
        let calculator = Rc::new(RefCell::new(Calculator { loaded, rows, answer, long: Vec::new() }));
        Ok(Self { number: numbered(&calculator), calculator })
    }

    /// What `calculator_batch` knows it by, in this thread.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    #[napi]
    pub fn describe(&self) -> Result<Uint8Array> {
        let about = self.calculator.borrow_mut().loaded.about().map_err(failed)?;
        Ok(millrace_calculator_host::pack(&about).into())
    }

    /// As `calculator_batch`, of rows that the shared array does not hold.
    #[napi]
    pub fn long_batch(&self, rows: Uint8ArraySlice, at: f64, places: Option<Uint8ArraySlice>) -> Result<u32> {
        let Calculator { loaded, answer, long, .. } = &mut *self.calculator.borrow_mut();
        answered(loaded.batch(&rows, at, places.as_deref()), answer, long)
    }

    /// Payloads that were opened since it was last asked.
    #[napi]
    pub fn take_opens(&self) -> u32 {
        self.calculator.borrow().loaded.take_opens() as u32
    }

    #[napi]
    pub fn long_answer(&self) -> Uint8Array {
        std::mem::take(&mut self.calculator.borrow_mut().long).into()
    }
}

impl Drop for NativeCalculator {
    fn drop(&mut self) {
        // At the end of a thread the table may be gone before its calculators.
        let _ = CALCULATORS.try_with(|all| all.borrow_mut()[self.number as usize] = None);
    }
}

fn numbered(calculator: &Rc<RefCell<Calculator>>) -> u32 {
    CALCULATORS.with_borrow_mut(|all| {
        let free = all.iter().position(Option::is_none).unwrap_or(all.len());
        all.resize(all.len().max(free + 1), None);
        all[free] = Some(Rc::clone(calculator));
        free as u32
    })
}

/// Answers the first `length` bytes of the calculator's shared rows; the length of the answer, which is in its shared `answer` when it
/// fits there, else `long_answer` has it. `places` says in msgpack where the payloads lie that the rows name; without it none by
/// reference can be opened.
#[napi]
pub fn calculator_batch(number: u32, length: u32, at: f64, places: Option<Uint8ArraySlice>) -> Result<u32> {
    let found = CALCULATORS.with_borrow(|all| all.get(number as usize).cloned().flatten());
    let calculator = found.ok_or_else(|| failed(format!("there is no calculator {number}")))?;
    let Calculator { loaded, rows, answer, long } = &mut *calculator.borrow_mut();
    let rows = rows.get(..length as usize).ok_or_else(|| failed(format!("there are no {length} bytes of rows")))?;
    answered(loaded.batch(rows, at, places.as_deref()), answer, long)
}

fn answered(found: std::result::Result<&[u8], String>, shared: &mut Uint8Array, long: &mut Vec<u8>) -> Result<u32> {
    let answer = found.map_err(failed)?;
    // SAFETY: no JS runs during the call, and the calculator was given the rows only.
    match unsafe { shared.as_mut() }.get_mut(..answer.len()) {
        Some(fitting) => fitting.copy_from_slice(answer),
        None => *long = answer.to_vec(),
    }
    Ok(answer.len() as u32)
}
