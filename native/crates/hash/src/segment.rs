//! SHA-256 of a file that grows, in a thread of its own: who feeds it pays for one copy of the bytes.

use sha2::{Digest, Sha256};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::HASH_BYTES;

/// Waking the thread costs more than hashing a block of the log: it gets so much at once.
const BATCH_BYTES: usize = 256 * 1024;
/// Who feeds faster than the thread hashes waits from here on. On a machine with more to do than processors a thread may have to wait
/// for one longer than 1 MiB of appends takes.
const BATCHES_WAITING: usize = 32;

pub struct SegmentHash {
    filling: Vec<u8>,
    worker: Worker,
}

enum Worker {
    /// Until the first batch is full, and for good where no thread is to be had.
    Here(Sha256),
    Thread {
        full: SyncSender<Vec<u8>>,
        emptied: Receiver<Vec<u8>>,
        digest: JoinHandle<Sha256>,
    },
}

impl Default for SegmentHash {
    fn default() -> Self {
        Self { filling: Vec::new(), worker: Worker::Here(Sha256::new()) }
    }
}

impl SegmentHash {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(BATCH_BYTES - self.filling.len()));
            self.filling.extend_from_slice(taken);
            bytes = rest;
            if self.filling.len() == BATCH_BYTES {
                self.pass_on();
            }
        }
    }

    pub fn digest(self) -> [u8; HASH_BYTES] {
        let hash = match self.worker {
            Worker::Here(hash) => hash,
            Worker::Thread { full, digest, .. } => {
                drop(full);
                digest.join().expect("hashing does not fail")
            }
        };
        hash.chain_update(&self.filling).finalize().into()
    }

    fn pass_on(&mut self) {
        if let Worker::Here(hash) = &self.worker
            && let Some(thread) = spawned(hash.clone())
        {
            self.worker = thread;
        }
        match &mut self.worker {
            Worker::Here(hash) => {
                hash.update(&self.filling);
                self.filling.clear();
            }
            Worker::Thread { full, emptied, .. } => {
                let next = emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_BYTES));
                full.send(std::mem::replace(&mut self.filling, next)).expect("the thread takes what it is sent");
            }
        }
    }
}

fn spawned(mut hash: Sha256) -> Option<Worker> {
    let (full, batches) = sync_channel::<Vec<u8>>(BATCHES_WAITING);
    let (give_back, emptied) = channel();
    let hashing = move || {
        for mut batch in batches {
            hash.update(&batch);
            batch.clear();
            // Nobody wants it back when the segment is full or the log was closed.
            let _ = give_back.send(batch);
        }
        hash
    };
    let digest = Builder::new().name("segment-hash".into()).spawn(hashing).ok()?;
    Some(Worker::Thread { full, emptied, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_hash_of_all_that_came_in_pieces_of_any_size() {
        for total in [0, 1, BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, 40 * BATCH_BYTES + 7] {
            let bytes: Vec<u8> = (0..total).map(|i| ((i * 31) >> 3) as u8).collect();
            for piece in [4096, 100_000, 3 * BATCH_BYTES] {
                let mut hash = SegmentHash::default();
                for part in bytes.chunks(piece) {
                    hash.update(part);
                }
                assert_eq!(hash.digest(), <[u8; HASH_BYTES]>::from(Sha256::digest(&bytes)), "{total} bytes by {piece}");
            }
        }
    }
}
