use millrace_selection::{Comparison, Refused, comparing, of_entries};
use napi::bindgen_prelude::{
    Either, Float64ArraySlice, Int32ArraySlice, Uint8ArraySlice, Uint16ArraySlice, Uint32ArraySlice,
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

#[napi]
pub fn select_comparing(
    op: u32,
    cells: Either<Float64ArraySlice, Int32ArraySlice>,
    limit: f64,
    n: u32,
    mut into: Uint32ArraySlice,
    at: u32,
) -> Result<i64> {
    let op = match op {
        0 => Comparison::Less,
        1 => Comparison::AtMost,
        2 => Comparison::Greater,
        3 => Comparison::AtLeast,
        4 => Comparison::Equal,
        5 => Comparison::Unequal,
        _ => return Err(refused(Refused("no such comparison"))),
    };
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
