//! The thread that keeps a process's leases, frees what nobody names any more, and cleans up after the dead.

use crate::lock::locked;
use crate::shared::Shared;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};

/// Ticks between two looks for dead tools in LMDB's reader table.
const READER_CHECK_TICKS: u32 = 64;

pub struct Keeper {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub fn start(shared: &Arc<Shared>) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (seen, weak, tick) = (stop.clone(), Arc::downgrade(shared), shared.terms.tick());
        let thread = thread::spawn(move || {
            let mut ticks = 0;
            loop {
                let wait = seen.1.wait_timeout_while(locked(&seen.0), tick, |stopped| !*stopped);
                if wait.map_or(true, |(stopped, _)| *stopped) || !Self::tick(&weak, ticks) {
                    return;
                }
                ticks += 1;
            }
        });
        Self { stop, thread }
    }

    fn tick(shared: &Weak<Shared>, ticks: u32) -> bool {
        let Some(shared) = shared.upgrade() else { return false };
        Self::sweep(&shared);
        if ticks.is_multiple_of(READER_CHECK_TICKS) {
            locked(&shared.own).check_readers();
        }
        true
    }

    /// Renews first, so that no lease waits for the rest. What fails is tried again at the next tick.
    pub fn sweep(shared: &Shared) {
        shared.renew();
        let mut own = locked(&shared.own);
        let mut peers = locked(&shared.peers);
        let _ = peers.reap();
        let _ = own.adopt(&shared.faults);
        own.free(&mut peers, &shared.faults);
        let _ = own.delete_freed();
        let _ = own.rotate_sparse(&shared.faults);
        drop((own, peers));
        shared.forget_views();
    }

    pub fn stop(self) {
        *locked(&self.stop.0) = true;
        self.stop.1.notify_all();
        let _ = self.thread.join();
    }
}
