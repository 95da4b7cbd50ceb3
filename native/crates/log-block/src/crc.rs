/// Continues `seed`, a checksum of what came before (0 at the start), over `bytes`.
pub fn crc32c(bytes: &[u8], seed: u32) -> u32 {
    crc32c::crc32c_append(seed, bytes)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    /// Bit by bit, from the definition.
    fn naive(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }

    #[test]
    fn gives_the_check_values_of_rfc_3720_and_of_the_catalogue() {
        assert_eq!(crc32c(b"123456789", 0), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32], 0), 0x8a91_36aa);
        assert_eq!(crc32c(&[255; 32], 0), 0x62a8_ab43);
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_offset_and_split() {
        let bytes: Vec<u8> = (0..4096u32).map(|i| ((i * i) >> 3) as u8).collect();
        for from in 0..9 {
            for length in (0..200).chain([1023, 1024, 1025, 3000, 4000]) {
                let part = &bytes[from..from + length];
                let whole = naive(part);
                assert_eq!(crc32c(part, 0), whole);
                let (left, right) = part.split_at(length / 3);
                assert_eq!(crc32c(right, crc32c(left, 0)), whole);
            }
        }
    }
}
