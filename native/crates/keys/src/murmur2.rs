//! Source: `org.apache.kafka.common.utils.Utils.murmur2` (Apache-2.0), after Austin Appleby's MurmurHash2.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

pub fn murmur2(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let start = SEED ^ bytes.len() as u32;
    let mut h = words.iter().fold(start, |h, &word| with_word(h, u32::from_le_bytes(word)));
    if !rest.is_empty() {
        h ^= rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

fn with_word(h: u32, word: u32) -> u32 {
    let k = word.wrapping_mul(M);
    h.wrapping_mul(M) ^ (k ^ (k >> R)).wrapping_mul(M)
}

#[cfg(test)]
mod tests {
    use super::murmur2;

    /// Of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_kafkas_own_tests() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
