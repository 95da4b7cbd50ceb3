//! One loop for each kind of cell.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// All of a group.
    Messages,
    /// Those whose value is null.
    Nulls,
    Sum,
    Min,
    Max,
}

impl Fold {
    /// Value of a cell that has seen nothing.
    pub fn initial(self) -> f64 {
        match self {
            Fold::Min => f64::INFINITY,
            Fold::Max => f64::NEG_INFINITY,
            _ => 0.0,
        }
    }
}

#[derive(Clone, Copy)]
pub struct CellSpec {
    pub fold: Fold,
    /// Number of the input that it reads; of no meaning for [`Fold::Messages`].
    pub input: usize,
}

#[derive(Clone, Copy)]
pub enum Values<'a> {
    Doubles(&'a [f64]),
    Ints(&'a [i32]),
}

/// Numbers by physical index; those that are null are unspecified.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub values: Values<'a>,
    /// 1 where the value is null.
    pub nulls: Option<&'a [u8]>,
}

/// Where the cells of one kind lie: `cells[slot * width + offset]`.
pub(crate) struct Lane<'a> {
    pub cells: &'a mut [f64],
    pub width: usize,
    pub offset: usize,
}

impl Lane<'_> {
    fn cell(&mut self, slot: u32) -> &mut f64 {
        &mut self.cells[slot as usize * self.width + self.offset]
    }

    /// `rows[i]` is the physical index of the message that goes to the group at `slots[i]`.
    pub(crate) fn add(&mut self, fold: Fold, slots: &[u32], rows: Rows<'_>, input: Option<Input<'_>>) {
        let Some(Input { values, nulls }) = input else {
            return slots.iter().for_each(|&slot| *self.cell(slot) += 1.0);
        };
        match (fold, values) {
            (Fold::Messages, _) => slots.iter().for_each(|&slot| *self.cell(slot) += 1.0),
            (Fold::Nulls, _) => self.count_nulls(slots, rows, nulls),
            (_, Values::Doubles(values)) => self.numbers(fold, slots, rows, nulls, |row| values[row]),
            (_, Values::Ints(values)) => self.numbers(fold, slots, rows, nulls, |row| f64::from(values[row])),
        }
    }

    fn count_nulls(&mut self, slots: &[u32], rows: Rows<'_>, nulls: Option<&[u8]>) {
        let Some(nulls) = nulls else { return };
        for (i, &slot) in slots.iter().enumerate() {
            *self.cell(slot) += f64::from(nulls[rows.at(i)]);
        }
    }

    fn numbers(
        &mut self,
        fold: Fold,
        slots: &[u32],
        rows: Rows<'_>,
        nulls: Option<&[u8]>,
        value: impl Fn(usize) -> f64 + Copy,
    ) {
        match fold {
            Fold::Min => self.each(slots, rows, nulls, value, |cell, value| {
                if value < *cell {
                    *cell = value
                }
            }),
            Fold::Max => self.each(slots, rows, nulls, value, |cell, value| {
                if value > *cell {
                    *cell = value
                }
            }),
            _ => self.each(slots, rows, nulls, value, |cell, value| *cell += value),
        }
    }

    fn each(
        &mut self,
        slots: &[u32],
        rows: Rows<'_>,
        nulls: Option<&[u8]>,
        value: impl Fn(usize) -> f64,
        add: impl Fn(&mut f64, f64),
    ) {
        for (i, &slot) in slots.iter().enumerate() {
            let row = rows.at(i);
            if nulls.is_none_or(|nulls| nulls[row] == 0) {
                add(self.cell(slot), value(row));
            }
        }
    }
}

/// Physical indices of messages: all of `0 …`, or those of a selection.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a>(pub Option<&'a [u32]>);

impl Rows<'_> {
    pub(crate) fn at(self, i: usize) -> usize {
        self.0.map_or(i, |rows| rows[i] as usize)
    }
}
