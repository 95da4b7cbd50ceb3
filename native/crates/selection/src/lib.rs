//! Which messages of a frame pass a condition, as ascending indices: the loops of `engine/src/expression/script-selection.ts`, held
//! against those by `ops/test/native/selection.test.ts`.

mod condition;

pub use condition::{Step, condition};

/// What a caller asked for that does not fit together.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

#[derive(Clone, Copy)]
pub enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
}

/// Says of a message that only the row form of the condition can tell.
const UNSURE: u8 = 2;

/// Writes the indices of the cells for which the comparison holds to the front of `into`, which has room for all. Returns how many.
pub fn comparing<T: Copy + Into<f64>>(
    op: Comparison,
    cells: &[T],
    limit: f64,
    into: &mut [u32],
) -> Result<usize, Refused> {
    match op {
        Comparison::Less => passing(cells, into, |cell| cell.into() < limit),
        Comparison::AtMost => passing(cells, into, |cell| cell.into() <= limit),
        Comparison::Greater => passing(cells, into, |cell| cell.into() > limit),
        Comparison::AtLeast => passing(cells, into, |cell| cell.into() >= limit),
        Comparison::Equal => passing(cells, into, |cell| cell.into() == limit),
        Comparison::Unequal => passing(cells, into, |cell| cell.into() != limit),
    }
}

/// The same where each code's entry is 1; `None` if one is unsure.
pub fn of_entries<C: Copy + Into<u32>>(
    entries: &[u8],
    codes: &[C],
    into: &mut [u32],
) -> Result<Option<usize>, Refused> {
    let mut seen = 0;
    let n = passing(codes, into, |code| {
        // A code that is none is left to the row form.
        let entry = entries.get(code.into() as usize).copied().unwrap_or(UNSURE);
        seen |= entry;
        entry & 1 == 1
    })?;
    Ok((seen & UNSURE == 0).then_some(n))
}

/// An index is written before it is known whether it counts: which messages pass is what a processor cannot predict.
fn passing<T: Copy>(cells: &[T], into: &mut [u32], mut holds: impl FnMut(T) -> bool) -> Result<usize, Refused> {
    if into.len() < cells.len() {
        return Err(Refused("there is room for the index of every message"));
    }
    let mut end = 0;
    for (i, &cell) in cells.iter().enumerate() {
        // SAFETY: `end` grows by at most one a turn, so it is at most `i`, which is below the length of `into`.
        unsafe { *into.get_unchecked_mut(end) = i as u32 };
        end += usize::from(holds(cell));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_holds_where_it_does_and_nan_is_unequal_to_all() {
        let cells = [14.0, 15.0, 16.0, f64::NAN, -0.0];
        let mut into = [9; 5];
        for (op, limit, wanted) in [
            (Comparison::Less, 15.0, vec![0, 4]),
            (Comparison::AtMost, 15.0, vec![0, 1, 4]),
            (Comparison::Greater, 15.0, vec![2]),
            (Comparison::AtLeast, 15.0, vec![1, 2]),
            (Comparison::Equal, 0.0, vec![4]),
            (Comparison::Unequal, 15.0, vec![0, 2, 3, 4]),
        ] {
            let n = comparing(op, &cells, limit, &mut into).unwrap();
            assert_eq!(into[..n], wanted);
        }
    }

    #[test]
    fn what_is_unsure_gives_no_indices_and_too_little_room_is_refused() {
        let mut into = [0; 3];
        assert_eq!(of_entries(&[0, 1], &[1u16, 1, 0], &mut into), Ok(Some(2)));
        assert_eq!(of_entries(&[0, 1], &[1u16, 7, 0], &mut into), Ok(None));
        assert_eq!(of_entries(&[0, 2], &[1u16, 0, 0], &mut into), Ok(None));
        assert!(of_entries(&[0, 1], &[1u32; 4], &mut into).is_err());
    }
}
