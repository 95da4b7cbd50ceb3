//! The checksum of a payload finds truncation and mix-ups. That bytes are still the payload it cannot prove (P-R5), and nobody
//! reads a large payload only to check it: of those the ends are covered, so that a put costs what the copy costs.

use std::ops::Range;
use xxhash_rust::xxh3::Xxh3;

/// Payloads up to this are covered whole.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
const END_BYTES: u64 = 64 << 10;

pub fn covers_ends_only(length: u64) -> bool {
    length > WHOLE_BYTES_MAX
}

/// XXH3-64 of the bytes that are covered, in order.
pub fn checksum(payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    for part in covered(payload.len() as u64) {
        hash.update(&payload[part.start as usize..part.end as usize]);
    }
    hash.digest()
}

fn covered(length: u64) -> [Range<u64>; 2] {
    if covers_ends_only(length) { [0..END_BYTES, length - END_BYTES..length] } else { [0..length, length..length] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn covers_small_payloads_whole_and_large_ones_at_both_ends() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3) as u8).collect();
        assert_eq!(checksum(&bytes[..1 << 20]), xxh3_64(&bytes[..1 << 20]));
        assert_eq!(checksum(b""), xxh3_64(b""));
        let ends = [&bytes[..64 << 10], &bytes[bytes.len() - (64 << 10)..]].concat();
        assert_eq!(checksum(&bytes), xxh3_64(&ends));
    }
}
