//! NDJSON records of one shape: objects with the same fields in the same order.

use crate::arena::{Escapes, Written};
use crate::number::number_at;
use crate::output::{Kind, Output, Run};
use crate::texts::Texts;
use crate::{CR, LF, Refusal};

/// Deeper values are left to TypeScript.
const DEPTH_MAX: u32 = 60;

pub struct JsonRecords {
    /// Each as it is written, its quotes included.
    names: Vec<Vec<u8>>,
    /// `None`: the texts of the field hardly repeat.
    texts: Vec<Option<Texts>>,
    record_bytes_max: usize,
}

impl JsonRecords {
    /// Names are written without escapes.
    pub fn new(names: &[String], record_bytes_max: usize) -> Self {
        let quoted = |name: &String| format!("\"{name}\"").into_bytes();
        let texts = names.iter().map(|_| Some(Texts::new())).collect();
        Self { names: names.iter().map(quoted).collect(), texts, record_bytes_max }
    }

    pub fn fields(&self) -> usize {
        self.names.len()
    }

    /// Begins the field's list of texts anew, or has none from now on.
    pub fn list_texts(&mut self, field: usize, is_listed: bool) {
        if let Some(texts) = self.texts.get_mut(field) {
            *texts = is_listed.then(Texts::new);
        }
    }

    /// Takes records from the one that begins at `from`, until one is refused or not whole, or there is no more room.
    pub fn read(&mut self, bytes: &[u8], from: usize, output: &mut Output<'_>) -> Run {
        let mut next = from;
        let mut is_refused = false;
        while output.has_room(self.names.len()) {
            match self.line(bytes, next, output) {
                Ok(end) => next = end,
                Err(refusal) => {
                    is_refused = refusal == Refusal::Unusual;
                    break;
                }
            }
        }
        output.finish(next, is_refused)
    }

    /// A record or a blank line; index behind it.
    fn line(&mut self, bytes: &[u8], start: usize, output: &mut Output<'_>) -> Result<usize, Refusal> {
        let mut text = Scanner { bytes, at: start };
        text.skip_spaces();
        if text.peek()? == LF {
            return Ok(text.at + 1);
        }
        self.record(&mut text, output)?;
        text.skip_spaces();
        text.take(LF)?;
        if text.at - start > self.record_bytes_max {
            return Err(Refusal::Unusual);
        }
        output.end_row(text.at);
        Ok(text.at)
    }

    fn record(&mut self, text: &mut Scanner<'_>, output: &mut Output<'_>) -> Result<(), Refusal> {
        text.take(b'{')?;
        for field in 0..self.names.len() {
            if field > 0 {
                text.skip_spaces();
                text.take(b',')?;
            }
            text.skip_spaces();
            text.take_all(&self.names[field])?;
            text.skip_spaces();
            text.take(b':')?;
            text.skip_spaces();
            self.value(field, text, output)?;
        }
        text.skip_spaces();
        text.take(b'}')
    }

    fn value(&mut self, field: usize, text: &mut Scanner<'_>, output: &mut Output<'_>) -> Result<(), Refusal> {
        let start = text.at;
        match text.peek()? {
            b'"' => {
                let string = text.string()?;
                output.put_text(field, self.texts[field].as_mut(), &string)?;
            }
            b'{' | b'[' => {
                let is_wide = text.nested()?;
                let json = Written { bytes: &text.bytes[start..text.at], escapes: Escapes::None, is_wide };
                output.put_json(field, &json)?;
            }
            b't' => {
                text.take_all(b"true")?;
                output.put(field, Kind::Boolean, 1);
            }
            b'f' => {
                text.take_all(b"false")?;
                output.put(field, Kind::Boolean, 0);
            }
            b'n' => {
                text.take_all(b"null")?;
                output.put(field, Kind::Null, 0);
            }
            _ => {
                let (number, end) = number_at(text.bytes, text.at).ok_or(Refusal::Unusual)?;
                text.at = end;
                output.put(field, Kind::Number, number.to_bits());
            }
        }
        Ok(())
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Result<u8, Refusal> {
        self.bytes.get(self.at).copied().ok_or(Refusal::Open)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | &CR)) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.peek()? != byte {
            return Err(Refusal::Unusual);
        }
        self.at += 1;
        Ok(())
    }

    fn take_all(&mut self, expected: &[u8]) -> Result<(), Refusal> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(expected) {
            self.at += expected.len();
            return Ok(());
        }
        Err(if expected.starts_with(rest) { Refusal::Open } else { Refusal::Unusual })
    }

    /// What stands between quotes.
    fn string(&mut self) -> Result<Written<'a>, Refusal> {
        self.at += 1;
        let start = self.at;
        let mut escapes = Escapes::None;
        let mut is_wide = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escapes = Escapes::Backslashes;
                    self.escape()?;
                }
                0..=0x1f => return Err(Refusal::Unusual),
                byte => is_wide |= !byte.is_ascii(),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(Written { bytes: &self.bytes[start..self.at - 1], escapes, is_wide })
    }

    /// Stops at the escape's last byte.
    fn escape(&mut self) -> Result<(), Refusal> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek()?.is_ascii_hexdigit() {
                        return Err(Refusal::Unusual);
                    }
                }
                Ok(())
            }
            _ => Err(Refusal::Unusual),
        }
    }

    /// An object or array, whole; whether it has bytes that are not ASCII.
    fn nested(&mut self) -> Result<bool, Refusal> {
        let start = self.at;
        let mut depth = 0;
        // Bit 0 is 1 inside of an object, the bits above say it of what is around.
        let mut objects = 0u64;
        loop {
            let opened = self.peek()?;
            if opened == b'{' || opened == b'[' {
                if depth == DEPTH_MAX {
                    return Err(Refusal::Unusual);
                }
                depth += 1;
                objects = objects << 1 | u64::from(opened == b'{');
                self.at += 1;
                self.skip_spaces();
                if self.peek()? != closing(objects) {
                    self.begin_element(objects)?;
                    continue;
                }
            } else {
                self.scalar(opened)?;
                self.skip_spaces();
            }
            while self.peek()? == closing(objects) {
                self.at += 1;
                objects >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(!self.bytes[start..self.at].is_ascii());
                }
                self.skip_spaces();
            }
            self.take(b',')?;
            self.skip_spaces();
            self.begin_element(objects)?;
        }
    }

    /// The name in front of an object's element.
    fn begin_element(&mut self, objects: u64) -> Result<(), Refusal> {
        if objects & 1 == 0 {
            return Ok(());
        }
        if self.peek()? != b'"' {
            return Err(Refusal::Unusual);
        }
        self.string()?;
        self.skip_spaces();
        self.take(b':')?;
        self.skip_spaces();
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> Result<(), Refusal> {
        match first {
            b'"' => self.string().map(|_| ()),
            b't' => self.take_all(b"true"),
            b'f' => self.take_all(b"false"),
            b'n' => self.take_all(b"null"),
            _ => {
                self.at = number_at(self.bytes, self.at).ok_or(Refusal::Unusual)?.1;
                Ok(())
            }
        }
    }
}

fn closing(objects: u64) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}
