//! A process's part in the payload store of its machine: it puts into an environment of its own and reads those of all.

use crate::Error;
use crate::checksum::checksum;
use crate::fault::Faults;
use crate::held::{COPY_SLOT, Held};
use crate::keeper::Keeper;
use crate::layout::{FREE, Format, Token, env_of};
use crate::lease::Lease;
use crate::lock::locked;
use crate::own::Own;
use crate::peers::{Peers, Terms};
use crate::place;
use crate::process_file::ProcessFile;
use crate::reservation::Reservation;
use crate::shared::Shared;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Quotas and times of a store.
#[derive(Clone)]
pub struct Options {
    /// Bytes of payloads that this process may have put at a time.
    pub bytes_max: u64,
    /// Bytes of payloads that this process may lease at a time; beyond them a reader copies.
    pub leased_bytes_max: u64,
    /// Payloads that this process may lease at a time.
    pub slots: usize,
    /// Largest size of all files of the store of this machine, of all processes together.
    pub machine_bytes_max: u64,
    pub terms: Terms,
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            leased_bytes_max: 1 << 40,
            slots: 4096,
            machine_bytes_max: u64::MAX,
            terms: Terms::default(),
            faults: Faults::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payloads that this process put and that are not freed.
    pub payloads: u64,
    pub bytes: u64,
    /// References of this process.
    pub leases: u64,
    /// Allocated bytes of the environment that takes puts.
    pub file_bytes: u64,
}

/// The store of a machine, as one part of a process uses it. Closed when dropped.
pub struct Store {
    shared: Arc<Shared>,
    keeper: Mutex<Option<Keeper>>,
}

impl Store {
    /// Attaches to the store under `dir`, which is best on a memory file system and belongs to one user.
    pub fn open(dir: &Path, options: Options) -> Result<Self, Error> {
        let (dir, id) = place::store_directory(dir)?;
        let Options { bytes_max, leased_bytes_max, slots, machine_bytes_max, terms, faults } = options;
        let process =
            ProcessFile::create(&dir, place::next_number(&dir, "processes", u64::MAX)?, slots.max(COPY_SLOT + 2))?;
        let own = Own::create(dir.clone(), bytes_max, machine_bytes_max, faults.clone())?;
        let shared = Shared {
            peers: Mutex::new(Peers::new(dir.clone(), terms, faults.clone())?),
            held: Mutex::new(Held::new(process.slots().len(), leased_bytes_max)),
            own: Mutex::new(own),
            views: Mutex::default(),
            closed: AtomicBool::new(false),
            dir,
            id,
            faults,
            terms,
            process,
        };
        let shared = Arc::new(shared);
        let keeper = Keeper::start(&shared);
        Ok(Self { shared, keeper: Mutex::new(Some(keeper)) })
    }

    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Directory of the store's files.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Copies a payload into the store and holds it until `discard`. `None` when there is no room; never waits for some (P-R18).
    pub fn put(&self, bytes: &[u8], format: Format) -> Result<Option<Token>, Error> {
        let fill = |target: &mut [u8]| {
            target.copy_from_slice(bytes);
            checksum(bytes)
        };
        let mut own = locked(&self.shared.own);
        let placed = own.put(bytes.len() as u64, format, fill, &self.shared.peers, &self.shared.faults)?;
        Ok(placed.map(|placed| placed.token(self.shared.id)))
    }

    /// Room for a payload that the caller fills and then publishes.
    pub fn reserve(&self, length: u64, format: Format) -> Result<Option<Reservation>, Error> {
        let mut own = locked(&self.shared.own);
        let Some(placed) = own.reserve(length, format, &self.shared.peers, &self.shared.faults)? else {
            return Ok(None);
        };
        let reservation = own.writable(&placed).map(|memory| Reservation::new(self.shared.clone(), placed, memory));
        if reservation.is_err() {
            own.discard(placed.id, placed.entry, &mut locked(&self.shared.peers), &self.shared.faults);
        }
        reservation.map(Some)
    }

    /// Ends the producer's hold on what this process put. Other tokens are ignored.
    pub fn discard(&self, token: &Token) {
        let mut own = locked(&self.shared.own);
        own.discard(token.id, token.entry, &mut locked(&self.shared.peers), &self.shared.faults);
    }

    /// A reference to the payload. `None` when the token does not resolve: of another store, freed, or forged.
    pub fn acquire(&self, token: &Token) -> Result<Option<Lease>, Error> {
        if self.shared.is_closed() { Ok(None) } else { self.shared.acquire(token) }
    }

    /// Copies a payload, for those so small that this costs less than to map, look at and reset a page. `into` is as long as the
    /// payload. False when the token does not resolve.
    pub fn copy(&self, token: &Token, into: &mut [u8]) -> Result<bool, Error> {
        let shared = &self.shared;
        if shared.is_closed() || token.store != shared.id || into.len() as u64 != token.length {
            return Ok(false);
        }
        let Some(view) = shared.view(env_of(token.id))? else { return Ok(false) };
        let held = locked(&shared.held);
        let is_copied = shared.copy_into(&view, token, held, || into)?.is_some();
        shared.free_own(token.id);
        Ok(is_copied)
    }

    /// What the keeper does by itself at every tick: renew, free, reap, adopt.
    pub fn sweep(&self) {
        Keeper::sweep(&self.shared);
    }

    pub fn stats(&self) -> Stats {
        let own = locked(&self.shared.own);
        let leases = u64::from(locked(&self.shared.held).references());
        Stats { payloads: own.payloads(), bytes: own.bytes(), leases, file_bytes: own.file_bytes() }
    }

    /// Who holds payloads, as numbers of processes and ids of payloads: for people.
    pub fn holders(&self) -> Result<Vec<(u32, u64)>, Error> {
        locked(&self.shared.peers).holders()
    }

    /// Frees what this process put, as far as nobody reads it; the rest is adopted by others. Its references end.
    pub fn close(&self) {
        if self.shared.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(keeper) = locked(&self.keeper).take() {
            keeper.stop();
        }
        for slot in self.shared.process.slots() {
            slot.word.store(FREE, Ordering::Release);
        }
        locked(&self.shared.own).close(&mut locked(&self.shared.peers), &self.shared.faults);
        let _ = std::fs::remove_file(self.shared.process.path());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
