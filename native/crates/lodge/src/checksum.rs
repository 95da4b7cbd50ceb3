//! The checksum of a payload finds truncation and mix-ups. That bytes are still the payload it cannot prove (P-R5), and nobody
//! reads a large payload only to check it: of those the ends are covered, so that a put costs what the copy costs.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Payloads up to this are covered whole.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
const END_BYTES: usize = 64 << 10;

pub fn covers_ends_only(length: u64) -> bool {
    length > WHOLE_BYTES_MAX
}

/// XXH3-64 of the bytes that are covered, in order.
pub fn checksum(payload: &[u8]) -> u64 {
    if !covers_ends_only(payload.len() as u64) {
        return xxh3_64(payload);
    }
    let mut hash = Xxh3::new();
    hash.update(&payload[..END_BYTES]);
    hash.update(&payload[payload.len() - END_BYTES..]);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_small_payloads_whole_and_large_ones_at_both_ends() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3) as u8).collect();
        assert_eq!(checksum(&bytes[..1 << 20]), xxh3_64(&bytes[..1 << 20]));
        assert_eq!(checksum(b""), xxh3_64(b""));
        let ends = [&bytes[..64 << 10], &bytes[bytes.len() - (64 << 10)..]].concat();
        assert_eq!(checksum(&bytes), xxh3_64(&ends));
    }
}
