//! Which partition each of many keys belongs to: murmur2 of its UTF-8, as Kafka's own Java client places it, and
//! `streams/src/kafka/partitioner.ts` one key at a time, against which `ops/test/native/key-partitions.test.ts` holds this.
//!
//! Keys lie one behind the other in a text. Where each ends is counted in units of UTF-16, as texts are long in JavaScript.

mod murmur2;

use std::num::NonZeroU32;

use murmur2::murmur2;

/// What a caller asked for that does not fit together.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

const BEYOND: Refused = Refused("keys end in the text, one behind the other");
/// A surrogate without its other half.
const LOST: &[u8] = "\u{fffd}".as_bytes();

/// Writes the partition of each key to the front of `into`. False, and some are not written: one key ends with a half of a character
/// and the next begins with the other, which lie in the text as one, so that it must be had in UTF-16.
pub fn place_utf8(text: &[u8], ends: &[u32], partitions: NonZeroU32, into: &mut [i32]) -> Result<bool, Refused> {
    let (mut at, mut begin) = (0, 0);
    for (&end, partition) in ends.iter().zip(room(into, ends)?) {
        let rest = text.get(at..).ok_or(BEYOND)?;
        let units = end.checked_sub(begin).ok_or(BEYOND)?;
        let Some(length) = bytes_of(rest, units as usize)? else { return Ok(false) };
        *partition = partition_of(&rest[..length], partitions);
        (at, begin) = (at + length, end);
    }
    Ok(true)
}

/// How many bytes the first units of a text take; `None` where a character lies across their end.
fn bytes_of(text: &[u8], units: usize) -> Result<Option<usize>, Refused> {
    if text.get(..units).is_some_and(<[u8]>::is_ascii) {
        return Ok(Some(units));
    }
    let (mut at, mut left) = (0, units);
    while left > 0 {
        let (bytes, taken) = match text.get(at).ok_or(BEYOND)? {
            ..0x80 => (1, 1),
            0x80..0xe0 => (2, 1),
            0xe0..0xf0 => (3, 1),
            0xf0.. => (4, 2),
        };
        if taken > left {
            return Ok(None);
        }
        (at, left) = (at + bytes, left - taken);
    }
    if at <= text.len() { Ok(Some(at)) } else { Err(BEYOND) }
}

/// The same, whatever keys begin and end with.
pub fn place_utf16(text: &[u16], ends: &[u32], partitions: NonZeroU32, into: &mut [i32]) -> Result<(), Refused> {
    let mut begin = 0;
    let mut bytes = Vec::new();
    for (&end, partition) in ends.iter().zip(room(into, ends)?) {
        let key = text.get(begin..end as usize).ok_or(BEYOND)?;
        bytes.clear();
        for character in char::decode_utf16(key.iter().copied()) {
            match character {
                Ok(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(_) => bytes.extend_from_slice(LOST),
            }
        }
        *partition = partition_of(&bytes, partitions);
        begin = end as usize;
    }
    Ok(())
}

fn room<'a>(into: &'a mut [i32], ends: &[u32]) -> Result<&'a mut [i32], Refused> {
    into.get_mut(..ends.len()).ok_or(Refused("there is room for the partition of every key"))
}

/// Below 2^31, as the topmost bit of the hash does not count.
fn partition_of(key: &[u8], partitions: NonZeroU32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE: NonZeroU32 = NonZeroU32::new(12).unwrap();

    /// Both ways, which must agree.
    fn placed(keys: &[&str]) -> Vec<i32> {
        let text = keys.concat();
        let mut end = 0;
        let ends = keys.iter().map(|key| {
            end += key.encode_utf16().count() as u32;
            end
        });
        let ends = ends.collect::<Vec<_>>();
        let (mut by_bytes, mut by_units) = (vec![-1; keys.len()], vec![-1; keys.len()]);
        assert_eq!(place_utf8(text.as_bytes(), &ends, TWELVE, &mut by_bytes), Ok(true));
        let units = text.encode_utf16().collect::<Vec<_>>();
        assert_eq!(place_utf16(&units, &ends, TWELVE, &mut by_units), Ok(()));
        assert_eq!(by_bytes, by_units);
        by_bytes
    }

    #[test]
    fn keys_are_placed_by_their_own_characters_alone() {
        let keys = ["21", "", "foobar", "é", "a-little-bit-long-string", "ключ", "", "😀a", "abc", "鍵"];
        let alone = keys.map(|key| partition_of(key.as_bytes(), TWELVE));
        assert_eq!(placed(&keys), alone);
    }

    #[test]
    fn halves_of_a_character_in_two_keys_are_two_that_are_lost() {
        let mut into = [-1; 2];
        assert_eq!(place_utf8("😀".as_bytes(), &[1, 2], TWELVE, &mut into), Ok(false));
        assert_eq!(place_utf16(&[0xd83d, 0xde00], &[1, 2], TWELVE, &mut into), Ok(()));
        assert_eq!(into, [partition_of(LOST, TWELVE); 2]);
    }

    #[test]
    fn there_may_be_one_partition_or_as_many_as_numbers_allow() {
        for (partitions, theirs) in [(1, 0), (i32::MAX as u32, 1_357_151_166)] {
            let mut into = [-1];
            assert_eq!(place_utf8(b"foobar", &[6], NonZeroU32::new(partitions).unwrap(), &mut into), Ok(true));
            assert_eq!(into, [theirs]);
        }
    }

    #[test]
    fn ends_and_room_that_do_not_fit_are_refused() {
        let mut into = [-1; 2];
        for ends in [[1, 4], [2, 1]] {
            assert_eq!(place_utf8(b"abc", &ends, TWELVE, &mut into), Err(BEYOND));
            assert_eq!(place_utf16(&[97, 98, 99], &ends, TWELVE, &mut into), Err(BEYOND));
        }
        assert_eq!(place_utf8(&[97, 0xc3], &[2], TWELVE, &mut into), Err(BEYOND));
        assert!(place_utf8(b"abc", &[1, 2, 3], TWELVE, &mut into).is_err());
        assert!(place_utf16(&[97, 98, 99], &[1, 2, 3], TWELVE, &mut into).is_err());
    }
}
