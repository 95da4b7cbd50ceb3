//! The payload store, as one JS thread uses it.

use millrace_lodge::{Format, Lease, Mapping, Options, Reservation, Store, Terms, Token};
use napi::bindgen_prelude::{Object, Uint8ArraySlice};
use napi::{Env, Error, JsValue, Result, Status, Unknown, check_status, sys};
use napi_derive::napi;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;
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

/// A token's parts, each as JS can hold it: numbers of 64 bits are hexadecimal.
#[napi(object)]
pub struct LodgeToken {
    pub id: String,
    pub length: f64,
    pub hash: String,
}

fn id_text(id: u64, entry: u32) -> String {
    format!("{id:x}.{entry:x}")
}

/// Id and entry; `None` for what is not spelled as `id_text` does.
fn parse_id(text: &str) -> Option<(u64, u32)> {
    let (id, entry) = text.split_once('.')?;
    let (id, entry) = (u64::from_str_radix(id, 16).ok()?, u32::from_str_radix(entry, 16).ok()?);
    (id_text(id, entry) == text).then_some((id, entry))
}

/// `None` for what no token of a store looks like.
fn token(store: u64, id: &str, format: u32, length: f64, hash: &str) -> Option<Token> {
    let (id, entry) = parse_id(id)?;
    let xxh3 = u64::from_str_radix(hash, 16).ok()?;
    let token = Token { store, id, entry, format: format_of(format)?, length: length as u64, xxh3 };
    (hash_text(xxh3) == hash && token.length as f64 == length).then_some(token)
}

fn hash_text(xxh3: u64) -> String {
    format!("{xxh3:016x}")
}

fn format_of(code: u32) -> Option<Format> {
    [Format::Raw, Format::Msgpack, Format::Json, Format::Npy, Format::Arrow]
        .into_iter()
        .find(|format| *format as u32 == code)
}

fn written(token: &Token) -> LodgeToken {
    LodgeToken { id: id_text(token.id, token.entry), length: token.length as f64, hash: hash_text(token.xxh3) }
}

#[napi]
pub struct Lodge {
    store: Store,
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
        Ok(Self { store: Store::open(dir.as_ref(), options).map_err(failed)? })
    }

    #[napi]
    pub fn id(&self) -> String {
        format!("{:016x}", self.store.id())
    }

    #[napi]
    pub fn put(&self, bytes: Uint8ArraySlice, format: u32) -> Result<Option<LodgeToken>> {
        let format = format_of(format).ok_or_else(|| Error::new(Status::InvalidArg, "no such format"))?;
        Ok(self.store.put(&bytes, format).map_err(failed)?.as_ref().map(written))
    }

    #[napi]
    pub fn reserve(&self, length: f64, format: u32) -> Result<Option<LodgeReservation>> {
        let format = format_of(format).ok_or_else(|| Error::new(Status::InvalidArg, "no such format"))?;
        let reservation = self.store.reserve(length as u64, format).map_err(failed)?;
        Ok(reservation.map(|reservation| LodgeReservation { reservation: Some(reservation) }))
    }

    #[napi]
    pub fn discard(&self, id: String, format: u32, length: f64, hash: String) {
        let token = token(self.store.id(), &id, format, length, &hash);
        token.iter().for_each(|token| self.store.discard(token));
    }

    #[napi]
    pub fn acquire(&self, id: String, format: u32, length: f64, hash: String) -> Result<Option<LodgeLease>> {
        let Some(token) = token(self.store.id(), &id, format, length, &hash) else { return Ok(None) };
        let lease = self.store.acquire(&token).map_err(failed)?;
        Ok(lease.map(|lease| LodgeLease { lease: Arc::new(lease) }))
    }

    #[napi]
    pub fn stats(&self) -> LodgeStats {
        let stats = self.store.stats();
        LodgeStats {
            payloads: stats.payloads as f64,
            bytes: stats.bytes as f64,
            leases: stats.leases as f64,
            file_bytes: stats.file_bytes as f64,
        }
    }

    #[napi]
    pub fn sweep(&self) {
        self.store.sweep();
    }

    #[napi]
    pub fn close(&self) {
        self.store.close();
    }
}

#[napi]
pub struct LodgeLease {
    lease: Arc<Lease>,
}

#[napi]
impl LodgeLease {
    /// A view of the payload. It must be given to `release`.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn buffer<'a>(&self, env: &'a Env) -> Result<Unknown<'a>> {
        external_buffer(env, self.lease.bytes(), self.lease.clone())
    }

    #[napi]
    pub fn is_valid(&self) -> bool {
        self.lease.is_valid()
    }

    #[napi]
    pub fn pin(&self) -> bool {
        self.lease.pin()
    }

    #[napi]
    pub fn unpin(&self) {
        self.lease.unpin();
    }

    /// Detaches the view, if one was asked for, or turns its bytes into zeros where it was moved away, and ends the lease.
    #[napi]
    pub fn release(&self, env: &Env, buffer: Option<Object>) -> Result<bool> {
        let escaped = buffer.map(|buffer| detach(env, &buffer)).transpose()? == Some(false);
        Ok(self.lease.release(escaped))
    }
}

#[napi]
pub struct LodgeReservation {
    reservation: Option<Reservation>,
}

#[napi]
impl LodgeReservation {
    /// Where the payload is to be written. It must be given to `publish`.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn buffer<'a>(&self, env: &'a Env) -> Result<Unknown<'a>> {
        let gone = || Error::new(Status::GenericFailure, "the reservation was published or given up");
        let reservation = self.reservation.as_ref().ok_or_else(gone)?;
        external_buffer::<Mapping>(env, reservation.bytes(), reservation.memory())
    }

    /// `None` when the buffer was moved away, so that somebody could still write to it, or the store was closed.
    #[napi]
    pub fn publish(&mut self, env: &Env, buffer: Object) -> Result<Option<LodgeToken>> {
        let Some(reservation) = self.reservation.take() else { return Ok(None) };
        if !detach(env, &buffer)? {
            // Its pages can never be used again.
            std::mem::forget(reservation);
            return Ok(None);
        }
        Ok(reservation.publish().as_ref().map(written))
    }

    #[napi]
    pub fn give_up(&mut self, env: &Env, buffer: Object) -> Result<()> {
        if let Some(reservation) = self.reservation.take()
            && !detach(env, &buffer)?
        {
            std::mem::forget(reservation);
        }
        Ok(())
    }
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
