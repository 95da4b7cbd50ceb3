//! What this process put: the environment that takes puts, those that drain, and who still holds what.

use crate::Error;
use crate::drain::Drain;
use crate::env_view::{EnvFiles, pages_of};
use crate::fault::{Faults, Point, Rule};
use crate::freeing::{Row, condemn};
use crate::layout::{ENV_MAX, Format, HEADER_BYTES, SEQUENCE_MAX, VALUE_IN_PAGE, env_of, payload_id};
use crate::lock::locked;
use crate::owned_env::{OwnedEnv, Placed};
use crate::peers::Peers;
use crate::place::next_number;
use crate::system::{Mapping, Writes};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Pages that were freed wait for two commits, and records leave gaps: the file is larger than what lives in it.
const FILE_PER_BYTES: u64 = 3;
const FILE_BYTES_MIN: u64 = 64 << 20;
const STEP_BYTES_MAX: u64 = 16 << 20;
/// Environments that are larger than this, and more than twice what lives in them, are replaced.
const ROTATE_FROM_BYTES: u64 = 64 << 20;

/// LMDB's values have 32 bits of length.
const PAYLOAD_BYTES_MAX: u64 = u32::MAX as u64 - HEADER_BYTES as u64;

struct Payload {
    entry: u32,
    length: u64,
    rooted: bool,
}

pub struct Own {
    dir: PathBuf,
    bytes_max: u64,
    machine_bytes_max: u64,
    env: Option<OwnedEnv>,
    drains: Vec<Drain>,
    payloads: HashMap<u64, Payload>,
    /// Those of `env` without a root hold.
    orphans: Vec<Row>,
    bytes: u64,
    writable: Option<(u64, Arc<Mapping>)>,
}

impl Own {
    pub fn create(dir: PathBuf, bytes_max: u64, machine_bytes_max: u64, faults: Faults) -> Result<Self, Error> {
        let mut own = Self {
            dir,
            bytes_max,
            machine_bytes_max,
            env: None,
            drains: Vec::new(),
            payloads: HashMap::new(),
            orphans: Vec::new(),
            bytes: 0,
            writable: None,
        };
        own.env = Some(own.new_env(faults)?);
        Ok(own)
    }

    fn new_env(&self, faults: Faults) -> Result<OwnedEnv, Error> {
        let number = if faults.holds(Rule::IdsOnce) {
            next_number(&self.dir, "environments", ENV_MAX)?
        } else {
            (1..ENV_MAX).find(|number| !EnvFiles::of(&self.dir, *number).control.exists()).unwrap_or(ENV_MAX)
        };
        OwnedEnv::create(&self.dir, number, self.cap(), self.step(), faults)
    }

    fn cap(&self) -> u64 {
        self.bytes_max.saturating_mul(FILE_PER_BYTES).clamp(FILE_BYTES_MIN, 1 << 40)
    }

    fn step(&self) -> u64 {
        (self.cap() / 16).clamp(1 << 20, STEP_BYTES_MAX)
    }

