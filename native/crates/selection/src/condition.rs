//! Conditions of several parts, put together by `&&`, `||` and `!`, block by block: what the parts say stays in the cache.

use crate::{Comparison, Refused, UNSURE};

const BLOCK: usize = 1024;

/// A step of a condition, operands first. A part says of a message 0 false, 1 true or 2 unsure.
pub enum Step<'a> {
    Doubles(Comparison, &'a [f64], f64),
    Ints(Comparison, &'a [i32], f64),
    /// What the entry of its code says.
    Codes(&'a [u32], &'a [u8]),
    NarrowCodes(&'a [u16], &'a [u8]),
    Flags(&'a [u8]),
    And,
    Or,
    Not,
}

impl Step<'_> {
    /// Messages that a part has cells for.
    fn cells(&self) -> Option<usize> {
        match self {
            Self::Doubles(_, cells, _) => Some(cells.len()),
            Self::Ints(_, cells, _) => Some(cells.len()),
            Self::Codes(codes, _) => Some(codes.len()),
            Self::NarrowCodes(codes, _) => Some(codes.len()),
            Self::Flags(flags) => Some(flags.len()),
            Self::And | Self::Or | Self::Not => None,
        }
    }
}

/// Writes the indices below `n` for which the condition holds to the front of `into`, which has room for all. Returns how many;
/// `None` if it is unsure of one.
pub fn condition(steps: &[Step<'_>], n: usize, into: &mut [u32]) -> Result<Option<usize>, Refused> {
    let depth = depth_of(steps).ok_or(Refused("a condition puts all of its parts together"))?;
    if steps.iter().filter_map(Step::cells).any(|cells| cells < n) {
        return Err(Refused("every message has a cell"));
    }
    if into.len() < n {
        return Err(Refused("there is room for the index of every message"));
    }
    let mut masks = vec![[0; BLOCK]; depth];
    let (mut end, mut seen) = (0, 0);
    for from in (0..n).step_by(BLOCK) {
        let length = BLOCK.min(n - from);
        evaluate(steps, from, length, &mut masks);
        for (i, &holds) in masks[0][..length].iter().enumerate() {
            // SAFETY: `end` grows by at most one a turn, so it is at most `from + i`, which is below the length of `into`.
            unsafe { *into.get_unchecked_mut(end) = (from + i) as u32 };
            end += usize::from(holds & 1);
            seen |= holds;
        }
    }
    Ok((seen & UNSURE == 0).then_some(end))
}

/// How many masks there are at a time at most; `None` where steps do not leave one.
fn depth_of(steps: &[Step<'_>]) -> Option<usize> {
    let (mut now, mut most) = (0, 0);
    for step in steps {
        match step {
            Step::Not if now >= 1 => (),
            Step::And | Step::Or if now >= 2 => now -= 1,
            Step::Not | Step::And | Step::Or => return None,
            _ => now += 1,
        }
        most = most.max(now);
    }
    (now == 1).then_some(most)
}

/// The answer is the first of the masks.
fn evaluate(steps: &[Step<'_>], from: usize, length: usize, masks: &mut [[u8; BLOCK]]) {
    let to = from + length;
    let mut top = 0;
    for step in steps {
        if step.cells().is_some() {
            top += 1;
        }
        let (below, above) = masks.split_at_mut(top - 1);
        let mask = &mut above[0][..length];
        match step {
            Step::Doubles(op, cells, limit) => compare(*op, &cells[from..to], *limit, mask),
            Step::Ints(op, cells, limit) => compare(*op, &cells[from..to], *limit, mask),
            Step::Codes(codes, entries) => look_up(&codes[from..to], entries, mask),
            Step::NarrowCodes(codes, entries) => look_up(&codes[from..to], entries, mask),
            Step::Flags(flags) => mask.copy_from_slice(&flags[from..to]),
            Step::Not => mask.iter_mut().for_each(|side| *side = not(*side)),
            Step::And => combine(&mut below[top - 2][..length], mask, and),
            Step::Or => combine(&mut below[top - 2][..length], mask, or),
        }
        if matches!(step, Step::And | Step::Or) {
            top -= 1;
        }
    }
}

fn compare<T: Copy + Into<f64>>(op: Comparison, cells: &[T], limit: f64, mask: &mut [u8]) {
    match op {
        Comparison::Less => fill(cells, mask, |cell| cell.into() < limit),
        Comparison::AtMost => fill(cells, mask, |cell| cell.into() <= limit),
        Comparison::Greater => fill(cells, mask, |cell| cell.into() > limit),
        Comparison::AtLeast => fill(cells, mask, |cell| cell.into() >= limit),
        Comparison::Equal => fill(cells, mask, |cell| cell.into() == limit),
        Comparison::Unequal => fill(cells, mask, |cell| cell.into() != limit),
    }
}

fn fill<T: Copy>(cells: &[T], mask: &mut [u8], holds: impl Fn(T) -> bool) {
    for (says, &cell) in mask.iter_mut().zip(cells) {
        *says = u8::from(holds(cell));
    }
}

/// A code that is none is left to the row form.
fn look_up<C: Copy + Into<u32>>(codes: &[C], entries: &[u8], mask: &mut [u8]) {
    for (says, &code) in mask.iter_mut().zip(codes) {
        *says = entries.get(code.into() as usize).copied().unwrap_or(UNSURE);
    }
}

fn combine(left: &mut [u8], right: &[u8], both: impl Fn(u8, u8) -> u8) {
    for (side, &other) in left.iter_mut().zip(right) {
        *side = both(*side, other);
    }
}

/// A side that is false settles it, whatever the other is.
fn and(a: u8, b: u8) -> u8 {
    let both = a & b & 1;
    let neither_false = (a | (a >> 1)) & (b | (b >> 1)) & 1;
    both | ((neither_false ^ both) << 1)
}

/// A side that is true settles it, whatever the other is.
fn or(a: u8, b: u8) -> u8 {
    let either = a | b;
    either & !((either & 1) << 1)
}

fn not(a: u8) -> u8 {
    (!(a | (a >> 1)) & 1) | (a & UNSURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: [u8; 3] = [0, 1, UNSURE];

    #[test]
    fn false_settles_and_and_true_settles_or() {
        let table = |of: fn(u8, u8) -> u8| SAYS.map(|a| SAYS.map(|b| of(a, b)));
        assert_eq!(table(and), [[0, 0, 0], [0, 1, 2], [0, 2, 2]]);
        assert_eq!(table(or), [[0, 1, 2], [1, 1, 1], [2, 1, 2]]);
        assert_eq!(SAYS.map(not), [1, 0, 2]);
    }

    #[test]
    fn parts_are_put_together_over_several_blocks() {
        let n = 2 * BLOCK + 3;
        let ints: Vec<i32> = (0..n as i32).collect();
        let codes: Vec<u16> = (0..n).map(|i| (i % 3) as u16).collect();
        let mut into = vec![0; n];
        let steps = [
            Step::Ints(Comparison::AtLeast, &ints, 1020.0),
            Step::Ints(Comparison::Less, &ints, 1030.0),
            Step::And,
            Step::NarrowCodes(&codes, &[0, 1, 0]),
            Step::Not,
            Step::And,
        ];
        let found = condition(&steps, n, &mut into).unwrap().unwrap();
        assert_eq!(into[..found], [1020, 1022, 1023, 1025, 1026, 1028, 1029]);
    }

    #[test]
    fn what_is_unsure_or_does_not_fit_gives_no_indices() {
        let mut into = [0; 2];
        let flags = [1, 1];
        let unsure = [Step::Flags(&flags), Step::Codes(&[0, 7], &[1]), Step::And];
        assert_eq!(condition(&unsure, 2, &mut into), Ok(None));
        let settled = [Step::Flags(&flags), Step::Codes(&[0, 7], &[1]), Step::Or];
        assert_eq!(condition(&settled, 2, &mut into), Ok(Some(2)));
        assert!(condition(&[Step::Flags(&flags), Step::And], 2, &mut into).is_err());
        assert!(condition(&[Step::Flags(&flags), Step::Flags(&flags)], 2, &mut into).is_err());
        assert!(condition(&[], 2, &mut into).is_err());
        assert!(condition(&[Step::Flags(&flags)], 3, &mut [0; 3]).is_err());
        assert!(condition(&[Step::Flags(&flags)], 2, &mut [0; 1]).is_err());
    }
}
