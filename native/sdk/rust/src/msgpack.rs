//! The part of msgpack that the protocol uses: nil, booleans, integers, float 64, text, bytes, lists, maps with text keys.
//!
//! Written in the shortest form. A message's number has no type of its own, so a float 64 that is whole and at most 2^53 in
//! magnitude is read as an integer.

use crate::Value;

/// Deeper values are refused, before they exhaust the stack.
pub const DEPTH_MAX: usize = 200;
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMsgpack;

impl std::fmt::Display for NotMsgpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not msgpack")
    }
}

impl std::error::Error for NotMsgpack {}

pub fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value);
    out
}

pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(is) => out.push(if *is { 0xc3 } else { 0xc2 }),
        Value::Int(n) => write_int(out, *n),
        Value::Float(n) => {
            out.push(0xcb);
            out.extend_from_slice(&n.to_be_bytes());
        }
        Value::Text(text) => {
            write_head(out, text.len(), Some((0xa0, 32)), Some(0xd9), 0xda);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            write_head(out, bytes.len(), None, Some(0xc4), 0xc5);
            out.extend_from_slice(bytes);
        }
        Value::List(items) => {
            write_list(out, items.len());
            for item in items {
                write(out, item);
            }
        }
        Value::Map(fields) => {
            write_head(out, fields.len(), Some((0x80, 16)), None, 0xde);
            for (name, field) in fields {
                write_head(out, name.len(), Some((0xa0, 32)), Some(0xd9), 0xda);
                out.extend_from_slice(name.as_bytes());
                write(out, field);
            }
        }
    }
}

/// The head of a list of `n` items, which follow.
pub fn write_list(out: &mut Vec<u8>, n: usize) {
    write_head(out, n, Some((0x90, 16)), None, 0xdc);
}

