//! The distinct texts of one field, numbered in the order in which they were seen.

use xxhash_rust::xxh3::xxh3_64;

/// Share of the slots that are in use at most: one half.
const SLOTS_PER_TEXT: usize = 2;
const SLOTS_MIN: usize = 64;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot {
    /// Upper half of the hash: most texts that differ differ here.
    hash: u32,
    number: u32,
}

const EMPTY: Slot = Slot { hash: 0, number: NONE };

struct Text {
    start: usize,
    end: usize,
    is_escaped: bool,
}

pub struct Texts {
    bytes: Vec<u8>,
    texts: Vec<Text>,
    slots: Vec<Slot>,
    /// The text that was asked for last: neighbours in a column are often equal.
    last: u32,
}

impl Texts {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), texts: Vec::new(), slots: vec![EMPTY; SLOTS_MIN], last: NONE }
    }

    /// The number of a text as it is written, and whether it is new. With escapes it is another one than without.
    pub fn number_of(&mut self, text: &[u8], is_escaped: bool) -> (u32, bool) {
        if self.last != NONE && self.is(self.last, text, is_escaped) {
            return (self.last, false);
        }
        let hash = xxh3_64(text);
        let short = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].number != NONE {
            let Slot { hash, number } = self.slots[at];
            if hash == short && self.is(number, text, is_escaped) {
                self.last = number;
                return (number, false);
            }
            at = (at + 1) & mask;
        }
        let number = self.texts.len() as u32;
        self.slots[at] = Slot { hash: short, number };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.texts.push(Text { start, end: self.bytes.len(), is_escaped });
        if self.texts.len() * SLOTS_PER_TEXT > self.slots.len() {
            self.grow();
        }
        self.last = number;
        (number, true)
    }

    fn is(&self, number: u32, text: &[u8], is_escaped: bool) -> bool {
        let known = &self.texts[number as usize];
        known.is_escaped == is_escaped && self.bytes[known.start..known.end] == *text
    }

    fn grow(&mut self) {
        let mut slots = vec![EMPTY; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for (number, text) in self.texts.iter().enumerate() {
            let hash = xxh3_64(&self.bytes[text.start..text.end]);
            let mut at = hash as usize & mask;
            while slots[at].number != NONE {
                at = (at + 1) & mask;
            }
            slots[at] = Slot { hash: (hash >> 32) as u32, number: number as u32 };
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_numbers_however_many_there_are() {
        let mut texts = Texts::new();
        for round in 0..2 {
            for i in 0..5000u32 {
                assert_eq!(texts.number_of(format!("text {i}").as_bytes(), false), (i, round == 0));
            }
        }
        assert_eq!(texts.number_of(b"", false), (5000, true));
        assert_eq!(texts.number_of(b"", false), (5000, false));
    }

    #[test]
    fn an_escaped_text_is_another_one() {
        let mut texts = Texts::new();
        assert_eq!(texts.number_of(b"a\"\"b", false), (0, true));
        assert_eq!(texts.number_of(b"a\"\"b", true), (1, true));
        assert_eq!(texts.number_of(b"a\"\"b", false), (0, false));
    }
}
