//! Where the cells of a run go: arrays of the caller, column after column.

use crate::Refusal;
use crate::arena::{Arena, Escapes, Placed, Written};
use crate::texts::Texts;

/// What a cell is, and what its slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Null = 0,
    /// The bits of a double.
    Number = 1,
    /// 0 or 1.
    Boolean = 2,
    /// The number of a text in the field's list of distinct ones.
    Known = 3,
    /// Start in the lower half, end in the upper, in the array of Latin-1.
    Text = 4,
    /// The same in the array of UTF-16.
    WideText = 5,
    /// As of a text: an object or array, as JSON.
    Json = 6,
    WideJson = 7,
}

#[derive(Debug, PartialEq, Eq)]
pub struct ShapeError;

impl std::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the arrays do not have room for the rows of these fields")
    }
}

impl std::error::Error for ShapeError {}

/// Numbers for one new text.
const FRESH: usize = 4;

/// What a call did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Rows that were added.
    pub rows: usize,
    /// Index of the first byte that was not taken.
    pub next: usize,
    /// Texts that are new.
    pub fresh: usize,
    /// What begins at `next` is whole, and somebody else's.
    pub is_refused: bool,
}

/// Arrays of the caller. Cell `row` of `field` is at `field * ends.len() + row`.
pub struct Arrays<'a> {
    pub kinds: &'a mut [u8],
    pub slots: &'a mut [u64],
    /// By row: index behind its record in the bytes.
    pub ends: &'a mut [u32],
    /// For each new text of a list its field, start, end, and 1 if it is in the array of UTF-16.
    pub fresh: &'a mut [u32],
    /// By field the kinds of its cells, as bits.
    pub seen: &'a mut [u8],
    /// Texts, each with room for as many as the bytes to read are.
    pub latin: &'a mut [u8],
    pub wide: &'a mut [u16],
}

pub struct Output<'a> {
    kinds: &'a mut [u8],
    slots: &'a mut [u64],
    ends: &'a mut [u32],
    fresh: &'a mut [u32],
    seen: &'a mut [u8],
    arena: Arena<'a>,
    first: usize,
    row: usize,
    rows_max: usize,
    fresh_used: usize,
}

impl<'a> Output<'a> {
    /// For `rows`, read from so many bytes; what is in front of them is there already.
    pub fn new(
        fields: usize,
        arrays: Arrays<'a>,
        rows: std::ops::Range<usize>,
        bytes: usize,
    ) -> Result<Self, ShapeError> {
        let Arrays { kinds, slots, ends, fresh, seen, latin, wide } = arrays;
        let cells = fields * ends.len();
        let fits =
            kinds.len() >= cells && slots.len() >= cells && fresh.len() >= fields * FRESH && seen.len() == fields;
        let arena = Arena::new(latin, wide);
        if !fits || rows.end > ends.len() || rows.start > rows.end || !arena.fits(bytes) {
            return Err(ShapeError);
        }
        let std::ops::Range { start: first, end: rows_max } = rows;
        Ok(Self { kinds, slots, ends, fresh, seen, arena, first, row: first, rows_max, fresh_used: 0 })
    }

    /// Whether one more row of so many fields has room for sure.
    pub(crate) fn has_room(&self, fields: usize) -> bool {
        self.row < self.rows_max && self.fresh.len() - self.fresh_used >= fields * FRESH
    }

    pub(crate) fn put(&mut self, field: usize, kind: Kind, slot: u64) {
        let at = field * self.ends.len() + self.row;
        self.kinds[at] = kind as u8;
        self.slots[at] = slot;
    }

    /// A text, by its number where the field has a list.
    pub(crate) fn put_text(
        &mut self,
        field: usize,
        list: Option<&mut Texts>,
        text: &Written<'_>,
    ) -> Result<(), Refusal> {
        let Some(list) = list else {
            return self.put_placed(field, [Kind::Text, Kind::WideText], text);
        };
        // Before it is in the list, where it would be found again.
        if text.is_wide && std::str::from_utf8(text.bytes).is_err() {
            return Err(Refusal::Unusual);
        }
        let (number, is_new) = list.number_of(text.bytes, text.escapes != Escapes::None);
        self.put(field, Kind::Known, u64::from(number));
        if is_new {
            let Placed { start, end, is_wide } = self.arena.place(text).ok_or(Refusal::Unusual)?;
            let entry = [field as u32, start as u32, end as u32, u32::from(is_wide)];
            self.fresh[self.fresh_used..self.fresh_used + FRESH].copy_from_slice(&entry);
            self.fresh_used += FRESH;
        }
        Ok(())
    }

    pub(crate) fn put_json(&mut self, field: usize, text: &Written<'_>) -> Result<(), Refusal> {
        self.put_placed(field, [Kind::Json, Kind::WideJson], text)
    }

    fn put_placed(&mut self, field: usize, [latin, wide]: [Kind; 2], text: &Written<'_>) -> Result<(), Refusal> {
        let Placed { start, end, is_wide } = self.arena.place(text).ok_or(Refusal::Unusual)?;
        self.put(field, if is_wide { wide } else { latin }, start as u64 | (end as u64) << 32);
        Ok(())
    }

    pub(crate) fn end_row(&mut self, end: usize) {
        self.ends[self.row] = end as u32;
        self.row += 1;
    }

    pub(crate) fn finish(&mut self, next: usize, is_refused: bool) -> Run {
        for (field, seen) in self.seen.iter_mut().enumerate() {
            let start = field * self.ends.len();
            for kind in &self.kinds[start + self.first..start + self.row] {
                *seen |= 1 << kind;
            }
        }
        Run { rows: self.row - self.first, next, fresh: self.fresh_used / FRESH, is_refused }
    }
}