/// `two` is the code with 16 bits of length, the next one has 32.
fn write_head(out: &mut Vec<u8>, n: usize, fix: Option<(u8, usize)>, one: Option<u8>, two: u8) {
    match (fix, one) {
        (Some((code, below)), _) if n < below => out.push(code | n as u8),
        (_, Some(code)) if n < 0x100 => out.extend_from_slice(&[code, n as u8]),
        _ if n < 0x1_0000 => {
            out.push(two);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        _ => {
            out.push(two + 1);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
    }
}

fn write_int(out: &mut Vec<u8>, n: i64) {
    let (code, bytes) = match n {
        -0x20..0x80 => return out.push(n as u8),
        0x80..0x100 => (0xcc, 1),
        0x100..0x1_0000 => (0xcd, 2),
        0x1_0000..0x1_0000_0000 => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80.. => (0xd0, 1),
        -0x8000.. => (0xd1, 2),
        -0x8000_0000.. => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(&n.to_be_bytes()[8 - bytes..]);
}

/// Exactly one value.
pub fn unpack(bytes: &[u8]) -> Result<Value, NotMsgpack> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    if reader.rest().is_empty() { Ok(value) } else { Err(NotMsgpack) }
}

/// A scalar, or the head of what follows: so many items or fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Beyond `i64`.
    Large(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(usize),
    Map(usize),
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn value(&mut self) -> Result<Value, NotMsgpack> {
        self.nested(0)
    }

    /// Passes one value; its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], NotMsgpack> {
        let before = self.bytes;
        self.skip_nested(0)?;
        Ok(&before[..before.len() - self.bytes.len()])
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), NotMsgpack> {
        let values = match self.item()? {
            Item::List(n) => n,
            Item::Map(n) => n * 2,
            _ => 0,
        };
        if depth > DEPTH_MAX {
            return Err(NotMsgpack);
        }
        for _ in 0..values {
            self.skip_nested(depth + 1)?;
        }
        Ok(())
    }

    fn nested(&mut self, depth: usize) -> Result<Value, NotMsgpack> {
        if depth > DEPTH_MAX {
            return Err(NotMsgpack);
        }
        Ok(match self.item()? {
            Item::Nil => Value::Nil,
            Item::Bool(is) => Value::Bool(is),
            Item::Int(n) => Value::Int(n),
            Item::Large(n) => Value::Float(n as f64),
            Item::Float(n) if n.fract() == 0.0 && n.abs() <= WHOLE_MAX => Value::Int(n as i64),
            Item::Float(n) => Value::Float(n),
            Item::Text(text) => Value::Text(text.to_owned()),
            Item::Bytes(bytes) => Value::Bytes(bytes.to_owned()),
            Item::List(n) => Value::List((0..n).map(|_| self.nested(depth + 1)).collect::<Result<_, _>>()?),
            Item::Map(n) => Value::Map((0..n).map(|_| self.field(depth)).collect::<Result<_, _>>()?),
        })
    }

    fn field(&mut self, depth: usize) -> Result<(String, Value), NotMsgpack> {
        let Item::Text(name) = self.item()? else { return Err(NotMsgpack) };
        Ok((name.to_owned(), self.nested(depth + 1)?))
    }

    pub fn item(&mut self) -> Result<Item<'a>, NotMsgpack> {
        let [code] = self.array()?;
        Ok(match code {
            0x00..0x80 => Item::Int(i64::from(code)),
            0x80..0x90 => self.items(Item::Map, usize::from(code & 0x0f))?,
            0x90..0xa0 => self.items(Item::List, usize::from(code & 0x0f))?,
            0xa0..0xc0 => self.text(usize::from(code & 0x1f))?,
            0xc0 => Item::Nil,
            0xc2 => Item::Bool(false),
            0xc3 => Item::Bool(true),
            0xc4..=0xc6 => {
                let n = self.length(code - 0xc4)?;
                Item::Bytes(self.take(n)?)
            }
            0xca => Item::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Item::Float(f64::from_be_bytes(self.array()?)),
            0xcc..=0xcf => self.unsigned(code - 0xcc)?,
            0xd0..=0xd3 => self.signed(code - 0xd0)?,
            0xd9..=0xdb => {
                let n = self.length(code - 0xd9)?;
                self.text(n)?
            }
            0xdc | 0xdd => {
                let n = self.length(code - 0xdb)?;
                self.items(Item::List, n)?
            }
            0xde | 0xdf => {
                let n = self.length(code - 0xdd)?;
                self.items(Item::Map, n)?
            }
            0xe0..=0xff => Item::Int(i64::from(code as i8)),
            _ => return Err(NotMsgpack),
        })
    }

    /// Every item takes a byte: a count that cannot be true is not believed.
    fn items(&self, make: fn(usize) -> Item<'a>, n: usize) -> Result<Item<'a>, NotMsgpack> {
        if n > self.bytes.len() { Err(NotMsgpack) } else { Ok(make(n)) }
    }

    fn text(&mut self, n: usize) -> Result<Item<'a>, NotMsgpack> {
        std::str::from_utf8(self.take(n)?).map(Item::Text).map_err(|_| NotMsgpack)
    }

    fn length(&mut self, size: u8) -> Result<usize, NotMsgpack> {
        Ok(match size {
            0 => usize::from(u8::from_be_bytes(self.array()?)),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn unsigned(&mut self, size: u8) -> Result<Item<'a>, NotMsgpack> {
        if size < 3 {
            return Ok(Item::Int(self.length(size)? as i64));
        }
        let n = u64::from_be_bytes(self.array()?);
        Ok(i64::try_from(n).map_or(Item::Large(n), Item::Int))
    }

    fn signed(&mut self, size: u8) -> Result<Item<'a>, NotMsgpack> {
        Ok(Item::Int(match size {
            0 => i64::from(i8::from_be_bytes(self.array()?)),
            1 => i64::from(i16::from_be_bytes(self.array()?)),
            2 => i64::from(i32::from_be_bytes(self.array()?)),
            _ => i64::from_be_bytes(self.array()?),
        }))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], NotMsgpack> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(NotMsgpack)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotMsgpack> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(NotMsgpack)?;
        self.bytes = rest;
        Ok(*taken)
    }
}
