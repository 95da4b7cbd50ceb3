//! Blocks of the embedded log: checksums by hardware, writes that are whole.
//! `streams/src/embedded/FORMAT.md` is the specification of every offset here.

mod block;
mod crc;
mod full_write;

pub use block::{BlockError, BlockHeader, check_records, finish_block, seal_block};
pub use crc::crc32c;
pub use full_write::write_at;
