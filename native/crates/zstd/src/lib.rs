//! Zstandard frames by libzstd: what segments in the archive of the log, and record batches of Kafka, are packed in.
//! `streams/src/compression/zstd.ts` does the same by WebAssembly, to the same bytes.

use std::fmt;

use zstd_safe::{CCtx, DCtx, ErrorCode, compress_bound, decompress_bound, get_error_name, get_frame_content_size};

const LEVEL: i32 = 3;
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// What libzstd answers when the content does not fit (`ZSTD_error_dstSize_tooSmall`).
const TOO_SMALL: ErrorCode = (0 as ErrorCode).wrapping_sub(70);

#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No frame begins here, or it is cut off.
    NotWhole,
    /// The frame says so itself, or unpacks to more than `max`.
    TooLarge {
        declared: Option<u64>,
        max: usize,
    },
    /// libzstd's word for it.
    Refused(&'static str),
    NoMemory(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWhole => write!(f, "this is no Zstandard frame, or it is cut off"),
            Self::TooLarge { declared: Some(bytes), max } => {
                write!(f, "a Zstandard frame of {bytes} bytes is larger than {max}")
            }
            Self::TooLarge { declared: None, max } => write!(f, "a Zstandard frame is larger than {max} bytes"),
            Self::Refused(why) => write!(f, "Zstandard: {why}"),
            Self::NoMemory(bytes) => write!(f, "there is no memory for {bytes} bytes"),
        }
    }
}

/// Keeps what libzstd works in from one call to the next: about a megabyte, whatever was packed.
#[derive(Default)]
pub struct Codec {
    packing: CCtx<'static>,
    unpacking: DCtx<'static>,
}

impl Codec {
    /// One frame, which says how long its content is.
    pub fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut packed = room(compress_bound(bytes.len()))?;
        self.packing.compress(&mut packed, bytes, LEVEL).map_err(refused)?;
        packed.shrink_to_fit();
        Ok(packed)
    }

    /// The content of the frames in `bytes`, which need not say how long it is: at most `max` bytes. No more is allocated,
    /// whatever a damaged header asks for. Frames have no checksum of their content: damage there may be taken for other content.
    pub fn decompress(&mut self, bytes: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(FrameError::NotWhole);
        }
        let declared = get_frame_content_size(bytes).map_err(|_| FrameError::NotWhole)?;
        let too_large = FrameError::TooLarge { declared, max };
        if declared.is_some_and(|size| size > max as u64) {
            return Err(too_large);
        }
        // Of what is not declared, as much as its blocks can hold.
        let most = decompress_bound(bytes).map_err(|_| FrameError::NotWhole)?;
        let mut content = room(usize::try_from(most).map_or(max, |most| most.min(max)))?;
        match self.unpacking.decompress(&mut content, bytes) {
            Ok(_) => {}
            Err(TOO_SMALL) => return Err(FrameError::TooLarge { declared: None, max }),
            Err(code) => return Err(refused(code)),
        }
        content.shrink_to_fit();
        Ok(content)
    }
}

fn refused(code: ErrorCode) -> FrameError {
    FrameError::Refused(get_error_name(code))
}

fn room(bytes: usize) -> Result<Vec<u8>, FrameError> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes).map_err(|_| FrameError::NoMemory(bytes))?;
    Ok(room)
}

#[cfg(test)]
mod tests {
    use zstd_safe::CParameter;

    use super::*;

    /// A frame that does not say how long its content is.
    fn unsized_frame(content: &[u8]) -> Vec<u8> {
        let mut packing = CCtx::default();
        packing.set_parameter(CParameter::ContentSizeFlag(false)).expect("a flag");
        let mut packed = room(compress_bound(content.len())).expect("memory");
        packing.compress2(&mut packed, content).expect("a frame");
        packed
    }

    #[test]
    fn content_comes_back_up_to_its_bound() {
        let mut codec = Codec::default();
        let content: Vec<u8> = (0..300_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        let declared = codec.compress(&content).expect("a frame");
        for (frame, size) in [(declared, Some(content.len() as u64)), (unsized_frame(&content), None)] {
            assert_eq!(get_frame_content_size(&frame).expect("a frame"), size);
            assert_eq!(codec.decompress(&frame, content.len()).as_ref(), Ok(&content));
            let max = content.len() - 1;
            let refused = codec.decompress(&frame, max);
            assert_eq!(refused, Err(FrameError::TooLarge { declared: size, max }));
        }
    }

    #[test]
    fn content_keeps_no_more_memory_than_it_needs() {
        let mut codec = Codec::default();
        let frame = unsized_frame(b"short");
        assert_eq!(codec.decompress(&frame, 1 << 30).map(|content| content.capacity()), Ok(5));
    }

    #[test]
    fn what_is_cut_or_damaged_is_refused() {
        let mut codec = Codec::default();
        let frame = codec.compress(&[5; 70_000]).expect("a frame");
        for end in 0..frame.len() {
            assert!(codec.decompress(&frame[..end], 1 << 20).is_err(), "cut to {end}");
        }
        assert_eq!(codec.decompress(b"no frame", 10), Err(FrameError::NotWhole));
        let mut reserved = frame.clone();
        reserved[4] |= 0x08;
        assert!(matches!(codec.decompress(&reserved, 1 << 20), Err(FrameError::NotWhole | FrameError::Refused(_))));
    }
}
