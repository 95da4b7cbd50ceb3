//! Condemn, fence, scan, free: the one way in which payloads end (P-R3, P-R4).

use crate::env_view::EnvView;
use crate::fault::{Faults, Point, Rule};
use crate::layout::{CONDEMNED, Entry, LIVE, word};
use crate::order;
use crate::peers::{Peers, Scan};
use std::collections::HashSet;
use std::sync::atomic::{Ordering, fence};

/// A payload, and its place in the table of its environment.
pub type Row = (u64, u32);

/// Those of `payloads`, which have no root hold, that may be freed now: they stay condemned. The others are live again.
pub fn condemn(view: &EnvView, payloads: &[Row], peers: &mut Peers, faults: &Faults) -> Vec<Row> {
    let ids: HashSet<u64> = payloads.iter().map(|(id, _)| *id).collect();
    // This scan saves those that are in use a moment in which they do not resolve; it decides nothing.
    let in_use = peers.named(&ids, Scan::Look);
    let batch: Vec<Row> = payloads.iter().copied().filter(|(id, _)| !in_use.contains(id)).collect();
    if batch.is_empty() {
        return batch;
    }
    faults.reach(Point::FreeScanned);
    order::condemn(batch.iter().map(|(id, entry)| (&row(view, *entry).word, word(*id, CONDEMNED))));
    faults.reach(Point::FreeCondemned);
    let ids = batch.iter().map(|(id, _)| *id).collect();
    let named = if faults.holds(Rule::ScanAfterCondemning) { peers.named(&ids, Scan::Revoke) } else { HashSet::new() };
    let (kept, freed): (Vec<Row>, Vec<Row>) = batch.into_iter().partition(|(id, _)| named.contains(id));
    for (id, entry) in kept {
        row(view, entry).word.store(word(id, LIVE), Ordering::Release);
    }
    fence(Ordering::SeqCst);
    faults.reach(Point::FreeDecided);
    freed
}

fn row(view: &EnvView, entry: u32) -> &Entry {
    &view.table.rows()[entry as usize]
}
