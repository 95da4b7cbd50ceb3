//! Frames of `abacus/1` (sdk/PROTOCOL.md): u32 length, little-endian; a byte for the type; a msgpack map.

use millrace_calculator::msgpack::{Item, NotMsgpack, Reader};
use std::fmt;

pub const PROTOCOL: &str = "abacus/1";
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

const HEAD_BYTES: usize = 5;

/// Codes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    Hello = 1,
    Welcome,
    Ready,
    Refused,
    Credit,
    Batch,
    Result,
    Cancel,
    Snapshot,
    State,
    Restore,
    Ping,
    Pong,
    Drain,
    Bye,
}

impl FrameType {
    const ALL: [Self; 15] = [
        Self::Hello,
        Self::Welcome,
        Self::Ready,
        Self::Refused,
        Self::Credit,
        Self::Batch,
        Self::Result,
        Self::Cancel,
        Self::Snapshot,
        Self::State,
        Self::Restore,
        Self::Ping,
        Self::Pong,
        Self::Drain,
        Self::Bye,
    ];

    fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }
}

/// The bytes are no frame.
#[derive(Debug)]
pub struct FrameError(String);

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<NotMsgpack> for FrameError {
    fn from(error: NotMsgpack) -> Self {
        Self(error.to_string())
    }
}

/// A frame with a body that is a whole msgpack map.
pub struct Frame {
    pub is: FrameType,
    pub body: Vec<u8>,
}

impl Frame {
    /// A field as msgpack; nil where there is none.
    pub fn field(&self, name: &str) -> Result<&[u8], FrameError> {
        let mut reader = Reader::new(&self.body);
        let Item::Map(n) = reader.item()? else { return Err(FrameError("a frame without a map".to_owned())) };
        for _ in 0..n {
            let Item::Text(key) = reader.item()? else { return Err(FrameError("a key that is no text".to_owned())) };
            let value = reader.skip()?;
            if key == name {
                return Ok(value);
            }
        }
        Ok(&[0xc0])
    }
}

pub fn encode(is: FrameType, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(&(body.len() as u32 + 1).to_le_bytes());
    bytes.push(is as u8);
    bytes.extend_from_slice(body);
    bytes
}

/// Cuts a stream of bytes into frames.
#[derive(Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
}

impl FrameReader {
    pub fn feed(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole frame.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((head, code)) = self.bytes.first_chunk::<4>().zip(self.bytes.get(4)) else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if !(1..=FRAME_BYTES_MAX).contains(&length) {
            return Err(FrameError(format!("a frame of {length} bytes")));
        }
        let is = FrameType::of(*code).ok_or_else(|| FrameError(format!("a frame of type {code}")))?;
        let Some(body) = self.bytes.get(HEAD_BYTES..4 + length) else { return Ok(None) };
        let mut reader = Reader::new(body);
        if !matches!(Reader::new(body).item()?, Item::Map(_)) {
            return Err(FrameError("a frame without a map".to_owned()));
        }
        reader.skip()?;
        if !reader.rest().is_empty() {
            return Err(FrameError("a frame with more than a map".to_owned()));
        }
        let body = body.to_vec();
        self.bytes.drain(..4 + length);
        Ok(Some(Frame { is, body }))
    }
}
