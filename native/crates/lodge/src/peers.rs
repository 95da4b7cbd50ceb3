//! What the slots of all processes name: the question that decides whether a payload may be freed (P-R3, P-R4).

use crate::Error;
use crate::fault::{Faults, Rule};
use crate::layout::{FREE, HELD, PINNED, REVOKED, Slot, id_of, state_of, word};
use crate::place::{Counter, attachments};
use crate::process_file::Peer;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// How long leases last.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A slot that was not renewed for so long, and the grace, may be revoked.
    pub lease: Duration,
    /// Half of what separates clocks that cannot differ: a bound for the unexpected.
    pub grace: Duration,
    /// A lease is renewed up to this age.
    pub age_max: Duration,
    /// A process that holds a pin so long past its deadline is killed.
    pub pin_max: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self::of(Duration::from_secs(5))
    }
}

impl Terms {
    pub fn of(lease: Duration) -> Self {
        Self { lease, grace: lease / 2, age_max: lease * 12, pin_max: lease * 2 }
    }

    pub fn tick(&self) -> Duration {
        self.lease / 4
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// What is named by slots that cannot be revoked now.
    Look,
    /// The same, and what can be revoked is.
    Revoke,
}

/// A leftover of a process that died while it attached.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(60);

pub struct Peers {
    dir: PathBuf,
    terms: Terms,
    known: HashMap<String, Peer>,
    attached: Counter,
    /// What `attached` said before the directory was listed; none: it must be listed.
    listed_at: Option<u64>,
    faults: Faults,
}

impl Peers {
    pub fn new(dir: PathBuf, terms: Terms, faults: Faults) -> Result<Self, Error> {
        let attached = attachments(&dir)?;
        Ok(Self { dir, terms, known: HashMap::new(), attached, listed_at: None, faults })
    }

    /// Which of `ids` a slot names. A process that attached since is seen, because it attached before its first acquire. An unreadable
    /// process file names everything.
    pub fn named(&mut self, ids: &HashSet<u64>, scan: Scan) -> HashSet<u64> {
        if ids.is_empty() {
            return HashSet::new();
        }
        if self.listed_at != Some(self.attached.value()) && self.list().is_err() {
            return ids.clone();
        }
        let mut named = HashSet::new();
        for peer in self.known.values() {
            for slot in peer.slots() {
                let seen = slot.word.load(Ordering::Acquire);
                let id = id_of(seen);
                if seen != FREE && ids.contains(&id) && self.is_kept(peer, slot, id, scan) {
                    named.insert(id);
                }
            }
        }
        named
    }

    fn is_kept(&self, peer: &Peer, slot: &Slot, id: u64, scan: Scan) -> bool {
        let mut alive = None;
        loop {
            let seen = slot.word.load(Ordering::Acquire);
            if id_of(seen) != id || matches!(state_of(seen), FREE | REVOKED) {
                return false;
            }
            if !*alive.get_or_insert_with(|| self.is_alive(peer)) && self.faults.holds(Rule::VoidWhenDead) {
                return false;
            }
            let late_ns = self.faults.now_ns().saturating_sub(slot.deadline_ns.load(Ordering::Acquire));
            let pinned = state_of(seen) == PINNED && self.faults.holds(Rule::PinnedStays);
            if pinned {
                if late_ns > self.terms.pin_max.as_nanos() as u64 {
                    peer.kill();
                }
                return true;
            }
            if late_ns <= self.terms.grace.as_nanos() as u64 {
                return true;
            }
            if scan == Scan::Look || !self.faults.holds(Rule::RevokeBeforeFreeing) {
                return false;
            }
            self.faults.reach(crate::fault::Point::FreeJudged);
            // The deadline may belong to an older lease of the slot; the word that it was read with tells.
            let expected = if self.faults.holds(Rule::RevokeByWord) { seen } else { slot.word.load(Ordering::Acquire) };
            let revoked = word(id_of(expected), REVOKED);
            if slot.word.compare_exchange(expected, revoked, Ordering::SeqCst, Ordering::Acquire).is_ok() {
                return false;
            }
        }
    }

    fn is_alive(&self, peer: &Peer) -> bool {
        if self.faults.holds(Rule::DeathIsLock) {
            return peer.is_alive();
        }
        // SAFETY: signal 0 only asks.
        unsafe { libc::kill(peer.pid() as libc::pid_t, 0) == 0 }
    }

    /// Unlinks the files of processes that died (their leases are void), and what died while it attached.
    pub fn reap(&mut self) -> Result<(), Error> {
        self.list()?;
        let is_void = |peer: &&Peer| !self.is_alive(peer) && self.faults.holds(Rule::VoidWhenDead);
        let dead: Vec<String> = self.known.values().filter(is_void).map(|peer| peer.name().to_owned()).collect();
        for name in dead {
            let _ = fs::remove_file(self.dir.join(&name));
            self.known.remove(&name);
        }
        for found in fs::read_dir(&self.dir).map_err(Error::io("listing the store"))?.flatten() {
            let is_draft = found.file_name().to_str().is_some_and(|name| name.ends_with(".tmp"));
            if is_draft && age_of(&found).is_some_and(|age| age > DRAFT_AGE_MAX) {
                let _ = fs::remove_file(found.path());
            }
        }
        Ok(())
    }

    /// Slots of other processes that name something, with the number of their process: for people.
    pub fn holders(&mut self) -> Result<Vec<(u32, u64)>, Error> {
        self.list()?;
        let held = |slot: &Slot| {
            let seen = slot.word.load(Ordering::Relaxed);
            matches!(state_of(seen), HELD | PINNED).then_some(id_of(seen))
        };
        let of = |peer: &Peer| {
            let pid = peer.pid();
            peer.slots().iter().filter_map(held).map(move |id| (pid, id)).collect::<Vec<_>>()
        };
        Ok(self.known.values().flat_map(of).collect())
    }

    fn list(&mut self) -> Result<(), Error> {
        self.listed_at = None;
        let attached = self.attached.value();
        let mut seen = HashSet::new();
        for found in fs::read_dir(&self.dir).map_err(Error::io("listing the store"))? {
            let found = found.map_err(Error::io("listing the store"))?.file_name();
            let Some(name) = found.to_str().filter(|name| Peer::is_named(name)) else { continue };
            if !self.known.contains_key(name)
                && let Some(peer) = Peer::open(&self.dir, name)?
            {
                self.known.insert(name.to_owned(), peer);
            }
            seen.insert(name.to_owned());
        }
        self.known.retain(|name, _| seen.contains(name));
        self.listed_at = Some(attached);
        Ok(())
    }
}

fn age_of(file: &fs::DirEntry) -> Option<Duration> {
    SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()
}
