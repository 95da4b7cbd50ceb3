//! P-R2 and P-R3 rest on two full fences: without either of them a reader and an owner can each miss what the other wrote. What is run is
//! what the store runs.
#![cfg(feature = "faults")]

use millrace_lodge::order;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

#[repr(align(128))]
struct Line(AtomicU64);

/// How one side writes its word before it looks.
type Write = fn(&AtomicU64, u64);

const PUBLISH: Write = order::publish;
const CONDEMN: Write = |entry, word| order::condemn(iter::once((entry, word)));
const UNFENCED: Write = |line, word| line.store(word, Ordering::Release);

/// Rounds in which publish-then-look and condemn-then-scan, run at the same time, both saw nothing.
fn mutual_misses(rounds: u64, publish: Write, condemn: Write) -> u64 {
    let lines: Arc<[Line; 4]> = Arc::new(std::array::from_fn(|_| Line(AtomicU64::new(0))));
    let barrier = Arc::new(Barrier::new(2));
    let side = |own: usize, other: usize, saw: usize, write: Write| {
        let (lines, barrier) = (lines.clone(), barrier.clone());
        std::thread::spawn(move || {
            let mut misses = 0;
            barrier.wait();
            for round in 1..=rounds {
                write(&lines[own].0, round);
                let seen = lines[other].0.load(Ordering::Acquire);
                // Each tells the other what it saw, and both wait for the round to end.
                lines[saw].0.store(round << 1 | u64::from(seen < round), Ordering::SeqCst);
                let mut spins = 0;
                let theirs = loop {
                    let theirs = lines[5 - saw].0.load(Ordering::SeqCst);
                    if theirs >> 1 >= round {
                        break theirs;
                    }
                    spins += 1;
                    // Both on one core would wait for the end of a time slice.
                    if spins < 1000 { std::hint::spin_loop() } else { std::thread::yield_now() }
                };
                misses += u64::from(seen < round && theirs == (round << 1 | 1));
            }
            misses
        })
    };
    let (reader, owner) = (side(0, 1, 2, publish), side(1, 0, 3, condemn));
    reader.join().unwrap().max(owner.join().unwrap())
}

#[test]
fn with_fences_one_of_both_sees_the_other() {
    assert_eq!(mutual_misses(100_000, PUBLISH, CONDEMN), 0);
}

/// Shows that the test above is able to fail. Both sides have to run at the same time for that, which they do sooner or later.
#[test]
fn without_either_fence_both_can_miss() {
    for (publish, condemn) in [(UNFENCED, CONDEMN), (PUBLISH, UNFENCED)] {
        let started = Instant::now();
        while mutual_misses(20_000, publish, condemn) == 0 {
            assert!(started.elapsed() < Duration::from_secs(60));
        }
    }
}
