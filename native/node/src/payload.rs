//! The payload store, as one JS thread uses it.

use millrace_lodge::{Format, Lease, Options, Reservation, Store, Terms, Token, is_abandoned};
use napi::bindgen_prelude::{FromNapiValue, Object, TypeName, Uint8ArraySlice, ValidateNapiValue};
use napi::{Env, Error, JsValue, Result, Status, Unknown, ValueType, check_status, sys};
use napi_derive::napi;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

fn failed(error: millrace_lodge::Error) -> Error {
    Error::new(Status::GenericFailure, error.to_string())
}

#[napi(object)]
pub struct LodgeOptions {
    pub bytes_max: f64,
    pub leased_bytes_max: f64,
    pub machine_bytes_max: f64,
    pub slots: u32,
    pub lease_ms: u32,
}

#[napi(object)]
pub struct LodgeStats {
    pub payloads: f64,
    pub bytes: f64,
    pub leases: f64,
    pub file_bytes: f64,
}

/// File of a payload and offset of its first byte.
#[napi(object)]
pub struct LodgePlace {
    pub path: String,
    pub offset: f64,
}

/// A token as JS holds it: `<id>.<entry> <hash>`, numbers of 64 bits in hexadecimal. One text costs less than an object of two.
fn written(token: &Token) -> String {
    format!("{:x}.{:x} {:016x}", token.id, token.entry, token.xxh3)
}

