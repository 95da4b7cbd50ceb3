//! SHA-256 of two messages at once. A processor's SHA instructions wait for each other within a message, so that two that are hashed in
//! turns, block by block, take little longer than one.

use crate::HASH_BYTES;
use sha2::{Digest, Sha256};

pub type Hash = [u8; HASH_BYTES];

/// The hash of each.
pub fn sha256_pair(messages: [&[u8]; 2]) -> [Hash; 2] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has the instructions that this is compiled for.
        return unsafe { x86::sha256_pair(messages) };
    }
    messages.map(|message| Sha256::digest(message).into())
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Hash;
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x,
        _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
        _mm_shuffle_epi32, _mm_storeu_si128,
    };

    const BLOCK_BYTES: usize = 64;
    type Block = [u8; BLOCK_BYTES];

    /// FIPS 180-4, 5.3.3, as the instructions want them: a b e f and c d g h, the first in the highest word.
    const START: [[u32; 4]; 2] =
        [[0x9b05_688c, 0x510e_527f, 0xbb67_ae85, 0x6a09_e667], [0x5be0_cd19, 0x1f83_d9ab, 0xa54f_f53a, 0x3c6e_f372]];

    /// FIPS 180-4, 4.2.2.
    const ROUND: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// A message in blocks: whole ones where it lies, and the padded rest.
    struct Blocks<'a> {
        whole: &'a [Block],
        rest: [Block; 2],
        count: usize,
    }

    impl<'a> Blocks<'a> {
        fn of(message: &'a [u8]) -> Self {
            let (whole, tail) = message.as_chunks::<BLOCK_BYTES>();
            let mut rest = [[0; BLOCK_BYTES]; 2];
            let flat = rest.as_flattened_mut();
            flat[..tail.len()].copy_from_slice(tail);
            flat[tail.len()] = 0x80;
            let blocks = if tail.len() < BLOCK_BYTES - 8 { 1 } else { 2 };
            let bits = (message.len() as u64) * 8;
            flat[blocks * BLOCK_BYTES - 8..blocks * BLOCK_BYTES].copy_from_slice(&bits.to_be_bytes());
            Self { whole, rest, count: whole.len() + blocks }
        }

        fn at(&self, i: usize) -> &Block {
            self.whole.get(i).unwrap_or_else(|| &self.rest[i - self.whole.len()])
        }
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub fn sha256_pair([a, b]: [&[u8]; 2]) -> [Hash; 2] {
        let blocks = [Blocks::of(a), Blocks::of(b)];
        let start = [words(START[0]), words(START[1])];
        let mut states = [start, start];
        let both = blocks[0].count.min(blocks[1].count);
        for i in 0..both {
            compress(&mut states, [blocks[0].at(i), blocks[1].at(i)]);
        }
        for (state, blocks) in states.iter_mut().zip(&blocks) {
            for i in both..blocks.count {
                compress(std::array::from_mut(state), [blocks.at(i)]);
            }
        }
        [hash_of(states[0]), hash_of(states[1])]
    }

    #[target_feature(enable = "sse2")]
    fn words([a, b, c, d]: [u32; 4]) -> __m128i {
        _mm_set_epi32(d.cast_signed(), c.cast_signed(), b.cast_signed(), a.cast_signed())
    }

    /// Four rounds of every message, `sums` are its words and those of the rounds. Of two in turns: left to itself, the compiler puts all
    /// rounds of one before those of the other.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn four_rounds<const N: usize>(states: &mut [[__m128i; 2]; N], sums: [__m128i; N]) {
        if let ([[abef_a, cdgh_a], [abef_b, cdgh_b]], [a, b]) = (&mut states[..], &sums[..]) {
            // SAFETY: it reads and writes the registers named, and `xmm0`, where the instruction has its third operand.
            unsafe {
                asm!(
                    "movdqa xmm0, {a}",
                    "sha256rnds2 {cdgh_a}, {abef_a}",
                    "movdqa xmm0, {b}",
                    "sha256rnds2 {cdgh_b}, {abef_b}",
                    "pshufd xmm0, {a}, 14",
                    "sha256rnds2 {abef_a}, {cdgh_a}",
                    "pshufd xmm0, {b}, 14",
                    "sha256rnds2 {abef_b}, {cdgh_b}",
                    a = in(xmm_reg) *a,
                    b = in(xmm_reg) *b,
                    abef_a = inout(xmm_reg) *abef_a,
                    cdgh_a = inout(xmm_reg) *cdgh_a,
                    abef_b = inout(xmm_reg) *abef_b,
                    cdgh_b = inout(xmm_reg) *cdgh_b,
                    out("xmm0") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
            return;
        }
        for ([abef, cdgh], sum) in states.iter_mut().zip(sums) {
            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn compress<const N: usize>(states: &mut [[__m128i; 2]; N], blocks: [&Block; N]) {
        let mut now = *states;
        let mut schedule = [[_mm_setzero_si128(); 4]; N];
        for (schedule, block) in schedule.iter_mut().zip(blocks) {
            for (word, bytes) in schedule.iter_mut().zip(block.as_chunks::<16>().0) {
                *word = big_endian(bytes);
            }
        }
        for (i, round) in ROUND.into_iter().enumerate() {
            let mut sums = [_mm_setzero_si128(); N];
            for (sum, schedule) in sums.iter_mut().zip(&mut schedule) {
                let [w0, w1, w2, w3] = *schedule;
                *sum = _mm_add_epi32(w0, words(round));
                // Four words further on; the last four rounds need none.
                let next = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
                *schedule = [w1, w2, w3, if i < 12 { _mm_sha256msg2_epu32(next, w3) } else { w0 }];
            }
            four_rounds(&mut now, sums);
        }
        for (state, now) in states.iter_mut().zip(now) {
            *state = [_mm_add_epi32(state[0], now[0]), _mm_add_epi32(state[1], now[1])];
        }
    }

    #[target_feature(enable = "ssse3")]
    fn big_endian(bytes: &[u8; 16]) -> __m128i {
        let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        // SAFETY: sixteen bytes are there; they need no alignment.
        _mm_shuffle_epi8(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }, order)
    }

    #[target_feature(enable = "sse4.1,ssse3")]
    fn hash_of([abef, cdgh]: [__m128i; 2]) -> Hash {
        let feba = _mm_shuffle_epi32(abef, 0x1b);
        let dchg = _mm_shuffle_epi32(cdgh, 0xb1);
        let halves = [_mm_blend_epi16(feba, dchg, 0xf0), _mm_alignr_epi8(dchg, feba, 8)];
        let mut hash = [0; 32];
        for (bytes, half) in hash.as_chunks_mut::<16>().0.iter_mut().zip(halves) {
            let mut words = [0u8; 16];
            // SAFETY: sixteen bytes are there; they need no alignment.
            unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), half) };
            *bytes = words;
        }
        for word in hash.as_chunks_mut::<4>().0 {
            word.reverse();
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sha256_at_every_pair_of_lengths() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let lengths = (0..=200).chain([319, 320, 511, 512, 513, 999]);
        for (a, b) in lengths.flat_map(|a| [0, 1, 55, 56, 63, 64, 65, 119, 120, 161, 400].map(|b| (a, b))) {
            for messages in [[&bytes[..a], &bytes[1000 - b..]], [&bytes[1000 - b..], &bytes[..a]]] {
                assert_eq!(
                    sha256_pair(messages),
                    messages.map(|message| Hash::from(Sha256::digest(message))),
                    "{a} {b}"
                );
            }
        }
    }
}
