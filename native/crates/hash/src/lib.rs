//! Hashes of the log's RFC 6962 tree, many in one call, and of its segments, by the processor's SHA instructions where it has them.

mod segment;

pub use segment::SegmentHash;

use sha2::{Digest, Sha256};

pub const HASH_BYTES: usize = 32;
/// Hashes in a full tile (https://c2sp.org/tlog-tiles).
pub const TILE_WIDTH: usize = 256;
pub const TILE_BYTES: usize = TILE_WIDTH * HASH_BYTES;
/// Numbers that tell where a record is: header, payload, end, and whether it is a control record.
pub const PLACE_WORDS: usize = 4;

const LEAF_PREFIX: [u8; 1] = [0];
const NODE_PREFIX: [u8; 1] = [1];

#[derive(Debug, PartialEq, Eq)]
pub enum TreeError {
    /// Places that do not ascend within the bytes, or no four to a record.
    Places,
    /// The last record is no event.
    HalfPosition,
    /// The bytes are no full tiles.
    Tiles,
}

impl std::fmt::Display for TreeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Places => "the places of records must ascend within their bytes, four numbers each",
            Self::HalfPosition => "leaves are made of whole positions",
            Self::Tiles => "a full tile has 8192 bytes",
        })
    }
}

impl std::error::Error for TreeError {}

/// The leaf of each position, 32 bytes each: `SHA-256(0x00 ‖ entry)`, where an entry is, for each control record of the position
/// and then for its event, the header and the SHA-256 of the payload.
pub fn leaf_hashes(bytes: &[u8], places: &[u32]) -> Result<Vec<u8>, TreeError> {
    let records = places.chunks_exact(PLACE_WORDS);
    if !records.remainder().is_empty() {
        return Err(TreeError::Places);
    }
    let mut leaves = Vec::with_capacity(records.len() * HASH_BYTES);
    let mut open: Option<Sha256> = None;
    for place in records {
        let [header, payload, end, control] = [place[0], place[1], place[2], place[3]];
        let header = bytes.get(header as usize..payload as usize).ok_or(TreeError::Places)?;
        let payload = bytes.get(payload as usize..end as usize).ok_or(TreeError::Places)?;
        let mut leaf = open.take().unwrap_or_else(|| Sha256::new_with_prefix(LEAF_PREFIX));
        leaf.update(header);
        leaf.update(Sha256::digest(payload));
        if control == 0 {
            leaves.extend_from_slice(&leaf.finalize());
        } else {
            open = Some(leaf);
        }
    }
    if open.is_some() { Err(TreeError::HalfPosition) } else { Ok(leaves) }
}

/// The root over the hashes of each full tile, 32 bytes each. The tiles lie one after the other.
pub fn tile_roots(tiles: &[u8]) -> Result<Vec<u8>, TreeError> {
    if !tiles.len().is_multiple_of(TILE_BYTES) {
        return Err(TreeError::Tiles);
    }
    let mut roots = Vec::with_capacity(tiles.len() / TILE_WIDTH);
    let mut level = [0; TILE_BYTES];
    for tile in tiles.chunks_exact(TILE_BYTES) {
        level.copy_from_slice(tile);
        let mut hashes = TILE_WIDTH;
        while hashes > 1 {
            hashes /= 2;
            for i in 0..hashes {
                let pair = i * 2 * HASH_BYTES;
                let node = Sha256::new_with_prefix(NODE_PREFIX).chain_update(&level[pair..pair + 2 * HASH_BYTES]);
                level[i * HASH_BYTES..(i + 1) * HASH_BYTES].copy_from_slice(&node.finalize());
            }
        }
        roots.extend_from_slice(&level[..HASH_BYTES]);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, by hand: one event with an empty header, whose payload is "abc".
    #[test]
    fn a_leaf_is_the_hash_of_zero_header_and_hash_of_the_payload() {
        let entry = [&[0][..], b"head", &Sha256::digest(b"abc")].concat();
        let leaves = leaf_hashes(b"headabc", &[0, 4, 7, 0]).unwrap();
        assert_eq!(leaves, Sha256::digest(entry).to_vec());
    }

    #[test]
    fn control_records_belong_to_the_event_behind_them() {
        let entry = [&[0][..], b"c", &Sha256::digest(b"1"), b"e", &Sha256::digest(b"2")].concat();
        let leaves = leaf_hashes(b"c1e2", &[0, 1, 2, 1, 2, 3, 4, 0]).unwrap();
        assert_eq!(leaves, Sha256::digest(entry).to_vec());
        assert_eq!(leaf_hashes(b"c1e2", &[0, 1, 2, 1]), Err(TreeError::HalfPosition));
    }

    #[test]
    fn places_must_be_within_the_bytes() {
        for places in [&[0, 4, 8, 0][..], &[4, 0, 7, 0], &[0, 4, 3, 0], &[0, 4, 7]] {
            assert_eq!(leaf_hashes(b"headabc", places), Err(TreeError::Places));
        }
        assert_eq!(leaf_hashes(b"", &[]), Ok(vec![]));
    }

    #[test]
    fn a_tile_of_one_hash_repeated_has_the_root_of_eight_levels_of_it() {
        let mut expected = [7; HASH_BYTES];
        for _ in 0..8 {
            let node = [&NODE_PREFIX[..], &expected, &expected].concat();
            expected.copy_from_slice(&Sha256::digest(node));
        }
        let roots = tile_roots(&[7; 2 * TILE_BYTES]).unwrap();
        assert_eq!(roots, [expected, expected].concat());
        assert_eq!(tile_roots(&[7; 100]), Err(TreeError::Tiles));
    }
}
