//! Hashes of many messages in one call, by the processor's SHA instructions where it has them.

use sha2::{Digest, Sha256};

pub const HASH_BYTES: usize = 32;

#[derive(Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The ends do not ascend within the bytes.
    Ends,
    /// There is no room of 32 bytes for each hash.
    Room,
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ends => "the ends of messages must ascend within their bytes",
            Self::Room => "the hashes need 32 bytes each",
        })
    }
}

impl std::error::Error for BatchError {}

/// Writes the SHA-256 of each message. They lie one after the other from the start of `bytes`; message `i` ends before `ends[i]`.
pub fn sha256_batch(bytes: &[u8], ends: &[u32], into: &mut [u8]) -> Result<(), BatchError> {
    if into.len() != ends.len() * HASH_BYTES {
        return Err(BatchError::Room);
    }
    let mut from = 0;
    for (end, hash) in ends.iter().zip(into.chunks_exact_mut(HASH_BYTES)) {
        let message = bytes.get(from..*end as usize).ok_or(BatchError::Ends)?;
        hash.copy_from_slice(&Sha256::digest(message));
        from = *end as usize;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B, and the empty message.
    #[test]
    fn hashes_are_those_of_the_standard() {
        let messages = ["abc", "", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"];
        let expected = [[0xba, 0x78, 0x16, 0xbf], [0xe3, 0xb0, 0xc4, 0x42], [0x24, 0x8d, 0x6a, 0x61]];
        let mut hashes = [0; 3 * HASH_BYTES];
        sha256_batch(messages.concat().as_bytes(), &[3, 3, 59], &mut hashes).unwrap();
        for (hash, start) in hashes.chunks(HASH_BYTES).zip(expected) {
            assert_eq!(hash[..4], start);
        }
    }

    #[test]
    fn ends_and_room_must_fit() {
        let mut room = [0; 2 * HASH_BYTES];
        assert_eq!(sha256_batch(b"abc", &[2, 4], &mut room), Err(BatchError::Ends));
        assert_eq!(sha256_batch(b"abc", &[2, 1], &mut room), Err(BatchError::Ends));
        assert_eq!(sha256_batch(b"abc", &[3], &mut room), Err(BatchError::Room));
    }
}
