//! Payloads by reference between the processes of one machine, after `payload-protocol` (rules P-R1 to P-R22).
//!
//! A process writes payloads into an LMDB environment of its own, on a memory file system, and hands out tokens. Whoever has
//! a token publishes a lease in a slot of its own process file, looks whether the payload is still there, and reads through
//! a private mapping of the data file. The owner frees a payload after it condemned it and found no slot that names it; a
//! slot past its time is revoked, which its holder notices when it validates. Nothing here waits for another process.

mod abandoned;
mod acquire;
mod checksum;
mod drain;
mod env_view;
mod error;
mod fault;
mod freeing;
mod held;
mod keeper;
mod layout;
mod lease;
mod lmdb;
#[cfg(feature = "faults")]
mod lmdb_tool;
mod lock;
#[cfg(feature = "faults")]
pub mod order;
#[cfg(not(feature = "faults"))]
mod order;
mod own;
mod owned_env;
mod peers;
mod place;
mod process_file;
mod reservation;
mod shared;
mod store;
mod system;
mod table;

pub use abandoned::is_abandoned;
pub use checksum::checksum;
pub use error::Error;
#[cfg(feature = "faults")]
pub use fault::{Faults, Point, Rule};
pub use layout::{Format, HEADER_BYTES, Token};
pub use lease::Lease;
#[cfg(feature = "faults")]
pub use lmdb_tool::{Access, Transaction};
pub use peers::Terms;
pub use reservation::Reservation;
pub use store::{Options, Stats, Store};
