//! An environment as its readers see it: the entry table, and a private mapping of the data file. LMDB has no part in it.

use crate::Error;
use crate::layout::{ENTRIES, Entry, HEADER_BYTES, PAGE_BYTES, VALUE_BYTES_MIN, VALUE_IN_PAGE};
use crate::lock::locked;
use crate::system::{Mapping, Writes};
use crate::table::Table;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

pub const CONTROL_MAGIC: u64 = u64::from_le_bytes(*b"LODGENV1");
/// Word of the header: largest size of the data file.
const CAP: usize = 1;

/// Names of an environment's files.
#[derive(Clone)]
pub struct EnvFiles {
    pub number: u64,
    pub data: PathBuf,
    pub lock: PathBuf,
    pub control: PathBuf,
    pub control_draft: PathBuf,
}

impl EnvFiles {
    pub fn of(dir: &Path, number: u64) -> Self {
        let at = |suffix: &str| dir.join(format!("env-{number}{suffix}"));
        Self { number, data: at(".mdb"), lock: at(".mdb-lock"), control: at(".ctl"), control_draft: at(".ctl.tmp") }
    }

    /// The number in the name of a control file.
    pub fn number_of(name: &str) -> Option<u64> {
        name.strip_prefix("env-")?.strip_suffix(".ctl")?.parse().ok()
    }

    /// The control file goes last: it is what others find the rest by.
    pub fn unlink(&self) {
        for path in [&self.data, &self.lock, &self.control] {
            let _ = std::fs::remove_file(path);
        }
    }

    pub fn create_control(&self, cap: u64) -> Result<Table<Entry>, Error> {
        Table::create(&self.control_draft, ENTRIES, &[CONTROL_MAGIC, cap])
    }
}

/// Whole pages of a data file, of one record.
pub fn pages_of(offset: u64, length: u64) -> Range<u64> {
    let start = offset - VALUE_IN_PAGE as u64;
    let bytes = VALUE_IN_PAGE as u64 + (HEADER_BYTES as u64 + length).max(VALUE_BYTES_MIN as u64);
    start..start + bytes.next_multiple_of(PAGE_BYTES as u64)
}

/// The same for what stands in a table that others write: `None` for a place that no record can have.
pub fn record_pages(offset: u64, length: u64) -> Option<Range<u64>> {
    let is_possible = offset % PAGE_BYTES as u64 == VALUE_IN_PAGE as u64 && offset.max(length) < 1 << 48;
    is_possible.then(|| pages_of(offset, length))
}

pub struct EnvView {
    pub table: Table<Entry>,
    file: File,
    whole: Mapping,
    /// For copying, when first one is made: no reader's writes are in it, and nothing has to be reset.
    unwritten: OnceLock<Mapping>,
    /// Size of the file when it was last looked at; it only grows.
    bytes: AtomicU64,
    /// Ranges of `whole` that a reference reads, by where they begin. They never overlap: what was written to one must be seen through no
    /// other, of this payload or of one that took its place.
    claimed: Mutex<BTreeMap<u64, u64>>,
}

impl EnvView {
    /// `None` when the environment is gone, or not there yet.
    pub fn open(files: &EnvFiles) -> Result<Option<Self>, Error> {
        let Some(table) = Table::open(&files.control, CONTROL_MAGIC)? else { return Ok(None) };
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open(&files.data) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(files.data.display().to_string())(error)),
        };
        let cap = table.header()[CAP].load(Ordering::Relaxed) as usize;
        let whole = Mapping::of(file.as_fd(), 0, cap, Writes::Private)?;
        Ok(Some(Self {
            table,
            file,
            whole,
            unwritten: OnceLock::new(),
            bytes: AtomicU64::new(0),
            claimed: Mutex::default(),
        }))
    }

    /// Whether a range lies within the file. Touching what does not would be a signal.
    pub fn has(&self, pages: &Range<u64>) -> bool {
        if pages.end > self.whole.bytes() as u64 {
            return false;
        }
        if pages.end > self.bytes.load(Ordering::Relaxed) {
            self.bytes.store(self.file.metadata().map_or(0, |found| found.size()), Ordering::Relaxed);
        }
        pages.end <= self.bytes.load(Ordering::Relaxed)
    }

    pub fn whole(&self) -> &Mapping {
        &self.whole
    }

    /// The private mapping of the whole file, which lives as long as `self`. Behind the file's end nothing may be touched.
    pub fn segment(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.whole.start(), self.whole.bytes())
    }

    /// The file as it is, for as long as `self` lives.
    pub fn unwritten(&self) -> Result<&Mapping, Error> {
        if let Some(mapping) = self.unwritten.get() {
            return Ok(mapping);
        }
        let mapping = Mapping::of(self.file.as_fd(), 0, self.whole.bytes(), Writes::Refused)?;
        Ok(self.unwritten.get_or_init(|| mapping))
    }

    /// A mapping of these pages alone.
    pub fn map(&self, pages: &Range<u64>) -> Result<Mapping, Error> {
        Mapping::of(self.file.as_fd(), pages.start, (pages.end - pages.start) as usize, Writes::Private)
    }

    /// Makes a range of the whole mapping the file's again.
    pub fn reset(&self, pages: &Range<u64>) {
        self.whole.reset(pages.start as usize, (pages.end - pages.start) as usize);
    }

    /// Takes a range of the whole mapping for one reference. False when another has a part of it.
    pub fn claim(&self, pages: &Range<u64>) -> bool {
        let mut claimed = locked(&self.claimed);
        let is_free = claimed.range(..pages.end).next_back().is_none_or(|(_, end)| *end <= pages.start);
        if is_free {
            claimed.insert(pages.start, pages.end);
        }
        is_free
    }

    /// The range is as the file has it again.
    pub fn give_up(&self, pages: &Range<u64>) {
        locked(&self.claimed).remove(&pages.start);
    }

    /// Shows zeros in the range from now on, until `restore`.
    pub fn replace(&self, pages: &Range<u64>) -> Result<(), Error> {
        self.whole.replace(pages.start as usize, (pages.end - pages.start) as usize, None)
    }

    pub fn restore(&self, pages: &Range<u64>) {
        let bytes = (pages.end - pages.start) as usize;
        // A range that cannot be restored stays claimed: it is mapped alone when it is needed.
        if self.whole.replace(pages.start as usize, bytes, Some(self.file.as_fd())).is_ok() {
            self.give_up(pages);
        }
    }
}
