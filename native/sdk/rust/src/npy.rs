//! Arrays in NumPy's format, version 1 to 3 (numpy.lib.format): a magic text, a version, the length of a header, the header as a
//! literal of Python, and the numbers.

/// A kind of number that arrays hold.
pub trait Element: sealed::Sealed + Copy {
    /// As NumPy calls it on this machine.
    const DESCRIPTION: &'static str;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty => $little:literal $big:literal),+ $(,)?) => {
        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const DESCRIPTION: &'static str = if cfg!(target_endian = "little") { $little } else { $big };
            }
        )+
    };
}

elements! {
    u8 => "|u1" "|u1",
    i8 => "|i1" "|i1",
    u16 => "<u2" ">u2",
    i16 => "<i2" ">i2",
    u32 => "<u4" ">u4",
    i32 => "<i4" ">i4",
    u64 => "<u8" ">u8",
    i64 => "<i8" ">i8",
    f32 => "<f4" ">f4",
    f64 => "<f8" ">f8",
}

/// Numbers where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a, T> {
    /// Longest stride first, or last where `is_fortran`.
    pub shape: Vec<usize>,
    pub is_fortran: bool,
    pub data: &'a [T],
}

pub(crate) fn array<T: Element>(bytes: &[u8]) -> Result<Array<'_, T>, String> {
    let (header, data) = split(bytes).ok_or("the payload is no array in NumPy's format")?;
    let description = field(header, "descr").and_then(quoted);
    if description != Some(T::DESCRIPTION) {
        let found = description.unwrap_or("structured");
        return Err(format!("the array is of type {found}, not {}", T::DESCRIPTION));
    }
    let is_fortran = field(header, "fortran_order").is_some_and(|value| value.starts_with("True"));
    let shape = field(header, "shape").and_then(sizes).ok_or("the array has no shape")?;
    let items = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let length = items.and_then(|n| n.checked_mul(size_of::<T>())).filter(|length| *length <= data.len());
    let (Some(items), Some(_)) = (items, length) else {
        return Err("the array is longer than its payload".to_owned());
    };
    if !data.as_ptr().cast::<T>().is_aligned() {
        return Err("the numbers of the array begin at an odd place".to_owned());
    }
    // SAFETY: so many are there, aligned, and every pattern of bits is a number.
    let data = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<T>(), items) };
    Ok(Array { shape, is_fortran, data })
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// What follows a key of the header.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{name}':"))?;
    Some(header[at + name.len() + 3..].trim_start())
}

fn quoted(value: &str) -> Option<&str> {
    value.strip_prefix('\'')?.split('\'').next()
}

fn sizes(value: &str) -> Option<Vec<usize>> {
    let inside = value.strip_prefix('(')?.split(')').next()?;
    inside.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u64> {
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes.chunks(8).map(|c| u64::from_ne_bytes(std::array::from_fn(|i| c.get(i).copied().unwrap_or(0)))).collect()
    }

    fn bytes_of(words: &[u64]) -> &[u8] {
        // SAFETY: any eight bytes are a word.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * 8) }
    }

    #[test]
    fn numbers_are_read_where_they_lie() {
        let data: Vec<u8> = [1.5_f64, -2.0, 0.25].iter().flat_map(|n| n.to_le_bytes()).collect();
        let words = npy("'<f8'", "False", "(3, 1)", &data);
        let bytes = bytes_of(&words);
        let array = array::<f64>(bytes).unwrap();
        assert_eq!(array, Array { shape: vec![3, 1], is_fortran: false, data: &[1.5, -2.0, 0.25] });
        assert_eq!(array.data.as_ptr().cast::<u8>(), bytes[128..].as_ptr());
        let words = npy("'|u1'", "True", "()", &[7]);
        assert_eq!(super::array::<u8>(bytes_of(&words)).unwrap().data, [7]);
    }

    #[test]
    fn what_it_is_not_is_said() {
        let words = npy("'<f8'", "False", "(3,)", &[0; 24]);
        let bytes = bytes_of(&words);
        assert_eq!(array::<f32>(bytes).unwrap_err(), "the array is of type <f8, not <f4");
        assert_eq!(array::<f64>(&bytes[..128]).unwrap_err(), "the array is longer than its payload");
        assert_eq!(array::<f64>(&bytes[1..]).unwrap_err(), "the payload is no array in NumPy's format");
        let words = npy("'<f8'", "False", "(18446744073709551615, 2)", &[0; 24]);
        assert_eq!(array::<f64>(bytes_of(&words)).unwrap_err(), "the array is longer than its payload");
        let words = npy("[('a', '<f8')]", "False", "(1,)", &[0; 8]);
        assert_eq!(array::<f64>(bytes_of(&words)).unwrap_err(), "the array is of type structured, not <f8");
        let mut odd = vec![0_u8; bytes.len() + 4];
        let shift = if odd.as_ptr().cast::<f64>().is_aligned() { 4 } else { 0 };
        odd[shift..shift + bytes.len()].copy_from_slice(bytes);
        assert_eq!(array::<f64>(&odd[shift..]).unwrap_err(), "the numbers of the array begin at an odd place");
    }
}
