//! Calculators for Millrace in Rust, without dependencies.
//!
//! ```
//! use millrace_calculator::{Calculator, Context, Failure, Value, export};
//!
//! struct Late {
//!     minutes: f64,
//! }
//!
//! impl Calculator for Late {
//!     fn new(config: &Value) -> Result<Self, Failure> {
//!         Ok(Self { minutes: config.get("minutes").as_f64().unwrap_or(15.0) })
//!     }
//!
//!     fn calculate(&mut self, row: &Value, _: &Context) -> Result<Value, Failure> {
//!         let delay = row.get("delay").as_f64().ok_or("a row needs a number delay")?;
//!         Ok(row.with("late", delay > self.minutes))
//!     }
//! }
//!
//! export!(Late);
//! ```
//!
//! Build it with `crate-type = ["cdylib"]`. The same source built for `wasm32-unknown-unknown` runs as WebAssembly.

pub mod abi;
mod calculator;
#[doc(hidden)]
pub mod instance;
pub mod msgpack;
mod npy;
mod payload;
mod value;

pub use calculator::{Calculator, Context, Failure};
pub use npy::{Array, Element};
pub use payload::{Format, Payload};
pub use value::Value;
