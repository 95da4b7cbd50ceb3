//! What the threads of a process share: its process file, its own environments, and its views of those of all.

use crate::Error;
use crate::env_view::{EnvFiles, EnvView, record_pages};
use crate::fault::Faults;
use crate::held::Held;
use crate::layout::{Format, HEADER_BYTES, Slot, Token, env_of, id_of};
use crate::lock::locked;
use crate::own::Own;
use crate::owned_env::Placed;
use crate::peers::{Peers, Terms};
use crate::process_file::ProcessFile;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the threads of the process share.
pub struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) id: u64,
    pub(crate) faults: Faults,
    pub(crate) terms: Terms,
    pub(crate) own: Mutex<Own>,
    pub(crate) peers: Mutex<Peers>,
    pub(crate) process: ProcessFile,
    pub(crate) held: Mutex<Held>,
    pub(crate) views: Mutex<HashMap<u64, Arc<EnvView>>>,
    pub(crate) closed: AtomicBool,
}

impl Shared {
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.process.slots()[index]
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The environment that an id names. `None` when there is none.
    pub(crate) fn view(&self, number: u64) -> Result<Option<Arc<EnvView>>, Error> {
        let mut views = locked(&self.views);
        if let Some(view) = views.get(&number) {
            return Ok(Some(view.clone()));
        }
        let view = EnvView::open(&EnvFiles::of(&self.dir, number))?.map(Arc::new);
        if let Some(view) = &view {
            views.insert(number, view.clone());
        }
        Ok(view)
    }

    /// Drops the mappings of environments that are gone, unless a reference holds one.
    pub(crate) fn forget_views(&self) {
        let exists = |number: &u64| EnvFiles::of(&self.dir, *number).control.exists();
        locked(&self.views).retain(|number, _| exists(number));
    }

    /// What the entry says, if it is what the token says: the token is a hint (P-R22).
    pub(crate) fn read_entry(&self, view: &EnvView, token: &Token) -> Option<Placed> {
        let entry = view.table.rows().get(token.entry as usize)?;
        if id_of(entry.word.load(Ordering::Acquire)) != token.id {
            return None;
        }
        let read = Placed {
            id: token.id,
            entry: token.entry,
            offset: entry.offset.load(Ordering::Relaxed),
            length: entry.length.load(Ordering::Relaxed),
            xxh3: entry.xxh3.load(Ordering::Relaxed),
            format: Format::from_code(entry.format.load(Ordering::Relaxed))?,
        };
        let is_meant = read.length == token.length && read.xxh3 == token.xxh3 && read.format == token.format;
        (is_meant && view.has(&record_pages(read.offset, read.length)?)).then_some(read)
    }

    /// File and offset of a payload's first byte, while the lease names it.
    pub(crate) fn place(&self, token: &Token) -> Result<Option<(PathBuf, u64)>, Error> {
        let number = env_of(token.id);
        let Some(view) = self.view(number)? else { return Ok(None) };
        let read = self.read_entry(&view, token);
        Ok(read.map(|read| (EnvFiles::of(&self.dir, number).data, read.offset + HEADER_BYTES as u64)))
    }

    /// Frees a payload of our own at once when its last reader was we.
    pub(crate) fn free_own(&self, id: u64) {
        let mut own = locked(&self.own);
        if own.is_orphan(id) {
            own.free(&mut locked(&self.peers), &self.faults);
        }
    }

    /// Keeps our leases, up to their greatest age.
    pub(crate) fn renew(&self) {
        let held = locked(&self.held);
        let now = self.faults.now_ns();
        for of_payload in held.payloads.values() {
            let slot = self.slot(of_payload.slot);
            let age = now.saturating_sub(slot.since_ns.load(Ordering::Relaxed));
            if of_payload.pins > 0 || age < self.terms.age_max.as_nanos() as u64 {
                slot.deadline_ns.store(now + self.terms.lease.as_nanos() as u64, Ordering::Relaxed);
            }
        }
    }
}
