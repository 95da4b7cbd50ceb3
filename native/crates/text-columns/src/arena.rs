//! Texts as JavaScript holds them: one byte for each character where all are Latin-1, else UTF-16.

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    None,
    /// A quote is doubled.
    Quotes,
    /// JSON's, known to be well-formed.
    Backslashes,
}

/// A text in a file, its escapes not undone.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    pub bytes: &'a [u8],
    pub escapes: Escapes,
    /// It has bytes that are not ASCII.
    pub is_wide: bool,
}

/// Where a text went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub start: usize,
    pub end: usize,
    /// In the array of UTF-16.
    pub is_wide: bool,
}

/// The texts of a run, in arrays of the caller that have as much room as the run has bytes.
pub struct Arena<'a> {
    latin: &'a mut [u8],
    wide: &'a mut [u16],
    latin_used: usize,
    wide_used: usize,
}

impl<'a> Arena<'a> {
    pub fn new(latin: &'a mut [u8], wide: &'a mut [u16]) -> Self {
        Self { latin, wide, latin_used: 0, wide_used: 0 }
    }

    /// Whether texts of so many bytes have room.
    pub fn fits(&self, bytes: usize) -> bool {
        self.latin.len() - self.latin_used >= bytes && self.wide.len() - self.wide_used >= bytes
    }

    /// `None` when the text is not UTF-8.
    pub fn place(&mut self, text: &Written<'_>) -> Option<Placed> {
        let Written { bytes, escapes, is_wide } = *text;
        if !is_wide && escapes == Escapes::None {
            let start = self.latin_used;
            self.latin_used += bytes.len();
            self.latin[start..self.latin_used].copy_from_slice(bytes);
            return Some(Placed { start, end: self.latin_used, is_wide: false });
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let start = self.wide_used;
        let mut end = start;
        let mut all = 0;
        each_unit(text, escapes, |unit| {
            self.wide[end] = unit;
            end += 1;
            all |= unit;
        });
        if all > 0xff {
            self.wide_used = end;
            return Some(Placed { start, end, is_wide: true });
        }
        Some(self.narrowed(start, end))
    }

    fn narrowed(&mut self, start: usize, end: usize) -> Placed {
        let narrow = self.latin_used;
        self.latin_used += end - start;
        for (to, unit) in self.latin[narrow..self.latin_used].iter_mut().zip(&self.wide[start..end]) {
            *to = *unit as u8;
        }
        Placed { start: narrow, end: self.latin_used, is_wide: false }
    }
}

fn each_unit(text: &str, escapes: Escapes, mut take: impl FnMut(u16)) {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, escapes) {
            ('"', Escapes::Quotes) => {
                chars.next();
                take(u16::from(b'"'));
            }
            ('\\', Escapes::Backslashes) => take(unescaped(&mut chars)),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    take(*unit);
                }
            }
        }
    }
}

/// Half of a pair of surrogates may stand alone.
fn unescaped(chars: &mut std::str::Chars<'_>) -> u16 {
    match chars.next() {
        Some('b') => 8,
        Some('t') => 9,
        Some('n') => 10,
        Some('f') => 12,
        Some('r') => 13,
        Some('u') => chars.by_ref().take(4).fold(0, |unit, digit| unit << 4 | digit.to_digit(16).unwrap_or(0) as u16),
        // A quote, a slash or a backslash.
        other => other.map_or(0, |char| char as u16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(text: &str, escapes: Escapes) -> (Vec<u16>, bool) {
        let mut latin = [0; 64];
        let mut wide = [0; 64];
        let written = Written { bytes: text.as_bytes(), escapes, is_wide: !text.is_ascii() };
        let Placed { start, end, is_wide } = Arena::new(&mut latin, &mut wide).place(&written).unwrap();
        let units =
            if is_wide { wide[start..end].to_vec() } else { latin[start..end].iter().map(|b| (*b).into()).collect() };
        (units, is_wide)
    }

    #[test]
    fn texts_take_a_byte_a_character_where_they_can() {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        assert_eq!(placed("plain", Escapes::None), (units("plain"), false));
        assert_eq!(placed("Zürich", Escapes::None), (units("Zürich"), false));
        assert_eq!(placed("a\"\"b", Escapes::Quotes), (units("a\"b"), false));
        assert_eq!(placed("日本 😀", Escapes::None), (units("日本 😀"), true));
        assert_eq!(
            placed(r#"\"\\\/\b\f\n\r\tA\u00e9"#, Escapes::Backslashes),
            (units("\"\\/\u{8}\u{c}\n\r\tAé"), false)
        );
        assert_eq!(placed(r"\uD83d\ude00", Escapes::Backslashes), (units("😀"), true));
        assert_eq!(placed(r"\ud800!", Escapes::Backslashes), (vec![0xd800, 0x21], true));
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused() {
        let written = Written { bytes: &[0x61, 0xff], escapes: Escapes::None, is_wide: true };
        assert_eq!(Arena::new(&mut [0; 8], &mut [0; 8]).place(&written), None);
    }
}
