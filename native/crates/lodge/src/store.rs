//! A process's part in the payload store of its machine: it puts into an environment of its own and reads those of all.

use crate::Error;
use crate::checksum::checksum;
use crate::env_view::{EnvFiles, EnvView, pages_of, record_pages};
use crate::fault::{Faults, Point, Rule};
use crate::held::{COPY_SLOT, Held};
use crate::keeper::Keeper;
use crate::layout::{FREE, Format, HEADER_BYTES, HELD, LIVE, PINNED, REVOKED, Slot, env_of, id_of, word};
use crate::lease::{Lease, Memory};
use crate::own::Own;
use crate::owned_env::Placed;
use crate::peers::{Peers, Terms};
use crate::place;
use crate::process_file::ProcessFile;
use crate::reservation::Reservation;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::layout::Token;

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

/// What the threads of the process share.
pub struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) id: u64,
    pub(crate) faults: Faults,
    pub(crate) terms: Terms,
    pub(crate) own: Mutex<Own>,
    pub(crate) peers: Mutex<Peers>,
    process: ProcessFile,
    held: Mutex<Held>,
    views: Mutex<HashMap<u64, Arc<EnvView>>>,
    closed: AtomicBool,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a lock protects is whole at every point where a panic could be.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.process.slots()[index]
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The environment that an id names. `None` when there is none.
    fn view(&self, number: u64) -> Result<Option<Arc<EnvView>>, Error> {
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

    fn acquire(self: &Arc<Self>, token: &Token) -> Result<Option<Lease>, Error> {
        if token.store != self.id {
            return Ok(None);
        }
        let Some(view) = self.view(env_of(token.id))? else { return Ok(None) };
        let mut held = locked(&self.held);
        if let Some(of_payload) = held.payloads.get_mut(&token.id) {
            let state = self.slot(of_payload.slot).word.load(Ordering::Acquire);
            if state != word(token.id, HELD) && state != word(token.id, PINNED) {
                return Ok(None);
            }
            let Some(read) = self.read_entry(&view, token) else { return Ok(None) };
            self.slot(of_payload.slot).since_ns.store(self.faults.now_ns(), Ordering::Relaxed);
            let memory = self.memory(&view, &read, of_payload.uses_whole)?;
            of_payload.uses_whole |= matches!(memory, Memory::Whole(..));
            of_payload.references += 1;
            return Ok(Some(Lease::new(self.clone(), *token, of_payload.slot, memory)));
        }
        let Some(slot) = held.take(token.length) else { return self.copy(&view, token, held) };
        let read = self.publish(slot, &view, token);
        let memory = read.as_ref().map(|read| self.memory(&view, read, false)).transpose();
        match memory {
            Ok(Some(memory)) => {
                held.hold(token.id, slot, token.length, matches!(memory, Memory::Whole(..)));
                self.process.bytes_held().store(held.bytes, Ordering::Relaxed);
                self.faults.reach(Point::AcquireDone);
                Ok(Some(Lease::new(self.clone(), *token, slot, memory)))
            }
            other => {
                self.slot(slot).word.store(FREE, Ordering::Release);
                held.give_back(slot);
                other.map(|_| None)
            }
        }
    }

    /// Publishes the slot, and only then looks whether the payload is there (P-R2).
    fn publish(&self, index: usize, view: &EnvView, token: &Token) -> Option<Placed> {
        let before = if self.faults.holds(Rule::PublishThenLook) { None } else { Some(self.read_live(view, token)) };
        self.faults.reach(Point::AcquireLooked);
        let _transaction = self.faults.looking(|| EnvFiles::of(&self.dir, env_of(token.id)).data);
        let slot = self.process.use_slot(index);
        let now = self.faults.now_ns();
        slot.deadline_ns.store(now + self.terms.lease.as_nanos() as u64, Ordering::Relaxed);
        slot.since_ns.store(now, Ordering::Relaxed);
        slot.length.store(token.length, Ordering::Relaxed);
        self.faults.reach(Point::AcquireDated);
        slot.word.store(word(token.id, HELD), Ordering::Release);
        fence(Ordering::SeqCst);
        self.faults.reach(Point::AcquirePublished);
        before.unwrap_or_else(|| self.read_live(view, token))
    }

    fn read_live(&self, view: &EnvView, token: &Token) -> Option<Placed> {
        let entry = view.table.rows().get(token.entry as usize)?;
        if entry.word.load(Ordering::Acquire) != word(token.id, LIVE) {
            return None;
        }
        self.read_entry(view, token)
    }

    /// What the entry says, if it is what the token says: the token is a hint (P-R22).
    fn read_entry(&self, view: &EnvView, token: &Token) -> Option<Placed> {
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

    fn memory(&self, view: &Arc<EnvView>, read: &Placed, whole_is_used: bool) -> Result<Memory, Error> {
        let pages = pages_of(read.offset, read.length);
        if whole_is_used || view.is_replaced(&pages) {
            return Ok(Memory::Alone(view.map(&pages)?));
        }
        Ok(Memory::Whole(view.clone(), pages))
    }

    /// A lease on a copy, which needs the payload for the time of copying only.
    fn copy(self: &Arc<Self>, view: &EnvView, token: &Token, held: MutexGuard<Held>) -> Result<Option<Lease>, Error> {
        // A forged length is not believed: there is room for it once the payload was found.
        let bytes = self.copy_into(view, token, held, || vec![0; token.length as usize].into_boxed_slice())?;
        Ok(bytes.map(|bytes| Lease::new(self.clone(), *token, COPY_SLOT, Memory::Copied(bytes))))
    }

    /// `None` when the token does not resolve, or did not until the last byte was copied. `room` is as long as the token says.
    fn copy_into<Room: AsMut<[u8]>>(
        &self,
        view: &EnvView,
        token: &Token,
        _held: MutexGuard<Held>,
        room: impl FnOnce() -> Room,
    ) -> Result<Option<Room>, Error> {
        let copied = self.publish(COPY_SLOT, view, token).map(|read| {
            let mapping = view.unwritten()?;
            let mut room = room();
            let into = room.as_mut();
            let at = (read.offset + HEADER_BYTES as u64) as usize;
            // SAFETY: the pages hold header and payload, within the file; what is torn is found below.
            unsafe { ptr::copy_nonoverlapping(mapping.start().as_ptr().add(at), into.as_mut_ptr(), into.len()) };
            fence(Ordering::Acquire);
            Ok(room)
        });
        let slot = self.slot(COPY_SLOT);
        let held = slot.word.compare_exchange(word(token.id, HELD), FREE, Ordering::Release, Ordering::Relaxed);
        slot.word.store(FREE, Ordering::Release);
        Ok(copied.transpose()?.filter(|_| held.is_ok()))
    }

    /// File and offset of a payload's first byte, while the lease names it.
    pub(crate) fn place(&self, token: &Token) -> Result<Option<(PathBuf, u64)>, Error> {
        let number = env_of(token.id);
        let Some(view) = self.view(number)? else { return Ok(None) };
        let read = self.read_entry(&view, token);
        Ok(read.map(|read| (EnvFiles::of(&self.dir, number).data, read.offset + HEADER_BYTES as u64)))
    }

    pub(crate) fn pin(&self, lease: &Lease) -> bool {
        let mut held = locked(&self.held);
        let Some(of_payload) = held.payloads.get_mut(&lease.token.id) else {
            return matches!(lease.memory, Memory::Copied(_));
        };
        let slot = &self.slot(of_payload.slot).word;
        let (from, to) = (word(lease.token.id, HELD), word(lease.token.id, PINNED));
        if of_payload.pins == 0 && slot.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        of_payload.pins += 1;
        true
    }

    pub(crate) fn unpin(&self, lease: &Lease) {
        let mut held = locked(&self.held);
        let Some(of_payload) = held.payloads.get_mut(&lease.token.id) else { return };
        of_payload.pins = of_payload.pins.saturating_sub(1);
        if of_payload.pins == 0 {
            let slot = self.slot(of_payload.slot);
            slot.deadline_ns.store(self.faults.now_ns() + self.terms.lease.as_nanos() as u64, Ordering::Relaxed);
            let (from, to) = (word(lease.token.id, PINNED), word(lease.token.id, HELD));
            let _ = slot.word.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Whether the payload was held to the end.
    pub(crate) fn release(&self, lease: &Lease) -> bool {
        if matches!(lease.memory, Memory::Copied(_)) {
            return true;
        }
        let mut held = locked(&self.held);
        let slot = &self.slot(lease.slot).word;
        let seen = slot.load(Ordering::Acquire);
        let valid = seen == word(lease.token.id, HELD) || seen == word(lease.token.id, PINNED);
        let Some(index) = held.let_go(lease.token.id, matches!(lease.memory, Memory::Whole(..))) else { return valid };
        let ended = slot.compare_exchange(seen, FREE, Ordering::AcqRel, Ordering::Relaxed);
        if ended.is_err() {
            debug_assert_eq!(slot.load(Ordering::Relaxed), word(lease.token.id, REVOKED));
            slot.store(FREE, Ordering::Release);
        }
        self.faults.reach(Point::ReleaseFreed);
        held.give_back(index);
        self.process.bytes_held().store(held.bytes, Ordering::Relaxed);
        drop(held);
        self.free_own(lease.token.id);
        valid && ended.is_ok()
    }

    /// Frees a payload of our own at once when its last reader was we.
    fn free_own(&self, id: u64) {
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
        Ok(placed.map(|placed| self.token(&placed)))
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

    pub(crate) fn token(&self, placed: &Placed) -> Token {
        token_of(self.shared.id, placed)
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

pub(crate) fn token_of(store: u64, placed: &Placed) -> Token {
    let Placed { id, entry, length, xxh3, format, .. } = *placed;
    Token { store, id, entry, format, length, xxh3 }
}
