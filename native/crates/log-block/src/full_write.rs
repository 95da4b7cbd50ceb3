use rustix::fd::BorrowedFd;
use rustix::io::{Errno, pwrite};

/// Writes all of `bytes` at `offset`. Goes on after a short write and after an interrupted one; a write that takes
/// nothing is an I/O error, so that a broken file system cannot hold the thread for ever.
pub fn write_at(file: BorrowedFd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    write_fully(bytes, offset, |bytes, offset| pwrite(file, bytes, offset))
}

fn write_fully(
    mut bytes: &[u8],
    mut offset: u64,
    mut write: impl FnMut(&[u8], u64) -> Result<usize, Errno>,
) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes and offset of a write.
    type Asked = (Vec<u8>, u64);

    /// Answers the writes in turn and returns what was asked of it.
    fn with_answers(answers: &[Result<usize, Errno>]) -> (Result<(), Errno>, Vec<Asked>) {
        let mut asked = Vec::new();
        let mut answers = answers.iter();
        let result = write_fully(b"abcdef", 100, |bytes, offset| {
            asked.push((bytes.to_vec(), offset));
            *answers.next().expect("one write too many")
        });
        (result, asked)
    }

    #[test]
    fn goes_on_where_a_short_or_interrupted_write_stopped() {
        let (result, asked) = with_answers(&[Err(Errno::INTR), Ok(2), Err(Errno::INTR), Ok(3), Ok(1)]);
        assert_eq!(result, Ok(()));
        let expected: [(&[u8], u64); 5] =
            [(b"abcdef", 100), (b"abcdef", 100), (b"cdef", 102), (b"cdef", 102), (b"f", 105)];
        assert_eq!(asked, expected.map(|(bytes, offset)| (bytes.to_vec(), offset)));
    }

    #[test]
    fn ends_with_the_first_error_and_with_a_write_that_takes_nothing() {
        assert_eq!(with_answers(&[Ok(2), Err(Errno::NOSPC)]).0, Err(Errno::NOSPC));
        assert_eq!(with_answers(&[Ok(5), Ok(0)]).0, Err(Errno::IO));
    }
}
