//! One calculator behind the ABI: what `export!` calls. Nothing unwinds into the host.

use crate::abi::{FAILED, Host, OK, Out, Payloads, View};
use crate::msgpack::{self, Item, Reader};
use crate::{Calculator, Context, Failure, Value};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::new(CString::default());
    static LAST_PANIC: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

struct Instance<C> {
    calculator: C,
    graph: String,
    node: String,
    /// The host's, for as long as the instance.
    payloads: Option<&'static Payloads>,
    out: Vec<u8>,
}

fn note(message: &str) -> i32 {
    let text: Vec<u8> = message.bytes().filter(|byte| *byte != 0).collect();
    LAST_ERROR.with_borrow_mut(|last| *last = CString::new(text).unwrap_or_default());
    FAILED
}

pub fn last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|last| last.as_ptr())
}

/// Remembers where a panic came from; a host that sees no more than a trap can still ask.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panicked");
            note(text);
            let failure = panic.location().map_or_else(|| Failure::new(text), |place| Failure::at(text, place));
            LAST_PANIC.with_borrow_mut(|last| *last = Some(failure));
        }));
    });
}

fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(LAST_PANIC.with_borrow_mut(Option::take).unwrap_or_else(|| Failure::new("panicked"))))
}

fn status(result: Result<(), Failure>) -> i32 {
    result.map_or_else(|failure| note(&format!("{}:{}: {}", failure.file, failure.line, failure.message)), |()| OK)
}

unsafe fn text(chars: *const c_char) -> String {
    // SAFETY: a host's text ends with a zero, or is none.
    if chars.is_null() { String::new() } else { unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned() }
}

