//! The environment that this process writes, alone (P-R10, P-R13). Its map is never larger than what is allocated on the file
//! system: beyond that a full tmpfs would be a signal instead of an error.

use crate::Error;
use crate::env_view::{EnvFiles, EnvView, pages_of};
use crate::fault::{Faults, Point};
use crate::freeing::Row;
use crate::layout::{
    ENTRIES, Entry, FREE, Format, HEADER_BYTES, LIVE, PAGE_BYTES, RecordHeader, SEQUENCE_MAX, Token, VALUE_BYTES_MIN,
    VALUE_IN_PAGE, WRITING, payload_id, word,
};
use crate::lmdb::{LOCK_FILE_BYTES, Lmdb};
use crate::process_file::Life;
use crate::system;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a new environment is mapped at.
const FIRST_BYTES: u64 = 1 << 20;
/// Deleted pages are used again from the second commit after theirs.
const COMMITS_TO_REUSE: usize = 2;
/// Freed payloads that wait for a transaction.
const FREED_MAX: usize = 64;
const FREED_BYTES_MAX: u64 = 64 << 10;
/// A key that no payload has.
const NO_PAYLOAD: u64 = u64::MAX;
/// Flag of LMDB's page header: the first of a value's own pages.
const OVERFLOW_PAGE: u8 = 0x04;

/// Where a payload was put.
#[derive(Clone, Copy)]
pub struct Placed {
    pub id: u64,
    pub entry: u32,
    /// Of the value in the file.
    pub offset: u64,
    pub length: u64,
    pub xxh3: u64,
    pub format: Format,
}

impl Placed {
    pub fn token(&self, store: u64) -> Token {
        let Placed { id, entry, length, xxh3, format, .. } = *self;
        Token { store, id, entry, format, length, xxh3 }
    }
}

pub struct OwnedEnv {
    pub files: EnvFiles,
    pub view: Arc<EnvView>,
    lmdb: Lmdb,
    life: Life,
    cap: u64,
    step: u64,
    allocated: u64,
    sequence: u64,
    free: Vec<u32>,
    /// Freed: nobody names them and nobody can any more. Deleted by the next transaction.
    freed: Vec<Row>,
    freed_bytes: u64,
    faults: Faults,
}

impl OwnedEnv {
    pub fn create(dir: &Path, number: u64, cap: u64, step: u64, faults: Faults) -> Result<Self, Error> {
        let files = EnvFiles::of(dir, number);
        // Others judge by the lock on the control file, so it appears locked, and before anything that could be left over.
        drop(files.create_control(cap)?);
        let life = Life::take(&files.control_draft)?;
        std::fs::rename(&files.control_draft, &files.control).map_err(Error::io("rename"))?;
        match Self::in_control(files.clone(), life, cap, step, faults) {
            Ok(env) => Ok(env),
            Err(error) => {
                files.unlink();
                Err(error)
            }
        }
    }

