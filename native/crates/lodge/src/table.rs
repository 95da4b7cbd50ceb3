//! A file of 64-byte rows that processes share: a page of header, then the rows.

use crate::Error;
use crate::layout::PAGE_BYTES;
use crate::system::{self, Mapping, Writes};
use std::fs::{File, OpenOptions};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of the header, the first of which is a magic number.
const HEADER_WORDS: usize = 16;

/// `Row` has 64 bytes, all of them atomics, so that any bytes are a valid row.
pub struct Table<Row> {
    mapping: Mapping,
    rows: usize,
    row: PhantomData<Row>,
}

impl<Row> Table<Row> {
    const ROW_BYTES: usize = 64;

    /// Makes the file, all of it allocated: a full file system is an error here and never a signal later.
    pub fn create(path: &Path, rows: usize, header: &[u64]) -> Result<Self, Error> {
        let file = open(path, true)?;
        let bytes = PAGE_BYTES + rows * Self::ROW_BYTES;
        system::allocate(file.as_fd(), bytes as u64).map_err(Error::io(format!("allocating {}", path.display())))?;
        let table = Self::mapped(&file, rows)?;
        for (word, value) in table.header().iter().zip(header).rev() {
            word.store(*value, Ordering::Release);
        }
        Ok(table)
    }

    /// Maps a file that another process made. `None` when it is gone.
    pub fn open(path: &Path, magic: u64) -> Result<Option<Self>, Error> {
        let file = match open(path, false) {
            Ok(file) => file,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = file.metadata().map_err(Error::io("fstat"))?.size() as usize;
        let damaged = || Error::Damaged(format!("{} is no table of this format", path.display()));
        if bytes < PAGE_BYTES || !(bytes - PAGE_BYTES).is_multiple_of(Self::ROW_BYTES) {
            return Err(damaged());
        }
        let table = Self::mapped(&file, (bytes - PAGE_BYTES) / Self::ROW_BYTES)?;
        if table.header()[0].load(Ordering::Acquire) == magic { Ok(Some(table)) } else { Err(damaged()) }
    }

    fn mapped(file: &File, rows: usize) -> Result<Self, Error> {
        const { assert!(size_of::<Row>() == Self::ROW_BYTES && align_of::<Row>() == Self::ROW_BYTES) };
        let mapping = Mapping::of(file.as_fd(), 0, PAGE_BYTES + rows * Self::ROW_BYTES, Writes::Shared)?;
        Ok(Self { mapping, rows, row: PhantomData })
    }

    pub fn header(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is at least a page, page-aligned, and all its users go through atomics.
        unsafe { slice::from_raw_parts(self.mapping.start().as_ptr().cast(), HEADER_WORDS) }
    }

    pub fn rows(&self) -> &[Row] {
        // SAFETY: `rows` rows follow the header page; any bytes are a valid row.
        unsafe { slice::from_raw_parts(self.mapping.start().as_ptr().add(PAGE_BYTES).cast(), self.rows) }
    }
}

fn open(path: &Path, new: bool) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(new).mode(0o600);
    options.open(path).map_err(Error::io(path.display().to_string()))
}
