//! Calculators behind the C ABI (`sdk/c/millrace_calculator.h`): what loads them, what checks their answers, and the frames
//! of the protocol that the program of this crate speaks.

pub mod frame;
mod library;
pub mod outcome;
mod payloads;

pub use library::{LoadedCalculator, Origin};
pub use millrace_calculator::msgpack::pack;
