//! The bytes that processes share, little endian. Fields that two processes touch are aligned 64-bit atomics.

use crate::checksum::covers_ends_only;
use std::sync::atomic::AtomicU64;

pub const PAGE_BYTES: usize = 4096;
/// Where LMDB puts the value in the first of a value's own pages.
pub const VALUE_IN_PAGE: usize = 16;
pub const HEADER_BYTES: usize = 48;
/// From here on LMDB gives a value pages of its own, which never move until its key is deleted.
pub const VALUE_BYTES_MIN: usize = 4096;
pub const MAGIC: &[u8; 4] = b"LODG";
pub const VERSION: u8 = 1;

pub const ENTRIES: usize = 65_536;
const ENV_BITS: u32 = 20;
const SEQUENCE_BITS: u32 = 40;
pub const ENV_MAX: u64 = (1 << ENV_BITS) - 1;
pub const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

/// 60 bits: the environment, and a number that is never used again in it (P-R10).
pub const fn payload_id(env: u64, sequence: u64) -> u64 {
    env << SEQUENCE_BITS | sequence
}

pub fn env_of(id: u64) -> u64 {
    id >> SEQUENCE_BITS
}

pub const FREE: u64 = 0;
/// An entry that is being filled outside a transaction.
pub const WRITING: u64 = 1;
pub const LIVE: u64 = 2;
/// An entry about to be freed, if no slot names it.
pub const CONDEMNED: u64 = 3;
/// States of a slot.
pub const HELD: u64 = 1;
pub const PINNED: u64 = 2;
pub const REVOKED: u64 = 3;

pub fn word(id: u64, state: u64) -> u64 {
    id << 4 | state
}

pub fn id_of(word: u64) -> u64 {
    word >> 4
}

pub fn state_of(word: u64) -> u64 {
    word & 15
}

/// One payload, in the table of its environment. Only the owner moves `word`, or the adopter of a dead one's environment.
#[repr(C, align(64))]
pub struct Entry {
    pub word: AtomicU64,
    /// Of the value in the data file.
    pub offset: AtomicU64,
    /// Bytes of the payload.
    pub length: AtomicU64,
    pub xxh3: AtomicU64,
    pub schema: AtomicU64,
    pub format: AtomicU64,
    pub created_ns: AtomicU64,
    reserved: AtomicU64,
}

/// One lease: the right of a process to read one payload.
#[repr(C, align(64))]
pub struct Slot {
    pub word: AtomicU64,
    pub deadline_ns: AtomicU64,
    pub since_ns: AtomicU64,
    pub length: AtomicU64,
    /// For people: actor, references.
    pub actor_refs: AtomicU64,
    trace: [AtomicU64; 2],
    reserved: AtomicU64,
}

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<Slot>() == 64);

/// What the bytes of a payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Format {
    Raw = 0,
    Msgpack = 1,
    Json = 2,
    Npy = 3,
    Arrow = 4,
}

impl Format {
    pub fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Raw,
            1 => Self::Msgpack,
            2 => Self::Json,
            3 => Self::Npy,
            4 => Self::Arrow,
            _ => return None,
        })
    }
}

/// What stands before the payload in the data file, for readers of other languages. No state: bytes prove nothing (P-R5).
pub struct RecordHeader {
    pub format: Format,
    pub id: u64,
    pub length: u64,
    /// After `checksum`; flag 1 says that it covers the ends only.
    pub xxh3: u64,
    pub schema: u64,
    pub created_ms: u64,
}

impl RecordHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.format as u8;
        bytes[6] = u8::from(covers_ends_only(self.length));
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.xxh3.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.schema.to_le_bytes());
        bytes[40..46].copy_from_slice(&self.created_ms.to_le_bytes()[..6]);
        bytes
    }
}

/// What travels in place of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Of boot and store directory.
    pub store: u64,
    pub id: u64,
    pub entry: u32,
    pub format: Format,
    pub length: u64,
    pub xxh3: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_words_keep_their_parts() {
        let id = payload_id(ENV_MAX, SEQUENCE_MAX);
        assert_eq!(id, (1 << 60) - 1);
        assert_eq!(env_of(id), ENV_MAX);
        assert_eq!((id_of(word(id, CONDEMNED)), state_of(word(id, CONDEMNED))), (id, CONDEMNED));
        assert_eq!(env_of(payload_id(5, SEQUENCE_MAX)), 5);
    }

    #[test]
    fn headers_have_the_specified_bytes() {
        let header = RecordHeader {
            format: Format::Arrow,
            id: 0x0102_0304_0506_0708,
            length: 9,
            xxh3: 0x1122_3344_5566_7788,
            schema: 10,
            created_ms: 0x0000_a1a2_a3a4_a5a6,
        };
        let expected = [
            b'L', b'O', b'D', b'G', 1, 4, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55,
            0x44, 0x33, 0x22, 0x11, 10, 0, 0, 0, 0, 0, 0, 0, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 0, 0,
        ];
        assert_eq!(header.encode(), expected);
    }
}
