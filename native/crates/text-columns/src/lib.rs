//! Records of text files as cells of columns: as many in one call as lie whole in the bytes at hand.
//!
//! Only what is certain is taken. A record with anything unusual about it (a cell of the wrong type, bytes that are no UTF-8, a
//! fault of any kind) ends the run, and TypeScript (streams/src/file) reads it: so every error has one author, and a run is fast
//! because it has none. What is taken has the values that TypeScript would have read.

mod arena;
mod csv;
mod json;
mod number;
mod output;
mod texts;

pub use csv::{CellType, CsvRecords};
pub use json::JsonRecords;
pub use output::{Arrays, Kind, Output, Run, ShapeError};

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// A record that this crate leaves to TypeScript, or that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It is whole, but not plain.
    Unusual,
    /// The bytes end before it does.
    Open,
}
