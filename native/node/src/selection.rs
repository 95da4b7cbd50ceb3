use millrace_selection::{Comparison, Refused, Step, comparing, condition, of_entries};
use napi::bindgen_prelude::{
    Either, Either5, Float64ArraySlice, Int32ArraySlice, Uint8ArraySlice, Uint16ArraySlice, Uint32ArraySlice,
};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn refused(Refused(reason): Refused) -> Error {
    Error::new(Status::InvalidArg, reason)
}

/// The first `n` cells, or as many as there have to be.
fn first<T>(cells: &[T], n: u32) -> Result<&[T]> {
    cells.get(..n as usize).ok_or_else(|| refused(Refused("every message has a cell")))
}

fn room(into: &mut [u32], at: u32) -> Result<&mut [u32]> {
    into.get_mut(at as usize..).ok_or_else(|| refused(Refused("there is room for the index of every message")))
}

/// Where the indices end; -1: something is unsure.
fn end(at: u32, found: Option<usize>) -> i64 {
    found.map_or(-1, |n| i64::from(at) + n as i64)
}

fn comparison(op: u32) -> Result<Comparison> {
    match op {
        0 => Ok(Comparison::Less),
        1 => Ok(Comparison::AtMost),
        2 => Ok(Comparison::Greater),
        3 => Ok(Comparison::AtLeast),
        4 => Ok(Comparison::Equal),
        5 => Ok(Comparison::Unequal),
        _ => Err(refused(Refused("no such comparison"))),
    }
}

#[napi]
pub fn select_comparing(
    op: u32,
    cells: Either<Float64ArraySlice, Int32ArraySlice>,
    limit: f64,
    n: u32,
    mut into: Uint32ArraySlice,
    at: u32,
) -> Result<i64> {
    let op = comparison(op)?;
    // SAFETY: the caller hands over no overlapping arrays, and no JS runs during the call.
    let into = room(unsafe { into.as_mut() }, at)?;
    let found = match &cells {
        Either::A(doubles) => comparing(op, first(doubles, n)?, limit, into),
        Either::B(ints) => comparing(op, first(ints, n)?, limit, into),
    };
    Ok(end(at, Some(found.map_err(refused)?)))
}

#[napi]
pub fn select_entries(
    entries: Uint8ArraySlice,
    codes: Either<Uint32ArraySlice, Uint16ArraySlice>,
    n: u32,
    mut into: Uint32ArraySlice,
    at: u32,
) -> Result<i64> {
    // SAFETY: as above.
    let into = room(unsafe { into.as_mut() }, at)?;
    let found = match &codes {
        Either::A(codes) => of_entries(&entries, first(codes, n)?, into),
        Either::B(codes) => of_entries(&entries, first(codes, n)?, into),
    };
    Ok(end(at, found.map_err(refused)?))
}

type Cells<'a> = Either5<
    Float64ArraySlice<'a>,
    Int32ArraySlice<'a>,
    Uint32ArraySlice<'a>,
    Uint16ArraySlice<'a>,
    Uint8ArraySlice<'a>,
>;

/// `steps`: of comparisons their number, 6 entries, 7 flags, 8 and, 9 or, 10 not; a part's cells, limit and entries by its place.
#[napi]
pub fn select_condition(
    steps: Uint32ArraySlice,
    cells: Vec<Cells>,
    limits: Float64ArraySlice,
    entries: Vec<Uint8ArraySlice>,
    n: u32,
    mut into: Uint32ArraySlice,
    at: u32,
) -> Result<i64> {
    let mut parts = cells.iter().zip(limits.iter().zip(&entries));
    let steps = steps.iter().map(|&step| match step {
        8 => Ok(Step::And),
        9 => Ok(Step::Or),
        10 => Ok(Step::Not),
        _ => {
            let (cells, (&limit, entries)) =
                parts.next().ok_or_else(|| refused(Refused("every part has its cells")))?;
            part(step, cells, limit, entries)
        }
    });
    let steps = steps.collect::<Result<Vec<_>>>()?;
    // SAFETY: as above.
    let into = room(unsafe { into.as_mut() }, at)?;
    Ok(end(at, condition(&steps, n as usize, into).map_err(refused)?))
}

fn part<'a>(step: u32, cells: &'a Cells<'_>, limit: f64, entries: &'a [u8]) -> Result<Step<'a>> {
    match (step, cells) {
        (..=5, Either5::A(doubles)) => Ok(Step::Doubles(comparison(step)?, doubles, limit)),
        (..=5, Either5::B(ints)) => Ok(Step::Ints(comparison(step)?, ints, limit)),
        (6, Either5::C(codes)) => Ok(Step::Codes(codes, entries)),
        (6, Either5::D(codes)) => Ok(Step::NarrowCodes(codes, entries)),
        (7, Either5::E(flags)) => Ok(Step::Flags(flags)),
        _ => Err(refused(Refused("every part has cells of its kind"))),
    }
}
