//! Taking a reference, or a copy: the slot is published first, then one looks whether the payload is there (P-R2).

use crate::Error;
use crate::env_view::{EnvFiles, EnvView, pages_of};
use crate::fault::{Point, Rule};
use crate::held::{COPY_SLOT, Held};
use crate::layout::{FREE, HEADER_BYTES, HELD, LIVE, PINNED, Token, env_of, word};
use crate::lease::{Lease, Memory};
use crate::lock::locked;
use crate::order;
use crate::owned_env::Placed;
use crate::shared::Shared;
use std::ptr;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, MutexGuard};

impl Shared {
    pub(crate) fn acquire(self: &Arc<Self>, token: &Token) -> Result<Option<Lease>, Error> {
        if token.store != self.id {
            return Ok(None);
        }
        let Some(view) = self.view(env_of(token.id))? else { return Ok(None) };
        let mut held = locked(&self.held);
        if let Some(of_payload) = held.payloads.get(&token.id) {
            let slot = of_payload.slot;
            let state = self.slot(slot).word.load(Ordering::Acquire);
            if state != word(token.id, HELD) && state != word(token.id, PINNED) {
                return Ok(None);
            }
            let Some(read) = self.read_entry(&view, token) else { return Ok(None) };
            self.slot(slot).since_ns.store(self.faults.now_ns(), Ordering::Relaxed);
            let Some(memory) = self.memory(&view, &read, &mut held)? else { return self.copy(&view, token, held) };
            if let Some(of_payload) = held.payloads.get_mut(&token.id) {
                of_payload.references += 1;
            }
            return Ok(Some(Lease::new(self.clone(), *token, slot, memory)));
        }
        let Some(slot) = held.take(token.length) else { return self.copy(&view, token, held) };
        let read = self.publish(slot, &view, token);
        let memory = read.as_ref().map(|read| self.memory(&view, read, &mut held)).transpose();
        if let Ok(Some(Some(memory))) = memory {
            held.hold(token.id, slot, token.length);
            self.process.bytes_held().store(held.bytes, Ordering::Relaxed);
            self.faults.reach(Point::AcquireDone);
            return Ok(Some(Lease::new(self.clone(), *token, slot, memory)));
        }
        self.slot(slot).word.store(FREE, Ordering::Release);
        held.give_back(slot);
        match memory? {
            None => Ok(None),
            Some(_) => self.copy(&view, token, held),
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
        order::publish(&slot.word, word(token.id, HELD));
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

    /// `None`: no mapping is left for it.
    fn memory(&self, view: &Arc<EnvView>, read: &Placed, held: &mut Held) -> Result<Option<Memory>, Error> {
        let pages = pages_of(read.offset, read.length);
        if view.claim(&pages) {
            return Ok(Some(Memory::Whole(view.clone(), pages)));
        }
        if !held.take_alone() {
            return Ok(None);
        }
        let mapped = view.map(&pages);
        if mapped.is_err() {
            held.give_alone_back();
        }
        mapped.map(|mapping| Some(Memory::Alone(mapping)))
    }

    /// A lease on a copy, which needs the payload for the time of copying only.
    fn copy(self: &Arc<Self>, view: &EnvView, token: &Token, held: MutexGuard<Held>) -> Result<Option<Lease>, Error> {
        // A forged length is not believed: there is room for it once the payload was found.
        let bytes = self.copy_into(view, token, held, || vec![0; token.length as usize].into_boxed_slice())?;
        Ok(bytes.map(|bytes| Lease::new(self.clone(), *token, COPY_SLOT, Memory::Copied(bytes))))
    }

    /// `None` when the token does not resolve, or did not until the last byte was copied. `room` is as long as the token says.
    pub(crate) fn copy_into<Room: AsMut<[u8]>>(
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
}
