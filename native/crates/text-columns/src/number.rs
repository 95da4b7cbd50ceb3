//! Numbers as JSON writes them, read to the nearest double.

/// Powers of ten that a double holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Integers up to here are doubles.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// More digits may overflow the mantissa.
const DIGITS_MAX: usize = 19;
const EXPONENT_DIGITS_MAX: usize = 4;

/// The number that begins at `at`, and the index behind it. `None` when none does, or when more digits follow a leading zero.
pub fn number_at(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let is_negative = bytes.get(at) == Some(&b'-');
    let start = at + usize::from(is_negative);
    let mut mantissa = 0u64;
    let whole = digits(bytes, start, &mut mantissa);
    if whole == start || (bytes[start] == b'0' && whole > start + 1) {
        return None;
    }
    let mut end = whole;
    if bytes.get(whole) == Some(&b'.') {
        end = digits(bytes, whole + 1, &mut mantissa);
        if end == whole + 1 {
            return None;
        }
    }
    let fraction = if end > whole { end - whole - 1 } else { 0 };
    let significant = whole - start + fraction;
    let (exponent, end) = exponent_at(bytes, end)?;
    let value = exponent
        .filter(|_| significant <= DIGITS_MAX && mantissa <= EXACT_INTEGER_MAX)
        .and_then(|exponent| exact(mantissa, exponent - fraction as i32))
        .map_or_else(|| by_library(&bytes[start..end]), Some)?;
    Some((if is_negative { -value } else { value }, end))
}

/// Adds digits to a mantissa, which wraps; answers the index behind the last.
fn digits(bytes: &[u8], from: usize, mantissa: &mut u64) -> usize {
    let mut at = from;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The exponent, `None` inside for one with too many digits, and the index behind it.
fn exponent_at(bytes: &[u8], at: usize) -> Option<(Option<i32>, usize)> {
    if !matches!(bytes.get(at), Some(b'e' | b'E')) {
        return Some((Some(0), at));
    }
    let is_negative = bytes.get(at + 1) == Some(&b'-');
    let start = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
    let mut value = 0;
    let end = digits(bytes, start, &mut value);
    if end == start {
        return None;
    }
    let exponent = (end - start <= EXPONENT_DIGITS_MAX).then_some(value as i32);
    Some((exponent.map(|exponent| if is_negative { -exponent } else { exponent }), end))
}

/// One rounding of two exact operands gives the nearest double (Clinger, "How to read floating point numbers accurately", 1990).
fn exact(mantissa: u64, exponent: i32) -> Option<f64> {
    let tens = *EXACT_TENS.get(exponent.unsigned_abs() as usize)?;
    let mantissa = mantissa as f64;
    Some(if exponent < 0 { mantissa / tens } else { mantissa * tens })
}

fn by_library(digits: &[u8]) -> Option<f64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_library() {
        for text in
            ["0", "-0", "7", "-12.5", "0.1", "1e3", "1E-7", "9007199254740993", "123456789012345678901234567890"]
        {
            let (value, end) = number_at(text.as_bytes(), 0).unwrap();
            assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
            assert_eq!(end, text.len());
        }
        for text in ["5e-324", "2.2250738585072011e-308", "1e999", "1.7976931348623157e308", "0.1e00000000003"] {
            assert_eq!(number_at(text.as_bytes(), 0).unwrap().0, text.parse::<f64>().unwrap(), "{text}");
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_none() {
        for text in ["", "-", "01", "-007", ".5", "1.", "1.e3", "1e", "1e+", "+1", "x"] {
            assert_eq!(number_at(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_it_ends() {
        assert_eq!(number_at(b"[1.5,2]", 1), Some((1.5, 4)));
        assert_eq!(number_at(b"0x10", 0), Some((0.0, 1)));
    }
}
