//! The payloads of a batch: where the host has pinned them, mapped read-only when the calculator asks for one, and unmapped when
//! it gives it back, at the latest when the batch is done. Nothing is copied.

use libc::{MAP_FAILED, MAP_PRIVATE, PROT_READ, munmap};
use millrace_calculator::abi::{FAILED, OK, Payload, Payloads as Table};
use millrace_calculator::msgpack::unpack;
use millrace_calculator::{Format, Value};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a payload lies.
struct Place {
    path: String,
    offset: u64,
    length: usize,
    format: Format,
}

/// Whole pages around a payload.
struct Mapping {
    at: *mut c_void,
    length: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` made it, and what it was lent for is over.
        unsafe { munmap(self.at, self.length) };
    }
}

/// A code and what happened.
type Refused = (&'static CStr, String);

#[derive(Default)]
struct Batch {
    /// None where no reference can be opened.
    places: Option<HashMap<String, Place>>,
    open: HashMap<usize, Mapping>,
    handles: usize,
    opens: u64,
    /// Texts that the calculator was given.
    said: Vec<CString>,
}

// SAFETY: nothing of a mapping belongs to a thread.
unsafe impl Send for Batch {}

/// What the calculator's library is given: it may ask on any thread.
pub struct Payloads {
    batch: Arc<Mutex<Batch>>,
    table: Arc<Table>,
}

impl Default for Payloads {
    fn default() -> Self {
        let batch = Arc::new(Mutex::new(Batch::default()));
        let context = Arc::as_ptr(&batch).cast_mut().cast();
        let table = Table { struct_size: size_of::<Table>() as u32, reserved: 0, context, open, close };
        Self { batch, table: Arc::new(table) }
    }
}

impl Payloads {
    /// Good for as long as this value.
    pub fn table(&self) -> *const Table {
        Arc::as_ptr(&self.table)
    }

    /// `places`: a map of msgpack by the SHA-256 of what the rows name, or nil; none where no reference can be opened.
    pub fn begin(&self, places: Option<&[u8]>) -> Result<(), String> {
        let places = places.map(places_of).transpose()?;
        self.batch().places = places;
        Ok(())
    }

    /// Everything that was opened is unmapped.
    pub fn end(&self) {
        let mut batch = self.batch();
        batch.places = None;
        batch.open.clear();
        batch.said.clear();
    }

    /// How many were opened since it was last asked.
    pub fn take_opens(&self) -> u64 {
        std::mem::take(&mut self.batch().opens)
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        lock(&self.batch)
    }
}

fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn places_of(packed: &[u8]) -> Result<HashMap<String, Place>, String> {
    let wrong = || "the places of payloads are not as the protocol says".to_owned();
    match unpack(packed).map_err(|_| wrong())? {
        Value::Nil => Ok(HashMap::new()),
        Value::Map(fields) => fields
            .into_iter()
            .map(|(sha256, place)| Some((sha256, place_of(&place)?)))
            .collect::<Option<_>>()
            .ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn place_of(value: &Value) -> Option<Place> {
    Some(Place {
        path: value.get("path").as_str()?.to_owned(),
        offset: value.get("offset").as_i64()?.try_into().ok()?,
        length: value.get("length").as_i64()?.try_into().ok()?,
        format: Format::named(value.get("format").as_str()?)?,
    })
}

/// Pages of the file that the payload lies in. One that ends before the payload does is refused: to read there would be a fault.
fn map(place: &Place) -> Result<(Mapping, *const u8), Refused> {
    let Place { path, offset, length, .. } = place;
    let failed = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::NotFound { c"PAYLOAD-MISSING" } else { c"CALC-THREW" };
        (code, format!("{path} cannot be mapped: {error}"))
    };
    let file = File::open(path).map_err(failed)?;
    let end = offset.checked_add(*length as u64);
    if !end.is_some_and(|end| file.metadata().is_ok_and(|about| end <= about.len())) {
        return Err((c"PAYLOAD-MISSING", format!("{path} ends before the payload does")));
    }
    let before = (offset % page_bytes()) as usize;
    let (from, length) = (offset - before as u64, before + length);
    // SAFETY: a new mapping of a file that is open; it outlives the descriptor.
    let at =
        unsafe { libc::mmap(ptr::null_mut(), length, PROT_READ, MAP_PRIVATE, file.as_raw_fd(), from as libc::off_t) };
    if at == MAP_FAILED {
        return Err(failed(io::Error::last_os_error()));
    }
    Ok((Mapping { at, length }, at.cast::<u8>().cast_const().wrapping_add(before)))
}

fn page_bytes() -> u64 {
    // SAFETY: asks for a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

impl Batch {
    fn open(&mut self, sha256: &[u8], payload: &mut Payload) -> Result<(), Refused> {
        let why = "references to payloads cannot be opened where this calculator runs";
        let places = self.places.as_ref().ok_or_else(|| (c"PAYLOAD-UNREACHABLE", why.to_owned()))?;
        let place = std::str::from_utf8(sha256).ok().and_then(|sha256| places.get(sha256));
        let place = place.ok_or_else(|| (c"PAYLOAD-VALUE", "only payloads of the row can be opened".to_owned()))?;
        (payload.length, payload.format) = (place.length, place.format as u32);
        self.handles += 1;
        payload.handle = self.handles;
        if place.length > 0 {
            let (mapping, bytes) = map(place)?;
            payload.bytes = bytes;
            self.open.insert(self.handles, mapping);
        }
        self.opens += 1;
        Ok(())
    }

    fn say(&mut self, (code, why): Refused, payload: &mut Payload) {
        let why = CString::new(why.replace('\0', "")).unwrap_or_default();
        (payload.code, payload.why) = (code.as_ptr(), why.as_ptr());
        self.said.push(why);
    }
}

unsafe extern "C" fn open(context: *mut c_void, sha256: *const c_char, length: usize, payload: *mut Payload) -> i32 {
    // SAFETY: every version of the structure begins with its size; one that is too short is none of ours to write.
    if unsafe { (*payload).struct_size as usize } < size_of::<Payload>() {
        return FAILED;
    }
    // SAFETY: the table's own context, which outlives the calculator; the rest as the header says.
    let (batch, payload) = unsafe { (&*context.cast::<Mutex<Batch>>(), &mut *payload) };
    let sha256 = unsafe { std::slice::from_raw_parts(sha256.cast::<u8>(), length) };
    *payload = Payload::empty();
    let mut batch = lock(batch);
    match batch.open(sha256, payload) {
        Ok(()) => OK,
        Err(refused) => {
            *payload = Payload::empty();
            batch.say(refused, payload);
            FAILED
        }
    }
}

unsafe extern "C" fn close(context: *mut c_void, payload: *mut Payload) {
    // SAFETY: as in `open`.
    let (batch, payload) = unsafe { (&*context.cast::<Mutex<Batch>>(), &mut *payload) };
    lock(batch).open.remove(&payload.handle);
    *payload = Payload::empty();
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_calculator::msgpack::pack;
    use std::path::PathBuf;

    fn file_of(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("millrace-payloads-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn places(path: &str, offset: i64, length: i64) -> Vec<u8> {
        let place = Value::map([
            ("path", path.into()),
            ("offset", offset.into()),
            ("length", length.into()),
            ("format", "npy".into()),
        ]);
        pack(&Value::map([("ab", place)]))
    }

    fn ask(payloads: &Payloads, sha256: &str) -> (i32, Payload) {
        let mut payload = Payload::empty();
        let table = unsafe { &*payloads.table() };
        let status = unsafe { (table.open)(table.context, sha256.as_ptr().cast(), sha256.len(), &mut payload) };
        (status, payload)
    }

    fn code(payload: &Payload) -> &str {
        unsafe { CStr::from_ptr(payload.code) }.to_str().unwrap()
    }

    /// The file that an address is mapped from, as the kernel says.
    fn mapped_from(at: *const u8) -> Option<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let is_in =
                (usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?).contains(&(at as usize));
            is_in.then(|| rest.split_whitespace().nth(4).unwrap_or_default().to_owned())
        })
    }

    #[test]
    fn a_payload_is_the_files_own_pages_until_it_is_given_back() {
        let path = file_of("pages", &[vec![0; 5000], vec![7; 9000], vec![0; 100]].concat());
        let name = path.to_str().unwrap();
        let payloads = Payloads::default();
        payloads.begin(Some(&places(name, 5000, 9000))).unwrap();
        let (status, mut payload) = ask(&payloads, "ab");
        assert_eq!((status, payload.length, payload.format), (OK, 9000, Format::Npy as u32));
        let bytes = unsafe { std::slice::from_raw_parts(payload.bytes, payload.length) };
        assert!(bytes.iter().all(|byte| *byte == 7));
        assert_eq!(mapped_from(payload.bytes).as_deref(), Some(name));
        let (_, other) = ask(&payloads, "ab");
        assert_eq!(payloads.take_opens(), 2);
        let table = unsafe { &*payloads.table() };
        let at = payload.bytes;
        unsafe { (table.close)(table.context, &mut payload) };
        assert_ne!(mapped_from(at).as_deref(), Some(name));
        payloads.end();
        assert_ne!(mapped_from(other.bytes).as_deref(), Some(name));
        assert_eq!(payloads.take_opens(), 0);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_has_a_code_and_counts_for_nothing() {
        let path = file_of("short", &[1; 100]);
        let payloads = Payloads::default();
        assert_eq!(code(&ask(&payloads, "ab").1), "PAYLOAD-UNREACHABLE");
        payloads.begin(Some(&[0xc0])).unwrap();
        assert_eq!(code(&ask(&payloads, "ab").1), "PAYLOAD-VALUE");
        payloads.begin(Some(&places(path.to_str().unwrap(), 50, 60))).unwrap();
        let (status, payload) = ask(&payloads, "ab");
        assert_eq!((status, code(&payload), payload.bytes.is_null()), (FAILED, "PAYLOAD-MISSING", true));
        payloads.begin(Some(&places(path.to_str().unwrap(), 50, i64::MAX))).unwrap();
        assert_eq!(code(&ask(&payloads, "ab").1), "PAYLOAD-MISSING");
        payloads.begin(Some(&places("/nowhere/at/all", 0, 1))).unwrap();
        assert_eq!(code(&ask(&payloads, "ab").1), "PAYLOAD-MISSING");
        payloads.begin(Some(&places("/proc", 0, 0))).unwrap();
        assert_eq!(ask(&payloads, "ab").0, OK);
        payloads.end();
        assert_eq!(payloads.take_opens(), 1);
        assert!(payloads.begin(Some(&places(path.to_str().unwrap(), -1, 1))).is_err());
        assert!(payloads.begin(Some(&[0x93])).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
