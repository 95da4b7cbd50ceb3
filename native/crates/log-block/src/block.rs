use crate::crc32c;
use std::fmt;

const BLOCK_HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 128;
const RECORD_ALIGN: usize = 8;
const SECTOR_BYTES: usize = 512;
const PADDING: u8 = 0xa5;
const MAGIC: &[u8; 4] = b"MRBL";
const CHECKED_FROM: usize = 8;

/// Why a buffer is no block.
#[derive(Debug, PartialEq, Eq)]
pub enum BlockError {
    /// `used` is no record boundary within the buffer.
    Used { used: usize, capacity: usize },
    /// The record at `at` has a length that it cannot have there.
    Record { at: usize, length: usize },
    /// The padded block does not fit the buffer, or `align` is no multiple of a sector.
    Align { align: usize, capacity: usize },
}

impl std::error::Error for BlockError {}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used { used, capacity } => {
                write!(f, "{used} bytes cannot be used in a block buffer of {capacity}")
            }
            Self::Record { at, length } => {
                write!(f, "a record of {length} bytes cannot stand at {at}")
            }
            Self::Align { align, capacity } => {
                write!(f, "a block padded to {align} does not fit its buffer of {capacity}")
            }
        }
    }
}

/// What a block's header says beside what is computed from its body.
pub struct BlockHeader {
    pub salt: [u8; 8],
    pub seq: u64,
    pub first: u64,
    pub count: u32,
    pub prev: u32,
    pub epoch: u32,
    pub kind: u16,
}

/// Writes the checksum of every record in `block[64..used]`, which are whole but for it, and
/// returns the checksum of the body: over their (length, checksum) pairs.
fn finish_block(block: &mut [u8], used: usize) -> Result<u32, BlockError> {
    let capacity = block.len();
    if used < BLOCK_HEADER_BYTES || used > capacity || !used.is_multiple_of(RECORD_ALIGN) {
        return Err(BlockError::Used { used, capacity });
    }
    let mut pairs = 0;
    let mut at = BLOCK_HEADER_BYTES;
    while at < used {
        let length = record_length(block, at, used)?;
        let checksum = crc32c(&block[at + CHECKED_FROM..at + length], 0);
        block[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
        pairs = crc32c(&block[at..at + 8], pairs);
        at += length.next_multiple_of(RECORD_ALIGN);
    }
    Ok(pairs)
}

fn record_length(block: &[u8], at: usize, used: usize) -> Result<usize, BlockError> {
    let length = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]) as usize;
    if length < RECORD_HEADER_BYTES || length > used - at {
        return Err(BlockError::Record { at, length });
    }
    Ok(length)
}

/// Where the first record of `bytes[from..to]` begins that is not whole or whose checksum does not hold. `None` when there is
/// none; what lies behind a record that is not whole cannot be told.
pub fn check_records(bytes: &[u8], from: usize, to: usize) -> Result<Option<usize>, BlockError> {
    let capacity = bytes.len();
    if from > to || to > capacity {
        return Err(BlockError::Used { used: to, capacity });
    }
    let mut at = from;
    while at < to {
        if to - at < RECORD_HEADER_BYTES {
            return Ok(Some(at));
        }
        let Ok(length) = record_length(bytes, at, to) else { return Ok(Some(at)) };
        if crc32c(&bytes[at + CHECKED_FROM..at + length], 0).to_le_bytes() != bytes[at + 4..at + 8] {
            return Ok(Some(at));
        }
        at += length.next_multiple_of(RECORD_ALIGN);
    }
    Ok(None)
}

/// [`finish_block`], then padding up to a multiple of `align` and the header. Returns the
/// header's checksum.
pub fn seal_block(block: &mut [u8], used: usize, align: usize, header: &BlockHeader) -> Result<u32, BlockError> {
    let capacity = block.len();
    if align == 0 || !align.is_multiple_of(SECTOR_BYTES) || used.next_multiple_of(align) > capacity {
        return Err(BlockError::Align { align, capacity });
    }
    let body_crc = finish_block(block, used)?;
    let end = used.next_multiple_of(align);
    block[used..end].fill(PADDING);
    let zeros = block[SECTOR_BYTES..end].chunks_exact(SECTOR_BYTES).filter(|sector| is_zero(sector)).count();
    put_header(block, header, used, body_crc, zeros);
    let head_crc = crc32c(&block[CHECKED_FROM..BLOCK_HEADER_BYTES], 0);
    block[4..8].copy_from_slice(&head_crc.to_le_bytes());
    Ok(head_crc)
}