    pub fn payloads(&self) -> u64 {
        self.payloads.len() as u64
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn file_bytes(&self) -> u64 {
        self.env.as_ref().map_or(0, OwnedEnv::allocated)
    }

    pub fn is_orphan(&self, id: u64) -> bool {
        self.payloads.get(&id).is_some_and(|payload| !payload.rooted)
    }

    /// `fill` writes the payload and answers with its checksum, again for every try: a commit may find that there is no room.
    pub fn put(
        &mut self,
        length: u64,
        format: Format,
        mut fill: impl FnMut(&mut [u8]) -> u64,
        peers: &Mutex<Peers>,
        faults: &Faults,
    ) -> Result<Option<Placed>, Error> {
        self.place(length, peers, faults, |env| env.put(length, format, &mut fill))
    }

    pub fn reserve(
        &mut self,
        length: u64,
        format: Format,
        peers: &Mutex<Peers>,
        faults: &Faults,
    ) -> Result<Option<Placed>, Error> {
        self.place(length, peers, faults, |env| env.reserve(length, format))
    }

    /// Tries with less and less that is in the way: freed pages, our own dead payloads, the end of the file. Bounded work (P-R18).
    fn place(
        &mut self,
        length: u64,
        peers: &Mutex<Peers>,
        faults: &Faults,
        mut put: impl FnMut(&mut OwnedEnv) -> Result<Placed, Error>,
    ) -> Result<Option<Placed>, Error> {
        if length > PAYLOAD_BYTES_MAX {
            return Ok(None);
        }
        if self.bytes.saturating_add(length) > self.bytes_max {
            self.free(&mut locked(peers), faults);
        }
        if self.bytes.saturating_add(length) > self.bytes_max {
            return Ok(None);
        }
        self.rotate_used_up(faults)?;
        let mut remedies = [Remedy::Free, Remedy::Recycle, Remedy::Grow, Remedy::Grow].into_iter();
        loop {
            let Some(env) = self.env.as_mut() else { return Ok(None) };
            faults.putting(&self.dir, env.files.number);
            match put(env) {
                Ok(placed) => {
                    self.bytes += length;
                    self.payloads.insert(placed.id, Payload { entry: placed.entry, length, rooted: true });
                    return Ok(Some(placed));
                }
                Err(Error::Full) => {}
                Err(error) => return Err(error),
            }
            let Some(remedy) = remedies.next() else { return Ok(None) };
            match self.make_room(remedy, length, peers, faults) {
                Ok(()) | Err(Error::Full) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self, remedy: Remedy, length: u64, peers: &Mutex<Peers>, faults: &Faults) -> Result<(), Error> {
        let growth = self.env.as_ref().map_or(0, |env| env.growth(length));
        let may_grow = self.machine_bytes().saturating_add(growth) <= self.machine_bytes_max;
        match remedy {
            Remedy::Free => {
                self.free(&mut locked(peers), faults);
                self.delete_freed()?;
            }
            Remedy::Recycle => self.env.as_mut().map_or(Ok(()), OwnedEnv::recycle)?,
            Remedy::Grow if may_grow => {
                self.env.as_mut().map_or(Ok(false), |env| env.grow(length))?;
            }
            Remedy::Grow => {}
        }
        Ok(())
    }

    /// What the store takes on this machine, of all processes.
    fn machine_bytes(&self) -> u64 {
        if self.machine_bytes_max == u64::MAX {
            return 0;
        }
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|found| found.blocks() * 512).sum()
    }

    /// The mapping through which a reservation is filled.
    pub fn writable(&mut self, placed: &Placed) -> Result<Arc<Mapping>, Error> {
        let Some(env) = &self.env else { return Err(Error::Full) };
        if let Some((number, mapping)) = &self.writable
            && *number == env.files.number
        {
            return Ok(mapping.clone());
        }
        let file = fs::OpenOptions::new().read(true).write(true).open(&env.files.data);
        let file = file.map_err(Error::io("opening the data file"))?;
        let cap = self.cap().max(pages_of(placed.offset, placed.length).end) as usize;
        let mapping = Arc::new(Mapping::of(std::os::fd::AsFd::as_fd(&file), 0, cap, Writes::Shared)?);
        self.writable = Some((env.files.number, mapping.clone()));
        Ok(mapping)
    }

    /// Makes a reservation visible; false when it is not ours any more.
    pub fn publish(&self, placed: &Placed) -> bool {
        match &self.env {
            Some(env) if env.files.number == env_of(placed.id) && self.payloads.contains_key(&placed.id) => {
                env.publish(placed);
                true
            }
            _ => false,
        }
    }

    /// Ends our hold. Places where nothing of ours is are ignored.
    pub fn discard(&mut self, id: u64, entry: u32, peers: &mut Peers, faults: &Faults) {
        if self.payloads.get(&id).is_some_and(|payload| payload.entry == entry) && self.let_go(id) {
            self.free(peers, faults);
        }
    }

    fn let_go(&mut self, id: u64) -> bool {
        let Some(payload) = self.payloads.get_mut(&id).filter(|payload| payload.rooted) else { return false };
        payload.rooted = false;
        let row = (id, payload.entry);
        match self.drains.iter_mut().find(|drain| drain.number() == env_of(id)) {
            Some(drain) => drain.let_go(row),
            None => self.orphans.push(row),
        }
        true
    }

    /// Frees whatever nobody holds. What cannot be freed now is tried again at the next tick.
    pub fn free(&mut self, peers: &mut Peers, faults: &Faults) {
        let mut freed = self.free_current(peers, faults).unwrap_or_default();
        self.drains.retain_mut(|drain| match drain.free(peers, faults) {
            Ok((rows, done)) => {
                freed.extend(rows);
                !done
            }
            Err(_) => true,
        });
        for (id, _) in freed {
            self.bytes -= self.payloads.remove(&id).map_or(0, |payload| payload.length);
        }
        faults.reach(Point::FreeDone);
    }

    /// Gives LMDB back what was freed and waits for its next transaction.
    pub fn delete_freed(&mut self) -> Result<(), Error> {
        self.env.as_mut().map_or(Ok(()), OwnedEnv::delete_freed)
    }

    fn free_current(&mut self, peers: &mut Peers, faults: &Faults) -> Result<Vec<Row>, Error> {
        let Some(env) = self.env.as_mut() else { return Ok(Vec::new()) };
        let freed = condemn(&env.view, &self.orphans, peers, faults);
        if !freed.is_empty() {
            let ids: HashSet<u64> = freed.iter().map(|(id, _)| *id).collect();
            self.orphans.retain(|(id, _)| !ids.contains(id));
            let bytes = freed.iter().map(|(id, _)| self.payloads.get(id).map_or(0, |payload| payload.length)).sum();
            // What LMDB refuses now is deleted by a later transaction; it is free all the same.
            let _ = env.delete(&freed, bytes);
        }
        Ok(freed)
    }

    /// Takes over environments of dead owners.
    pub fn adopt(&mut self, faults: &Faults) -> Result<(), Error> {
        if !faults.holds(Rule::Adopt) {
            return Ok(());
        }
        for found in fs::read_dir(&self.dir).map_err(Error::io("listing the store"))?.flatten() {
            let name = found.file_name();
            let Some(number) = name.to_str().and_then(EnvFiles::number_of) else { continue };
            let is_ours = self.env.as_ref().is_some_and(|env| env.files.number == number)
                || self.drains.iter().any(|drain| drain.number() == number);
            if !is_ours && let Some(drain) = Drain::adopt(&self.dir, number, faults)? {
                self.drains.push(drain);
            }
        }
        Ok(())
    }

    fn rotate_used_up(&mut self, faults: &Faults) -> Result<(), Error> {
        if self.env.as_ref().is_some_and(OwnedEnv::is_used_up) { self.rotate(faults) } else { Ok(()) }
    }

    /// Replaces an environment that grew far beyond what lives in it, so that its memory comes back.
    pub fn rotate_sparse(&mut self, faults: &Faults) -> Result<(), Error> {
        let allocated = self.file_bytes();
        let is_sparse = allocated > ROTATE_FROM_BYTES && allocated > 2 * self.bytes.saturating_add(self.step());
        if is_sparse { self.rotate(faults) } else { Ok(()) }
    }

    pub fn rotate(&mut self, faults: &Faults) -> Result<(), Error> {
        let next = self.new_env(faults.clone())?;
        let Some(old) = self.env.replace(next) else { return Ok(()) };
        self.writable = None;
        let (files, view, life) = old.retire();
        let number = files.number;
        let orphans = std::mem::take(&mut self.orphans);
        let rooted = (self.payloads.iter()).filter(|(id, payload)| env_of(**id) == number && payload.rooted).count();
        self.drains.push(Drain::of_own(files, view, life, orphans, rooted)?);
        Ok(())
    }

    pub fn check_readers(&mut self) {
        if let Some(env) = &mut self.env {
            env.check_readers();
        }
    }

    /// Lets everything go and frees it as far as nobody reads it. What is left is found by the others, without a lock.
    pub fn close(&mut self, peers: &mut Peers, faults: &Faults) {
        let rooted: Vec<u64> = self.payloads.iter().filter(|(_, payload)| payload.rooted).map(|(id, _)| *id).collect();
        for id in rooted {
            self.let_go(id);
        }
        if self.env.is_some()
            && let Some(old) = self.env.take()
        {
            let (files, view, life) = old.retire();
            let orphans = std::mem::take(&mut self.orphans);
            self.drains.extend(Drain::of_own(files, view, life, orphans, 0).ok());
        }
        self.free(peers, faults);
        self.drains.clear();
        self.payloads.clear();
        self.bytes = 0;
        self.writable = None;
    }
}

#[derive(Clone, Copy)]
enum Remedy {
    Free,
    Recycle,
    Grow,
}

const _: () = assert!(VALUE_IN_PAGE == 16 && payload_id(1, SEQUENCE_MAX) < payload_id(2, 0));
