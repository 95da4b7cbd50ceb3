//! An environment without further puts: one that rotation replaced, or a dead owner's that was adopted (P-R14). LMDB is not
//! opened for it: what is freed is punched out of the file, and the files go when nothing is left.

use crate::Error;
use crate::env_view::{EnvFiles, EnvView, record_pages};
use crate::fault::{Faults, Point, Rule};
use crate::freeing::{Row, condemn};
use crate::layout::{Entry, FREE, LIVE, WRITING, id_of, state_of, word};
use crate::peers::Peers;
use crate::process_file::Life;
use crate::system;
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub struct Drain {
    files: EnvFiles,
    view: Option<Arc<EnvView>>,
    data: Option<File>,
    orphans: Vec<Row>,
    /// Of a rotated environment: payloads with a root hold.
    rooted: usize,
    /// Locks the environment for us: its writer's lock, or the adopter's.
    _life: Option<Life>,
}

impl Drain {
    /// Of an environment of our own that takes no more puts.
    pub fn of_own(
        files: EnvFiles,
        view: Arc<EnvView>,
        life: Life,
        orphans: Vec<Row>,
        rooted: usize,
    ) -> Result<Self, Error> {
        let data = open_data(&files)?;
        punch_dead(&view, &data)?;
        Ok(Self { files, view: Some(view), data: Some(data), orphans, rooted, _life: Some(life) })
    }

    /// Takes over an environment whose owner is dead; `None` when it lives or another process was first.
    pub fn adopt(dir: &Path, number: u64, faults: &Faults) -> Result<Option<Self>, Error> {
        let files = EnvFiles::of(dir, number);
        let life = Life::try_take(&files.control).or_else(|error| gone(&error).then_some(None).ok_or(error))?;
        if life.is_none() && faults.holds(Rule::WriterDies) {
            return Ok(None);
        }
        if life.as_ref().is_some_and(|life| !is_same_file(life.file(), &files.control)) {
            return Ok(None);
        }
        // A process that died while it made the environment left no data.
        let view = EnvView::open(&files)?.map(Arc::new);
        let data = if view.is_some() { Some(open_data(&files)?) } else { None };
        let orphans = view.as_deref().map_or_else(Vec::new, orphaned);
        if let (Some(view), Some(data)) = (&view, &data) {
            punch_dead(view, data)?;
        }
        Ok(Some(Self { files, view, data, orphans, rooted: 0, _life: life }))
    }

    pub fn number(&self) -> u64 {
        self.files.number
    }

    /// Ends a root hold in it.
    pub fn let_go(&mut self, payload: Row) {
        self.rooted -= 1;
        self.orphans.push(payload);
    }

    /// Frees what nobody names and returns it. True when nothing is left and the files are gone.
    pub fn free(&mut self, peers: &mut Peers, faults: &Faults) -> Result<(Vec<Row>, bool), Error> {
        let mut freed = Vec::new();
        if let (Some(view), Some(data)) = (&self.view, &self.data) {
            for (id, entry) in condemn(view, &self.orphans, peers, faults) {
                let row = &view.table.rows()[entry as usize];
                if let Some(pages) = pages_in(view, row) {
                    system::punch(data, pages.start, pages.end - pages.start).map_err(Error::io("punching"))?;
                }
                faults.reach(Point::FreeDeleted);
                row.word.store(FREE, Ordering::Release);
                freed.push((id, entry));
            }
            self.orphans.retain(|row| !freed.contains(row));
        }
        let done = self.orphans.is_empty() && self.rooted == 0;
        if done {
            if let (Some(data), false) = (&self.data, faults.holds(Rule::UnlinkWiped)) {
                data.set_len(0).map_err(Error::io("truncating"))?;
            }
            // Never truncated: what a reader that was told too late still touches stays mapped (P-R10).
            self.files.unlink();
        }
        Ok((freed, done))
    }
}

/// Everything in the environment of a dead owner; what it was writing is nobody's.
fn orphaned(view: &EnvView) -> Vec<Row> {
    let rows = view.table.rows().iter().enumerate();
    rows.filter_map(|(index, entry)| {
        let seen = entry.word.load(Ordering::Acquire);
        if state_of(seen) == FREE {
            return None;
        }
        if state_of(seen) == WRITING {
            // Its writer is dead, and nobody could acquire it.
            entry.word.store(word(id_of(seen), LIVE), Ordering::Release);
        }
        Some((id_of(seen), index as u32))
    })
    .collect()
}

/// Pages of an entry's record, if they lie within the file.
fn pages_in(view: &EnvView, row: &Entry) -> Option<Range<u64>> {
    let pages = record_pages(row.offset.load(Ordering::Relaxed), row.length.load(Ordering::Relaxed))?;
    view.has(&pages).then_some(pages)
}

/// Gives back every page but those of records: what was freed before, and LMDB's own, which nobody opens any more.
fn punch_dead(view: &EnvView, data: &File) -> Result<(), Error> {
    let is_used = |entry: &&Entry| state_of(entry.word.load(Ordering::Acquire)) != FREE;
    let rows = view.table.rows().iter().filter(is_used);
    let mut used: Vec<Range<u64>> = rows.filter_map(|row| pages_in(view, row)).collect();
    used.sort_by_key(|pages| pages.start);
    let mut from = 0;
    let end = data.metadata().map_err(Error::io("fstat"))?.len();
    used.push(end..end);
    for pages in used {
        if pages.start > from {
            system::punch(data, from, pages.start - from).map_err(Error::io("punching"))?;
        }
        from = pages.end.max(from);
    }
    Ok(())
}

fn open_data(files: &EnvFiles) -> Result<File, Error> {
    let opened = OpenOptions::new().read(true).write(true).open(&files.data);
    opened.map_err(Error::io(files.data.display().to_string()))
}

fn gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Whether the name still leads to the file that was locked, and not to nothing.
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}