fn put_header(block: &mut [u8], header: &BlockHeader, used: usize, body_crc: u32, zeros: usize) {
    block[0..4].copy_from_slice(MAGIC);
    block[8..16].copy_from_slice(&header.salt);
    block[16..24].copy_from_slice(&header.seq.to_le_bytes());
    block[24..32].copy_from_slice(&header.first.to_le_bytes());
    block[32..36].copy_from_slice(&header.count.to_le_bytes());
    block[36..40].copy_from_slice(&(used as u32).to_le_bytes());
    block[40..44].copy_from_slice(&body_crc.to_le_bytes());
    block[44..48].copy_from_slice(&header.prev.to_le_bytes());
    block[48..52].copy_from_slice(&header.epoch.to_le_bytes());
    block[52..56].copy_from_slice(&(zeros as u32).to_le_bytes());
    block[56..58].copy_from_slice(&header.kind.to_le_bytes());
    block[58..64].fill(0);
}

/// An ordinary sector differs in its first bytes, so this seldom looks at more.
fn is_zero(sector: &[u8]) -> bool {
    sector.chunks_exact(64).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_of(payloads: &[&[u8]], capacity: usize) -> (Vec<u8>, usize) {
        let mut block = vec![0xee; capacity];
        let mut at = BLOCK_HEADER_BYTES;
        for payload in payloads {
            let length = RECORD_HEADER_BYTES + payload.len();
            block[at..at + length.next_multiple_of(RECORD_ALIGN)].fill(0);
            block[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
            block[at + RECORD_HEADER_BYTES..at + length].copy_from_slice(payload);
            at += length.next_multiple_of(RECORD_ALIGN);
        }
        (block, at)
    }

    fn header() -> BlockHeader {
        BlockHeader { salt: *b"saltsalt", seq: 7, first: 1 << 40, count: 2, prev: 3, epoch: 4, kind: 0 }
    }

    #[test]
    fn checks_every_record_and_the_pairs_of_all() {
        let (mut block, used) = block_of(&[b"one", b"", &[9; 5000]], 8192);
        let body = finish_block(&mut block, used).unwrap();
        let mut pairs = Vec::new();
        let mut at = BLOCK_HEADER_BYTES;
        for payload in [3, 0, 5000] {
            let length = RECORD_HEADER_BYTES + payload;
            let expected = crc32c(&block[at + 8..at + length], 0).to_le_bytes();
            assert_eq!(block[at + 4..at + 8], expected);
            pairs.extend_from_slice(&block[at..at + 8]);
            at += length.next_multiple_of(8);
        }
        assert_eq!(at, used);
        assert_eq!(body, crc32c(&pairs, 0));
    }

    #[test]
    fn seals_with_padding_zero_sectors_and_a_header_that_holds() {
        let (mut block, used) = block_of(&[&[0; 2000], b"x"], 8192);
        let head = seal_block(&mut block, used, 4096, &header()).unwrap();
        assert_eq!(&block[0..4], MAGIC);
        assert_eq!(block[4..8], head.to_le_bytes());
        assert_eq!(head, crc32c(&block[8..64], 0));
        assert!(block[used..4096].iter().all(|byte| *byte == PADDING));
        assert_eq!(block[4096], 0xee, "nothing behind the block is touched");
        assert_eq!(block[36..40], (used as u32).to_le_bytes());
        assert_eq!(block[52..56], 3u32.to_le_bytes());
    }

    #[test]
    fn finds_the_first_record_that_does_not_hold() {
        let (mut block, used) = block_of(&[b"one", &[0; 700], b"three"], 4096);
        finish_block(&mut block, used).unwrap();
        assert_eq!(check_records(&block, BLOCK_HEADER_BYTES, used), Ok(None));
        let second = BLOCK_HEADER_BYTES + (RECORD_HEADER_BYTES + 3usize).next_multiple_of(8);
        for at in [second + 8, second + RECORD_HEADER_BYTES + 699, second + 4] {
            block[at] ^= 1;
            assert_eq!(check_records(&block, BLOCK_HEADER_BYTES, used), Ok(Some(second)));
            block[at] ^= 1;
        }
        assert_eq!(check_records(&block, BLOCK_HEADER_BYTES, second + 100), Ok(Some(second)));
        assert_eq!(check_records(&block, used, used), Ok(None));
        let error = BlockError::Used { used: 4097, capacity: 4096 };
        assert_eq!(check_records(&block, 64, 4097), Err(error));
    }

    #[test]
    fn refuses_what_is_no_block_and_never_reads_beyond_it() {
        let (mut block, used) = block_of(&[b"one"], 4096);
        assert_eq!(finish_block(&mut block, 8), Err(BlockError::Used { used: 8, capacity: 4096 }));
        assert_eq!(finish_block(&mut block, 4104), Err(BlockError::Used { used: 4104, capacity: 4096 }));
        assert_eq!(finish_block(&mut block, used + 8), Err(BlockError::Record { at: used, length: 0xeeee_eeee }));
        for length in [0u32, 127, (used - 63) as u32, u32::MAX] {
            block[64..68].copy_from_slice(&length.to_le_bytes());
            let error = BlockError::Record { at: 64, length: length as usize };
            assert_eq!(finish_block(&mut block, used), Err(error));
        }
        for align in [0, 100, 8192] {
            let refused = seal_block(&mut block, used, align, &header());
            assert_eq!(refused, Err(BlockError::Align { align, capacity: 4096 }));
        }
    }
}