/// None of a host that has no such field yet, and where nothing can be opened.
unsafe fn payloads_of(host: *const Host) -> Option<&'static Payloads> {
    // SAFETY: a host says how large its structure is, and its table lives as long as the instance.
    unsafe {
        let has_them = (*host).struct_size as usize >= offset_of!(Host, payloads) + size_of::<*const Payloads>();
        if has_them { (*host).payloads.as_ref() } else { None }
    }
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn open<C: Calculator>(config: *const View, host: *const Host, state: *mut *mut c_void) -> i32 {
    watch_panics();
    // SAFETY: as promised by the caller, here and below.
    let config = unsafe { (*config).bytes() };
    let (graph, node, payloads) = unsafe { (text((*host).graph), text((*host).node), payloads_of(host)) };
    status(guarded(|| {
        let calculator = C::new(&msgpack::unpack(config)?)?;
        let instance = Box::new(Instance { calculator, graph, node, payloads, out: Vec::new() });
        unsafe { *state = Box::into_raw(instance).cast() };
        Ok(())
    }))
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn close<C: Calculator>(state: *mut c_void) {
    if !state.is_null() {
        // SAFETY: `open` made it, and nobody uses it any more.
        let _ = guarded(|| {
            drop(unsafe { Box::from_raw(state.cast::<Instance<C>>()) });
            Ok(())
        });
    }
}

unsafe fn answer<C: Calculator>(
    state: *mut c_void,
    out: *mut Out,
    work: impl FnOnce(&mut C, &Context, &mut Vec<u8>) -> Result<(), Failure>,
) -> i32 {
    // SAFETY: `open` made it, and calls come one at a time.
    let Instance { calculator, graph, node, payloads, out: bytes } = unsafe { &mut *state.cast::<Instance<C>>() };
    bytes.clear();
    let context = Context { at: 0.0, graph, node, payloads: *payloads };
    let result = status(guarded(|| work(calculator, &context, bytes)));
    // SAFETY: as promised by the caller.
    let out = unsafe { &mut *out };
    (out.bytes, out.length) = (bytes.as_ptr(), bytes.len());
    result
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn describe<C: Calculator>(state: *mut c_void, out: *mut Out) -> i32 {
    // SAFETY: as promised by the caller.
    unsafe {
        answer::<C>(state, out, |calculator, _, bytes| {
            let about = Value::map([("stateful", C::IS_STATEFUL.into()), ("details", calculator.details())]);
            msgpack::write(bytes, &about);
            Ok(())
        })
    }
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn batch<C: Calculator>(state: *mut c_void, rows: *const View, out: *mut Out) -> i32 {
    // SAFETY: as promised by the caller.
    let (rows, at) = unsafe { ((*rows).bytes(), (*rows).at_ms) };
    let work = |calculator: &mut C, context: &Context, bytes: &mut Vec<u8>| {
        let mut reader = Reader::new(rows);
        let Item::List(n) = reader.item()? else { return Err(Failure::new("a batch is a list of rows")) };
        let context = Context { at, ..context.clone() };
        let mut outcomes = Vec::with_capacity(n);
        for _ in 0..n {
            let row = reader.value()?;
            let outcome = guarded(|| calculator.calculate(&row, &context));
            let has_failed = outcome.is_err();
            outcomes.push(outcome_of(outcome));
            // What the row left behind is unknown.
            if has_failed && C::IS_STATEFUL {
                break;
            }
        }
        msgpack::write(bytes, &Value::List(outcomes));
        Ok(())
    };
    // SAFETY: as promised by the caller.
    unsafe { answer::<C>(state, out, work) }
}

/// As the wire has it: nil, a list of messages, or a failure.
fn outcome_of(result: Result<Value, Failure>) -> Value {
    match result {
        Ok(Value::Nil) => Value::Nil,
        Ok(Value::List(messages)) => Value::List(messages),
        Ok(message) => Value::List(vec![message]),
        Err(failure) => failure.to_value(),
    }
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn snapshot<C: Calculator>(state: *mut c_void, out: *mut Out) -> i32 {
    // SAFETY: as promised by the caller.
    unsafe {
        answer::<C>(state, out, |calculator, _, bytes| {
            msgpack::write(bytes, &calculator.snapshot());
            Ok(())
        })
    }
}

/// # Safety
/// The pointers are as the header says.
pub unsafe fn restore<C: Calculator>(state: *mut c_void, snapshot: *const View) -> i32 {
    // SAFETY: as promised by the caller.
    let (instance, snapshot) = unsafe { (&mut *state.cast::<Instance<C>>(), (*snapshot).bytes()) };
    status(guarded(|| instance.calculator.restore(&msgpack::unpack(snapshot)?)))
}

/// Memory for a host that must write into the module's own, as that of WebAssembly must.
pub fn allocate(length: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; length].into_boxed_slice()).cast()
}

/// # Safety
/// `allocate` gave it, for the same length.
pub unsafe fn free(bytes: *mut u8, length: usize) {
    // SAFETY: as promised by the caller.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes, length)) });
}

/// Exports the functions of `millrace_calculator.h` for a type that is a `Calculator`: the only one of its library.
#[macro_export]
macro_rules! export {
    ($type:ty) => {
        const _: () = {
            use $crate::{abi, instance};

            #[unsafe(no_mangle)]
            extern "C" fn ab_abi_version() -> u32 {
                abi::ABI_VERSION
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_open(
                config: *const abi::View,
                host: *const abi::Host,
                state: *mut *mut ::std::ffi::c_void,
            ) -> i32 {
                unsafe { instance::open::<$type>(config, host, state) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_describe(state: *mut ::std::ffi::c_void, out: *mut abi::Out) -> i32 {
                unsafe { instance::describe::<$type>(state, out) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_batch(
                state: *mut ::std::ffi::c_void,
                rows: *const abi::View,
                out: *mut abi::Out,
            ) -> i32 {
                unsafe { instance::batch::<$type>(state, rows, out) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_snapshot(state: *mut ::std::ffi::c_void, out: *mut abi::Out) -> i32 {
                unsafe { instance::snapshot::<$type>(state, out) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_restore(state: *mut ::std::ffi::c_void, snapshot: *const abi::View) -> i32 {
                unsafe { instance::restore::<$type>(state, snapshot) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_close(state: *mut ::std::ffi::c_void) {
                unsafe { instance::close::<$type>(state) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn ab_last_error() -> *const ::std::ffi::c_char {
                instance::last_error()
            }

            #[cfg(target_family = "wasm")]
            #[unsafe(no_mangle)]
            extern "C" fn ab_alloc(length: usize) -> *mut u8 {
                instance::allocate(length)
            }

            #[cfg(target_family = "wasm")]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn ab_free(bytes: *mut u8, length: usize) {
                unsafe { instance::free(bytes, length) }
            }
        };
    };
}
