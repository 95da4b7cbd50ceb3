//! CSV records (RFC 4180) under a header that TypeScript has read; what a cell is follows streams/src/file/csv-format.ts.

use crate::arena::{Escapes, Written};
use crate::number::number_at;
use crate::output::{Kind, Output, Run};
use crate::texts::Texts;
use crate::{CR, LF, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// By what it looks like.
    Any,
    Text,
    Number,
    Boolean,
}

/// What a byte outside of quotes means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    /// Ends a cell, or the record.
    End,
    /// Part of a character of several bytes.
    Wide,
    Refused,
}

const QUOTE: u8 = b'"';
/// Larger integers are identifiers: a double cannot tell them from their neighbours.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

pub struct CsvRecords {
    delimiter: u8,
    types: Vec<CellType>,
    /// `None`: the texts of the field hardly repeat.
    texts: Vec<Option<Texts>>,
    record_bytes_max: usize,
    classes: [Class; 256],
}

impl CsvRecords {
    /// The delimiter is an ASCII character that means nothing else.
    pub fn new(delimiter: u8, types: Vec<CellType>, record_bytes_max: usize) -> Option<Self> {
        if !delimiter.is_ascii() || [0, QUOTE, CR, LF].contains(&delimiter) {
            return None;
        }
        let mut classes = [Class::Plain; 256];
        classes[128..].fill(Class::Wide);
        classes[0] = Class::Refused;
        classes[usize::from(LF)] = Class::End;
        classes[usize::from(delimiter)] = Class::End;
        let texts = types.iter().map(|_| Some(Texts::new())).collect();
        Some(Self { delimiter, types, texts, record_bytes_max, classes })
    }

    pub fn fields(&self) -> usize {
        self.types.len()
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
        while output.has_room(self.types.len()) {
            if let Some(end) = blank_end(bytes, next) {
                next = end;
                continue;
            }
            match self.record(bytes, next, output) {
                Ok(end) => {
                    output.end_row(end);
                    next = end;
                }
                Err(refusal) => {
                    is_refused = refusal == Refusal::Unusual;
                    break;
                }
            }
        }
        output.finish(next, is_refused)
    }

    /// Index behind the record's line end.
    fn record(&mut self, bytes: &[u8], start: usize, output: &mut Output<'_>) -> Result<usize, Refusal> {
        let mut at = start;
        for field in 0..self.types.len() {
            let cell = if bytes.get(at) == Some(&QUOTE) {
                self.quoted_cell(bytes, at + 1)?
            } else {
                self.plain_cell(bytes, at)?
            };
            self.put(field, &cell, bytes, output)?;
            let is_last = field + 1 == self.types.len();
            if (bytes[cell.behind] == LF) != is_last {
                return Err(Refusal::Unusual);
            }
            at = cell.behind + 1;
        }
        if at - start > self.record_bytes_max { Err(Refusal::Unusual) } else { Ok(at) }
    }

    fn plain_cell(&self, bytes: &[u8], start: usize) -> Result<Cell, Refusal> {
        let mut at = start;
        let mut is_wide = false;
        loop {
            let byte = *bytes.get(at).ok_or(Refusal::Open)?;
            match self.classes[usize::from(byte)] {
                Class::Plain => {}
                Class::Wide => is_wide = true,
                Class::Refused => return Err(Refusal::Unusual),
                Class::End => break,
            }
            at += 1;
        }
        let has_return = bytes[at] == LF && at > start && bytes[at - 1] == CR;
        Ok(Cell {
            start,
            end: at - usize::from(has_return),
            behind: at,
            is_quoted: false,
            escapes: Escapes::None,
            is_wide,
        })
    }

    /// A cell whose content begins at `start`. It may hold lines.
    fn quoted_cell(&self, bytes: &[u8], start: usize) -> Result<Cell, Refusal> {
        let mut at = start;
        let mut escapes = Escapes::None;
        let mut is_wide = false;
        loop {
            if at - start > self.record_bytes_max {
                return Err(Refusal::Unusual);
            }
            match *bytes.get(at).ok_or(Refusal::Open)? {
                QUOTE if bytes.get(at + 1) == Some(&QUOTE) => {
                    escapes = Escapes::Quotes;
                    at += 1;
                }
                QUOTE => break,
                0 => return Err(Refusal::Unusual),
                byte => is_wide |= !byte.is_ascii(),
            }
            at += 1;
        }
        let behind = match (bytes.get(at + 1), bytes.get(at + 2)) {
            (Some(&CR), Some(&LF)) => at + 2,
            (Some(&byte), _) if byte == LF || byte == self.delimiter => at + 1,
            (None, _) | (Some(&CR), None) => return Err(Refusal::Open),
            _ => return Err(Refusal::Unusual),
        };
        Ok(Cell { start, end: at, behind, is_quoted: true, escapes, is_wide })
    }

    fn put(&mut self, field: usize, cell: &Cell, bytes: &[u8], output: &mut Output<'_>) -> Result<(), Refusal> {
        let content = &bytes[cell.start..cell.end];
        let cell_type = self.types[field];
        if content.is_empty() && !cell.is_quoted {
            output.put(field, Kind::Null, 0);
            return Ok(());
        }
        let is_text = cell_type == CellType::Text || (cell.is_quoted && cell_type == CellType::Any);
        if !is_text {
            if cell_type != CellType::Number && (content == b"true" || content == b"false") {
                output.put(field, Kind::Boolean, u64::from(content == b"true"));
                return Ok(());
            }
            if let Some(number) = number_of(content).filter(|_| cell_type != CellType::Boolean) {
                output.put(field, Kind::Number, number.to_bits());
                return Ok(());
            }
            if cell_type != CellType::Any {
                return Err(Refusal::Unusual);
            }
        }
        let text = Written { bytes: content, escapes: cell.escapes, is_wide: cell.is_wide };
        output.put_text(field, self.texts[field].as_mut(), &text)
    }
}

/// Content at `start..end`; the delimiter or line end is at `behind`.
struct Cell {
    start: usize,
    end: usize,
    behind: usize,
    is_quoted: bool,
    escapes: Escapes,
    is_wide: bool,
}

/// Index behind the line end of an empty line at `at`.
fn blank_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(&LF), _) => Some(at + 1),
        (Some(&CR), Some(&LF)) => Some(at + 2),
        _ => None,
    }
}

fn number_of(content: &[u8]) -> Option<f64> {
    let (number, end) = number_at(content, 0)?;
    let is_identifier = number.fract() == 0.0 && number.abs() > SAFE_INTEGER_MAX;
    (end == content.len() && number.is_finite() && !is_identifier).then_some(number)
}
