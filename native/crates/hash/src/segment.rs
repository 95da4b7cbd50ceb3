//! SHA-256 of a file that grows, in a thread of its own: who feeds it pays for one copy of the bytes.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    Thread(HashThread),
}

/// Dropped, it leaves no thread behind: what waits is not hashed any more.
struct HashThread {
    /// `None` only while it ends.
    full: Option<SyncSender<Vec<u8>>>,
    emptied: Receiver<Vec<u8>>,
    /// `None` only when it has ended.
    digest: Option<JoinHandle<Sha256>>,
    is_wanted: Arc<AtomicBool>,
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
            Worker::Thread(mut thread) => thread.end().expect("it ends once"),
        };
        hash.chain_update(&self.filling).finalize().into()
    }

    fn pass_on(&mut self) {
        if let Worker::Here(hash) = &self.worker
            && let Some(thread) = HashThread::spawn(hash.clone())
        {
            self.worker = Worker::Thread(thread);
        }
        match &mut self.worker {
            Worker::Here(hash) => {
                hash.update(&self.filling);
                self.filling.clear();
            }
            Worker::Thread(thread) => {
                let next = thread.emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_BYTES));
                thread.hash(std::mem::replace(&mut self.filling, next));
            }
        }
    }
}

impl HashThread {
    fn spawn(mut hash: Sha256) -> Option<Self> {
        let (full, batches) = sync_channel::<Vec<u8>>(BATCHES_WAITING);
        let (give_back, emptied) = channel();
        let is_wanted = Arc::new(AtomicBool::new(true));
        let is_wanted_still = Arc::clone(&is_wanted);
        let hashing = move || {
            for mut batch in batches {
                if !is_wanted_still.load(Ordering::Relaxed) {
                    break;
                }
                hash.update(&batch);
                batch.clear();
                // Nobody wants it back when the segment is full.
                let _ = give_back.send(batch);
            }
            hash
        };
        let digest = Builder::new().name("segment-hash".into()).spawn(hashing).ok()?;
        Some(Self { full: Some(full), emptied, digest: Some(digest), is_wanted })
    }

    fn hash(&self, batch: Vec<u8>) {
        let full = self.full.as_ref().expect("it has not ended");
        full.send(batch).expect("the thread takes what it is sent");
    }

    /// Waits for what it was sent.
    fn end(&mut self) -> Option<Sha256> {
        self.full = None;
        self.digest.take().map(|digest| digest.join().expect("hashing does not fail"))
    }
}

impl Drop for HashThread {
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Relaxed);
        self.end();
    }
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

    #[test]
    fn leaves_no_thread_behind_that_hashes_what_nobody_asks_for() {
        let mut hash = SegmentHash::default();
        hash.update(&vec![7; BATCHES_WAITING * BATCH_BYTES]);
        let Worker::Thread(thread) = &hash.worker else { panic!("there is a thread") };
        let is_wanted = Arc::clone(&thread.is_wanted);
        drop(hash);
        assert!(!is_wanted.load(Ordering::Relaxed));
        assert_eq!(Arc::strong_count(&is_wanted), 1, "the thread has ended");
    }
}