/// A number as `written` spells it, and in no other way.
fn hex(text: &str) -> Option<u64> {
    let is_canonical = (1..=16).contains(&text.len()) && (text == "0" || !text.starts_with('0'));
    if is_canonical { digits(text) } else { None }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// `None` for what no token of a store looks like.
fn token(store: u64, id: &str, format: u32, length: f64, hash: &str) -> Option<Token> {
    let (id, entry) = id.split_once('.')?;
    let (id, entry) = (hex(id)?, u32::try_from(hex(entry)?).ok()?);
    let xxh3 = if hash.len() == 16 { digits(hash)? } else { return None };
    let token = Token { store, id, entry, format: format_of(format)?, length: length as u64, xxh3 };
    (token.length as f64 == length).then_some(token)
}

/// A string of at most 63 characters, read without an allocation. A longer one is cut, and then means nothing.
pub struct ShortText {
    bytes: [u8; 64],
    length: usize,
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl TypeName for ShortText {
    fn type_name() -> &'static str {
        "string"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for ShortText {}

impl FromNapiValue for ShortText {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut text = Self { bytes: [0; 64], length: 0 };
        // SAFETY: the engine writes at most 64 bytes, the last of them a NUL.
        let status = unsafe {
            sys::napi_get_value_string_latin1(
                env,
                value,
                text.bytes.as_mut_ptr().cast(),
                text.bytes.len() as _,
                &mut text.length as *mut usize as *mut _,
            )
        };
        check_status!(status, "expected a string")?;
        Ok(text)
    }
}

fn format_of(code: u32) -> Option<Format> {
    [Format::Raw, Format::Msgpack, Format::Json, Format::Npy, Format::Arrow]
        .into_iter()
        .find(|format| *format as u32 == code)
}

/// Whether a store under `dir` was left by processes that are gone, and nothing of it has changed for so long.
#[napi]
pub fn is_lodge_abandoned(dir: String, age_ms: f64) -> bool {
    is_abandoned(dir.as_ref(), Duration::from_millis(age_ms as u64))
}

/// A store, and the leases of its JS thread by number: a class of their own would cost more than the lease.
#[napi]
pub struct Lodge {
    store: Option<Store>,
    leases: Vec<Option<Arc<Lease>>>,
    free: Vec<u32>,
}

#[napi]
impl Lodge {
    #[napi(constructor)]
    pub fn new(dir: String, options: LodgeOptions) -> Result<Self> {
        let terms = Terms::of(Duration::from_millis(u64::from(options.lease_ms)));
        let options = Options {
            bytes_max: options.bytes_max as u64,
            leased_bytes_max: options.leased_bytes_max as u64,
            machine_bytes_max: options.machine_bytes_max as u64,
            slots: options.slots as usize,
            terms,
            ..Options::default()
        };
        Ok(Self {
            store: Some(Store::open(dir.as_ref(), options).map_err(failed)?),
            leases: Vec::new(),
            free: Vec::new(),
        })
    }

    fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or_else(|| Error::new(Status::GenericFailure, "the store is closed"))
    }

    #[napi]
    pub fn id(&self) -> Result<String> {
        Ok(format!("{:016x}", self.store()?.id()))
    }

    #[napi]
    pub fn put(&self, bytes: Uint8ArraySlice, format: u32) -> Result<Option<String>> {
        let format = format_of(format).ok_or_else(|| Error::new(Status::InvalidArg, "no such format"))?;
        Ok(self.store()?.put(&bytes, format).map_err(failed)?.as_ref().map(written))
    }

    #[napi]
    pub fn reserve(&self, length: f64, format: u32) -> Result<Option<LodgeReservation>> {
        let format = format_of(format).ok_or_else(|| Error::new(Status::InvalidArg, "no such format"))?;
        let reservation = self.store()?.reserve(length as u64, format).map_err(failed)?;
        Ok(reservation.map(|reservation| LodgeReservation { reservation: Arc::new(Mutex::new(Some(reservation))) }))
    }

    #[napi]
    pub fn discard(&self, id: ShortText, format: u32, length: f64, hash: ShortText) -> Result<()> {
        let store = self.store()?;
        let token = token(store.id(), id.as_str(), format, length, hash.as_str());
        token.iter().for_each(|token| store.discard(token));
        Ok(())
    }

    /// Number of the new lease; -1 when the token does not resolve.
    #[napi]
    pub fn acquire(&mut self, id: ShortText, format: u32, length: f64, hash: ShortText) -> Result<i32> {
        let store = self.store()?;
        let token = token(store.id(), id.as_str(), format, length, hash.as_str());
        let lease = token.map(|token| store.acquire(&token)).transpose().map_err(failed)?.flatten();
        let Some(lease) = lease else { return Ok(-1) };
        let number = self.free.pop().unwrap_or_else(|| {
            self.leases.push(None);
            self.leases.len() as u32 - 1
        });
        self.leases[number as usize] = Some(Arc::new(lease));
        Ok(number as i32)
    }

    /// Copies a payload into an array of its length. False when the token does not resolve.
    #[napi]
    pub fn copy(&self, id: ShortText, format: u32, hash: ShortText, mut into: Uint8ArraySlice) -> Result<bool> {
        let store = self.store()?;
        let Some(token) = token(store.id(), id.as_str(), format, into.len() as f64, hash.as_str()) else {
            return Ok(false);
        };
        // SAFETY: JavaScript stands still, and the array is not the store's.
        store.copy(&token, unsafe { into.as_mut() }).map_err(failed)
    }

    /// Makes views of a buffer empty. Nothing happens to one that was moved away.
    #[napi]
    pub fn detach(&self, env: &Env, buffer: Object) -> Result<()> {
        detach(env, &buffer).map(drop)
    }

    fn lease(&self, number: u32) -> Result<&Arc<Lease>> {
        let gone = || Error::new(Status::InvalidArg, "no such lease");
        self.leases.get(number as usize).and_then(Option::as_ref).ok_or_else(gone)
    }

    /// Where the payload lies for a process that maps it by itself; `null` for a copy. Pin the lease first.
    #[napi]
    pub fn place(&self, lease: u32) -> Result<Option<LodgePlace>> {
        let place = self.lease(lease)?.place().map_err(failed)?;
        Ok(place.map(|(path, offset)| LodgePlace { path: path.to_string_lossy().into_owned(), offset: offset as f64 }))
    }

    /// A view of the payload. It must be given to `release`.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn buffer<'a>(&self, env: &'a Env, lease: u32) -> Result<Unknown<'a>> {
        let lease = self.lease(lease)?;
        external_buffer(env, lease.bytes(), lease.clone())
    }

    /// Number of the file in which the payload lies; -1 when it lies in none that is mapped whole.
    #[napi]
    pub fn segment_of(&self, lease: u32) -> Result<f64> {
        let lease = self.lease(lease)?;
        Ok(if lease.in_whole().is_some() { lease.env_number() as f64 } else { -1.0 })
    }

    /// All of that file. It is not given to `release`: who reads there reads what a lease holds, and nothing else.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn segment<'a>(&self, env: &'a Env, lease: u32) -> Result<Unknown<'a>> {
        let (view, _) = self.lease(lease)?.in_whole().ok_or_else(no_segment)?;
        external_buffer(env, view.segment(), view.clone())
    }

    /// Of the payload's first byte in it.
    #[napi]
    pub fn offset_in(&self, lease: u32) -> Result<f64> {
        Ok(self.lease(lease)?.in_whole().ok_or_else(no_segment)?.1 as f64)
    }

    #[napi]
    pub fn is_valid(&self, lease: u32) -> Result<bool> {
        Ok(self.lease(lease)?.is_valid())
    }

    #[napi]
    pub fn pin(&self, lease: u32) -> Result<bool> {
        Ok(self.lease(lease)?.pin())
    }

    #[napi]
    pub fn unpin(&self, lease: u32) -> Result<()> {
        self.lease(lease)?.unpin();
        Ok(())
    }

    /// Detaches the view, if one was asked for, or turns its bytes into zeros where it was moved away, and ends the lease,
    /// whose number is free then. Without the view, one that is still there has been moved.
    #[napi]
    pub fn release(&mut self, env: &Env, lease: u32, buffer: Option<Object>) -> Result<bool> {
        let escaped = match buffer {
            Some(buffer) => !detach(env, &buffer)?,
            None => Arc::strong_count(self.lease(lease)?) > 1,
        };
        let held = self.lease(lease)?.release(escaped);
        self.leases[lease as usize] = None;
        self.free.push(lease);
        Ok(held)
    }

    #[napi]
    pub fn stats(&self) -> LodgeStats {
        let stats = self.store.as_ref().map(Store::stats).unwrap_or_default();
        LodgeStats {
            payloads: stats.payloads as f64,
            bytes: stats.bytes as f64,
            leases: stats.leases as f64,
            file_bytes: stats.file_bytes as f64,
        }
    }

    #[napi]
    pub fn sweep(&self) {
        self.store.iter().for_each(Store::sweep);
    }

    #[napi]
    pub fn close(&mut self) {
        self.leases.clear();
        drop(self.store.take());
    }
}