    fn in_control(files: EnvFiles, life: Life, cap: u64, step: u64, faults: Faults) -> Result<Self, Error> {
        // LMDB maps its lock file, so that too must be there as a whole before it is touched.
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&files.lock);
        let lock = lock.map_err(Error::io(files.lock.display().to_string()))?;
        system::allocate(lock.as_fd(), LOCK_FILE_BYTES).map_err(Error::io("allocating the lock file"))?;
        // Closed later, it would take LMDB's lock with it, by which tools know that somebody has the environment open.
        drop(lock);
        let allocated = FIRST_BYTES.min(cap);
        let mut lmdb = Lmdb::create(&files.data, allocated as usize)?;
        system::allocate(lmdb.fd(), allocated).map_err(Error::io("allocating the data file"))?;
        lmdb.open_database()?;
        let view = EnvView::open(&files)?.ok_or_else(|| Error::Damaged("a new environment is gone".into()))?;
        let free = (0..ENTRIES as u32).rev().collect();
        Ok(Self {
            files,
            view: Arc::new(view),
            lmdb,
            life,
            cap,
            step,
            allocated,
            sequence: 0,
            free,
            freed: Vec::new(),
            freed_bytes: 0,
            faults,
        })
    }

    /// Bytes of the data file, all of them allocated.
    pub fn allocated(&self) -> u64 {
        self.allocated
    }

    pub fn is_used_up(&self) -> bool {
        self.sequence >= SEQUENCE_MAX
    }

    /// Puts a payload that `fill` writes in place, with its checksum as the answer, and makes it visible.
    pub fn put(&mut self, length: u64, format: Format, fill: impl FnOnce(&mut [u8]) -> u64) -> Result<Placed, Error> {
        let placed = self.place(length, format, fill)?;
        self.enter(&placed, LIVE);
        self.faults.reach(Point::PutLive);
        Ok(placed)
    }

    /// Makes room that is filled later, outside any transaction, and is visible to nobody until `publish`.
    pub fn reserve(&mut self, length: u64, format: Format) -> Result<Placed, Error> {
        let placed = self.place(length, format, |_| 0)?;
        self.enter(&placed, WRITING);
        Ok(placed)
    }

    /// Makes a filled reservation visible.
    pub fn publish(&self, placed: &Placed) {
        let entry = self.entry(placed.entry);
        entry.xxh3.store(placed.xxh3, Ordering::Relaxed);
        entry.word.store(word(placed.id, LIVE), Ordering::Release);
    }

    fn place(&mut self, length: u64, format: Format, fill: impl FnOnce(&mut [u8]) -> u64) -> Result<Placed, Error> {
        let entry = *self.free.last().ok_or(Error::Full)?;
        self.sequence += 1;
        let id = payload_id(self.files.number, self.sequence);
        let value_bytes = HEADER_BYTES.checked_add(length as usize).ok_or(Error::Full)?.max(VALUE_BYTES_MIN);
        let (faults, freed) = (&self.faults, &self.freed);
        let (offset, xxh3) = self.lmdb.write(|txn| {
            freed.iter().try_for_each(|(id, _)| txn.delete(*id))?;
            let value = txn.reserve(id, value_bytes)?;
            let offset = offset_of(value)?;
            faults.reach(Point::PutReserved);
            let (header, payload) = value.split_at_mut(HEADER_BYTES);
            let xxh3 = fill(&mut payload[..length as usize]);
            let fields = RecordHeader { format, id, length, xxh3, schema: 0, created_ms: system::wall_ms() };
            header.copy_from_slice(&fields.encode());
            faults.reach(Point::PutFilled);
            Ok((offset, xxh3))
        })?;
        self.faults.reach(Point::PutCommitted);
        self.free.pop();
        self.forget_freed();
        Ok(Placed { id, entry, offset, length, xxh3, format })
    }

    fn enter(&self, placed: &Placed, state: u64) {
        let entry = self.entry(placed.entry);
        entry.offset.store(placed.offset, Ordering::Relaxed);
        entry.length.store(placed.length, Ordering::Relaxed);
        entry.xxh3.store(placed.xxh3, Ordering::Relaxed);
        entry.schema.store(0, Ordering::Relaxed);
        entry.format.store(placed.format as u64, Ordering::Relaxed);
        entry.created_ns.store(system::monotonic_ns(), Ordering::Relaxed);
        entry.word.store(word(placed.id, state), Ordering::Release);
    }

    fn entry(&self, index: u32) -> &Entry {
        &self.view.table.rows()[index as usize]
    }

    /// Takes payloads that nobody names, of `bytes` in all: they are condemned, and were looked for after that. What is small waits
    /// for the next transaction, whose commit costs more than the deletion.
    pub fn delete(&mut self, payloads: &[Row], bytes: u64) -> Result<(), Error> {
        self.freed.extend(payloads);
        self.freed_bytes += bytes;
        let may_wait = self.freed.len() < FREED_MAX && self.freed_bytes < FREED_BYTES_MAX;
        if may_wait { Ok(()) } else { self.delete_freed() }
    }

    pub fn delete_freed(&mut self) -> Result<(), Error> {
        if self.freed.is_empty() {
            return Ok(());
        }
        self.lmdb.write(|txn| self.freed.iter().try_for_each(|(id, _)| txn.delete(*id)))?;
        self.forget_freed();
        Ok(())
    }

    /// They are deleted: their entries can be used again.
    fn forget_freed(&mut self) {
        if self.freed.is_empty() {
            return;
        }
        self.faults.reach(Point::FreeDeleted);
        for (_, entry) in std::mem::take(&mut self.freed) {
            self.entry(entry).word.store(FREE, Ordering::Release);
            self.free.push(entry);
        }
        self.freed_bytes = 0;
    }

    /// Makes pages that were freed usable.
    pub fn recycle(&mut self) -> Result<(), Error> {
        for _ in 0..COMMITS_TO_REUSE {
            self.lmdb.write(|txn| {
                txn.reserve(NO_PAYLOAD, size_of::<u64>())?.fill(0);
                txn.delete(NO_PAYLOAD)
            })?;
        }
        Ok(())
    }

    /// Bytes that `grow` takes: a step, or what a payload of `length` bytes needs; 0 at the cap.
    pub fn growth(&self, length: u64) -> u64 {
        let record = pages_of(VALUE_IN_PAGE as u64, length);
        let wanted = self.allocated.saturating_add(self.step.max(record.end + self.step / 4));
        let target = wanted.min(self.cap) / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        target.saturating_sub(self.allocated)
    }

    /// False at the cap; the file system's refusal is `Full`.
    pub fn grow(&mut self, length: u64) -> Result<bool, Error> {
        let target = self.allocated + self.growth(length);
        if target == self.allocated {
            return Ok(false);
        }
        system::allocate(self.lmdb.fd(), target).map_err(Error::io("growing the data file"))?;
        self.lmdb.resize(target as usize)?;
        self.allocated = target;
        Ok(true)
    }

    pub fn check_readers(&mut self) {
        self.lmdb.check_readers();
    }

    /// Ends writing: LMDB is closed, the lock stays until everything is freed. What is freed already needs no transaction: its pages
    /// are punched.
    pub fn retire(mut self) -> (EnvFiles, Arc<EnvView>, Life) {
        self.forget_freed();
        (self.files, self.view, self.life)
    }
}

/// Place in the file of a value that LMDB just reserved: the page says its own number.
fn offset_of(value: &[u8]) -> Result<u64, Error> {
    let address = value.as_ptr() as usize;
    let page = address & !(PAGE_BYTES - 1);
    if address - page != VALUE_IN_PAGE {
        return Err(Error::Unsupported(format!("LMDB puts values at {} of a page", address - page)));
    }
    // SAFETY: LMDB's page header stands before the value, within the same mapped page.
    let header = unsafe { std::slice::from_raw_parts(page as *const u8, VALUE_IN_PAGE) };
    if header[10] & OVERFLOW_PAGE == 0 {
        return Err(Error::Unsupported("LMDB gave a large value no pages of its own".into()));
    }
    let number =
        u64::from_le_bytes([header[0], header[1], header[2], header[3], header[4], header[5], header[6], header[7]]);
    Ok(number * PAGE_BYTES as u64 + VALUE_IN_PAGE as u64)
}
