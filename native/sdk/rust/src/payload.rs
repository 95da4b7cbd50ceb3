//! Payloads: large values that a row names, and whose bytes are read where the host has them.

use crate::abi::{self, OK};
use crate::{Array, Element, Failure, Value, npy};
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;

pub(crate) const KEY: &str = "$payload";

/// What the bytes of a payload are. Millrace does not look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Format {
    Raw,
    Msgpack,
    Json,
    Npy,
    Arrow,
}

impl Format {
    const ALL: [Self; 5] = [Self::Raw, Self::Msgpack, Self::Json, Self::Npy, Self::Arrow];

    pub fn name(self) -> &'static str {
        ["raw", "msgpack", "json", "npy", "arrow"][self as usize]
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    fn numbered(number: u32) -> Self {
        Self::ALL.get(number as usize).copied().unwrap_or(Self::Raw)
    }
}

/// An opened payload. It is given back when it is dropped, at the latest when its message is done: copy what must outlive that.
///
/// ```compile_fail,E0521
/// # use millrace_calculator::{Calculator, Context, Failure, Payload, Value};
/// struct Keeper(Option<Payload<'static>>);
/// impl Calculator for Keeper {
/// #   fn new(_: &Value) -> Result<Self, Failure> {
/// #       Ok(Self(None))
/// #   }
///     fn calculate(&mut self, row: &Value, context: &Context) -> Result<Value, Failure> {
///         self.0 = Some(context.open(row.get("frame"))?);
///         Ok(Value::Nil)
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Payload<'a> {
    held: Held<'a>,
    format: Format,
}

#[derive(Debug)]
enum Held<'a> {
    Lent(Lent<'a>),
    /// One that came inline; words, so that its numbers lie as those of a lent one do.
    Own {
        words: Vec<u64>,
        length: usize,
    },
}

#[derive(Debug)]
struct Lent<'a> {
    host: &'a abi::Payloads,
    bytes: *const u8,
    length: usize,
    handle: usize,
    lifetime: PhantomData<&'a [u8]>,
}

// SAFETY: the bytes are only read, and a host takes a payload back on any thread.
unsafe impl Send for Lent<'_> {}
// SAFETY: as above.
unsafe impl Sync for Lent<'_> {}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut payload = abi::Payload { handle: self.handle, ..abi::Payload::empty() };
        // SAFETY: the host gave the handle, once.
        unsafe { (self.host.close)(self.host.context, &mut payload) };
    }
}

impl Payload<'_> {
    /// Read-only, in place, from an address that 8 divides.
    pub fn bytes(&self) -> &[u8] {
        match &self.held {
            // SAFETY: the host promises them until the payload is given back.
            Held::Lent(lent) => unsafe { std::slice::from_raw_parts(lent.bytes, lent.length) },
            // SAFETY: the words have at least so many bytes.
            Held::Own { words, length } => unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), *length) },
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The array that a payload in NumPy's format holds, as numbers where they lie: nothing is converted, so its type must be `T`.
    #[track_caller]
    pub fn array<T: Element>(&self) -> Result<Array<'_, T>, Failure> {
        if self.format != Format::Npy {
            return Err(Failure::new(format!("a payload in the format {} is no array", self.format.name())));
        }
        npy::array(self.bytes()).map_err(Failure::new)
    }
}

type Refused = (String, String);

pub(crate) fn open<'a>(host: Option<&'a abi::Payloads>, value: &Value) -> Result<Payload<'a>, Refused> {
    let refused = |why: &str| ("PAYLOAD-VALUE".to_owned(), why.to_owned());
    let body = value.get(KEY);
    let named = body.get("format").as_str().and_then(Format::named);
    let format = named.ok_or_else(|| refused("the value that was to be opened is no payload"))?;
    if let Some(text) = body.get("base64").as_str() {
        let bytes = decode(text).ok_or_else(|| refused("the bytes of a payload are no base64"))?;
        return Ok(Payload { held: own(&bytes), format });
    }
    let sha256 = body.get("sha256").as_str().unwrap_or_default();
    let why = "references to payloads cannot be opened where this calculator runs (WebAssembly, or inline)";
    let host = host.ok_or_else(|| ("PAYLOAD-UNREACHABLE".to_owned(), why.to_owned()))?;
    let name = CString::new(sha256).map_err(|_| refused("only payloads of the row can be opened"))?;
    let mut payload = abi::Payload::empty();
    // SAFETY: as the header says; the text lives for the call.
    let status = unsafe { (host.open)(host.context, name.as_ptr(), sha256.len(), &mut payload) };
    if status != OK {
        // SAFETY: texts of the host's, or none.
        return Err(unsafe { (text(payload.code, "PAYLOAD-VALUE"), text(payload.why, "it does not say why")) });
    }
    let abi::Payload { bytes, length, handle, format, .. } = payload;
    let bytes = if length == 0 { std::ptr::NonNull::<u64>::dangling().as_ptr().cast() } else { bytes };
    let held = Held::Lent(Lent { host, bytes, length, handle, lifetime: PhantomData });
    Ok(Payload { held, format: Format::numbered(format) })
}

unsafe fn text(chars: *const c_char, otherwise: &str) -> String {
    if chars.is_null() {
        return otherwise.to_owned();
    }
    // SAFETY: it ends with a zero.
    unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned()
}

fn own<'a>(bytes: &[u8]) -> Held<'a> {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    Held::Own { words: words.collect(), length: bytes.len() }
}

/// Base64 with padding (RFC 4648, section 4).
fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = text.len() - text.trim_end_matches('=').len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for quad in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for &character in quad {
            bits = bits << 6 | u32::from(sextet(character)?);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    if text[..text.len() - padding].contains('=') {
        return None;
    }
    bytes.truncate(bytes.len() - padding);
    Some(bytes)
}

fn sextet(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_what_is_none_refused() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in ["Z", "Zg=", "Zg==Zg==", "Z===", "Zm9*", "====", "Zm 9"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn an_inline_payload_is_opened_without_a_host_and_a_reference_is_not() {
        let body = Value::map([("format", "raw".into()), ("base64", "Zm9v".into())]);
        let inline = Value::map([(KEY, body)]);
        let opened = open(None, &inline).unwrap();
        assert_eq!((opened.bytes(), opened.format()), (&b"foo"[..], Format::Raw));
        let body = Value::map([("format", "npy".into()), ("sha256", "ab".into()), ("length", 3_i64.into())]);
        assert_eq!(open(None, &Value::map([(KEY, body)])).unwrap_err().0, "PAYLOAD-UNREACHABLE");
        assert_eq!(open(None, &Value::Int(3)).unwrap_err().0, "PAYLOAD-VALUE");
    }
}
