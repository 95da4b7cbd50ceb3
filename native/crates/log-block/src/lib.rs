//! Blocks of the embedded log: checksums by hardware.
//! `streams/src/embedded/FORMAT.md` is the specification of every offset here.

mod block;
mod crc;

pub use block::{BlockError, BlockHeader, check_records, seal_block};
use crc::crc32c;