/// Whoever can still write to the bytes has the reservation too, so that nobody else gets its pages (P-R9).
#[napi]
pub struct LodgeReservation {
    reservation: Arc<Mutex<Option<Reservation>>>,
}

#[napi]
impl LodgeReservation {
    /// Where the payload is to be written. It must be given to `publish`.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn buffer<'a>(&self, env: &'a Env) -> Result<Unknown<'a>> {
        let gone = || Error::new(Status::GenericFailure, "the reservation was published or given up");
        let bytes = self.reserved().as_ref().map(Reservation::bytes).ok_or_else(gone)?;
        external_buffer(env, bytes, self.reservation.clone())
    }

    /// `None` when the buffer was moved away, so that somebody could still write to it, or the store was closed.
    #[napi]
    pub fn publish(&mut self, env: &Env, buffer: Object) -> Result<Option<String>> {
        let reservation = if detach(env, &buffer)? { self.reserved().take() } else { None };
        Ok(reservation.and_then(Reservation::publish).as_ref().map(written))
    }

    #[napi]
    pub fn give_up(&mut self, env: &Env, buffer: Object) -> Result<()> {
        let reservation = if detach(env, &buffer)? { self.reserved().take() } else { None };
        drop(reservation);
        Ok(())
    }

    fn reserved(&self) -> MutexGuard<'_, Option<Reservation>> {
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_segment() -> Error {
    Error::new(Status::InvalidArg, "the payload lies in no file that is mapped whole")
}

/// An ArrayBuffer on memory that `owner` keeps alive, until the engine is done with it.
fn external_buffer<'a, Owner: Send + Sync + 'static>(
    env: &'a Env,
    bytes: NonNull<[u8]>,
    owner: Arc<Owner>,
) -> Result<Unknown<'a>> {
    unsafe extern "C" fn drop_owner<Owner>(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
        // SAFETY: `hint` is the pointer that was given with this finalizer, which runs once.
        drop(unsafe { Arc::from_raw(hint.cast::<Owner>()) });
    }
    let hint = Arc::into_raw(owner).cast_mut().cast::<c_void>();
    let mut buffer = ptr::null_mut();
    // SAFETY: the memory lives until the finalizer dropped its owner.
    let status = unsafe {
        let (data, length) = (bytes.cast::<c_void>().as_ptr(), bytes.len());
        sys::napi_create_external_arraybuffer(env.raw(), data, length, Some(drop_owner::<Owner>), hint, &mut buffer)
    };
    if status != sys::Status::napi_ok {
        // SAFETY: the finalizer will not run.
        drop(unsafe { Arc::from_raw(hint.cast::<Owner>()) });
    }
    check_status!(status, "this runtime takes no external buffers")?;
    // SAFETY: just made in this scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), buffer) })
}

/// Detaches a buffer. False when it was detached already: somebody moved its memory into another one.
fn detach(env: &Env, buffer: &Object) -> Result<bool> {
    let mut is_detached = false;
    // SAFETY: both calls take a live value.
    unsafe {
        check_status!(sys::napi_is_detached_arraybuffer(env.raw(), buffer.raw(), &mut is_detached))?;
        if is_detached {
            return Ok(false);
        }
        check_status!(sys::napi_detach_arraybuffer(env.raw(), buffer.raw()))?;
    }
    Ok(true)
}
