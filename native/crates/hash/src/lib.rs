//! Hashes of the log's RFC 6962 tree, many in one call, and of its segments, by the processor's SHA instructions where it has them.

mod pair;
mod segment;

pub use segment::SegmentHash;

use pair::{Hash, sha256_pair};

pub const HASH_BYTES: usize = 32;
/// Hashes in a full tile (https://c2sp.org/tlog-tiles).
pub const TILE_WIDTH: usize = 256;
pub const TILE_BYTES: usize = TILE_WIDTH * HASH_BYTES;
/// Numbers that tell where a record is: header, payload, end, and whether it is a control record.
pub const PLACE_WORDS: usize = 4;

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

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
    let (places, rest) = places.as_chunks::<PLACE_WORDS>();
    if !rest.is_empty() {
        return Err(TreeError::Places);
    }
    let parts = places.iter().map(|&place| parts_at(bytes, place)).collect::<Result<Vec<_>, _>>()?;
    let payloads = hashes_of(parts.iter().map(|part| part.payload));
    let mut entries = vec![LEAF_PREFIX];
    let mut ends = Vec::with_capacity(parts.len());
    for (part, payload) in parts.iter().zip(payloads.as_chunks::<HASH_BYTES>().0) {
        entries.extend_from_slice(part.header);
        entries.extend_from_slice(payload);
        if !part.is_control {
            ends.push(entries.len());
            entries.push(LEAF_PREFIX);
        }
    }
    if parts.last().is_some_and(|part| part.is_control) {
        return Err(TreeError::HalfPosition);
    }
    let begins = std::iter::once(0).chain(ends.iter().copied());
    Ok(hashes_of(begins.zip(&ends).map(|(begin, &end)| &entries[begin..end])))
}

struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    is_control: bool,
}

fn parts_at(bytes: &[u8], [header, payload, end, control]: [u32; PLACE_WORDS]) -> Result<Parts<'_>, TreeError> {
    let between = |from: u32, to: u32| bytes.get(from as usize..to as usize).ok_or(TreeError::Places);
    Ok(Parts { header: between(header, payload)?, payload: between(payload, end)?, is_control: control != 0 })
}

/// The hashes of messages, one after the other.
fn hashes_of<'a>(mut messages: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut hashes = Vec::with_capacity(messages.size_hint().0 * HASH_BYTES);
    while let Some(first) = messages.next() {
        let second = messages.next();
        let [a, b]: [Hash; 2] = sha256_pair([first, second.unwrap_or(&[])]);
        hashes.extend_from_slice(&a);
        if second.is_some() {
            hashes.extend_from_slice(&b);
        }
    }
    hashes
}

/// The root over the hashes of each full tile, 32 bytes each. The tiles lie one after the other.
pub fn tile_roots(tiles: &[u8]) -> Result<Vec<u8>, TreeError> {
    if !tiles.len().is_multiple_of(TILE_BYTES) {
        return Err(TreeError::Tiles);
    }
    let roots = tiles.len() / TILE_BYTES;
    let mut level = parents_of(tiles);
    while level.len() > roots * HASH_BYTES {
        level = parents_of(&level);
    }
    Ok(level)
}

/// The nodes over each two hashes.
fn parents_of(hashes: &[u8]) -> Vec<u8> {
    let pairs = hashes.as_chunks::<{ 2 * HASH_BYTES }>().0;
    let mut nodes = [[NODE_PREFIX; 1 + 2 * HASH_BYTES]; 2];
    let mut parents = Vec::with_capacity(pairs.len() * HASH_BYTES);
    for two in pairs.chunks(2) {
        for (node, pair) in nodes.iter_mut().zip(two) {
            node[1..].copy_from_slice(pair);
        }
        let both = sha256_pair([&nodes[0], &nodes[1]]);
        parents.extend_from_slice(both[..two.len()].as_flattened());
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

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
            let node = [&[NODE_PREFIX][..], &expected, &expected].concat();
            expected.copy_from_slice(&Sha256::digest(node));
        }
        let roots = tile_roots(&[7; 2 * TILE_BYTES]).unwrap();
        assert_eq!(roots, [expected, expected].concat());
        assert_eq!(tile_roots(&[7; 100]), Err(TreeError::Tiles));
    }
}
