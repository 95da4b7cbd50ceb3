use libc::{MSG_DONTWAIT, recv};
use millrace_calculator::Value;
use millrace_calculator::msgpack::pack;
use millrace_calculator_host::frame::{Frame, FrameReader, FrameType, encode};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

const CHUNK_BYTES: usize = 1 << 18;

/// Frames over the host's socket.
pub struct Channel {
    stream: UnixStream,
    reader: FrameReader,
    chunk: Vec<u8>,
}

impl Channel {
    pub fn connect(path: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        Ok(Self { stream, reader: FrameReader::default(), chunk: vec![0; CHUNK_BYTES] })
    }

    pub fn send(&mut self, is: FrameType, body: &Value) -> io::Result<()> {
        self.send_packed(is, &pack(body))
    }

    pub fn send_packed(&mut self, is: FrameType, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&encode(is, body))
    }

    /// Waits for a frame; nothing when the host is gone.
    pub fn receive(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut self.chunk)? {
                0 => return Ok(None),
                n => self.reader.feed(&self.chunk[..n]),
            }
        }
    }

    /// A frame that is here already.
    pub fn poll(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            // SAFETY: the descriptor is open, and the buffer as long as said.
            let n = unsafe { recv(self.stream.as_raw_fd(), self.chunk.as_mut_ptr().cast(), CHUNK_BYTES, MSG_DONTWAIT) };
            match usize::try_from(n) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.reader.feed(&self.chunk[..n]),
            }
        }
    }

    fn buffered(&mut self) -> io::Result<Option<Frame>> {
        self.reader.take().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    }
}
