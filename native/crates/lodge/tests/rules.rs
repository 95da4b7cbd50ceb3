//! Each rule of the protocol prevents something: the same history with the rule off goes wrong.
#![cfg(feature = "faults")]

mod common;

use common::{
    Actor, LONG, Place, STOPPED, STRICT, free_by_force, is_deceived, off, overwrite, parse, pattern, put, seen,
    stopped_holder, until, written,
};
use millrace_lodge::{Access, Faults, Format, Lease, Options, Point, Rule, Store, Terms, Token, Transaction};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

const LENGTH: usize = 50_000;

/// Runs a history that answers whether it went wrong.
fn shows(rule: Rule, history: impl Fn(Option<Rule>) -> bool) {
    assert!(!history(None), "{rule:?} holds");
    assert!(history(Some(rule)), "{rule:?} is off");
}

/// Runs `then` the first time that the point is reached.
fn once_at(mut faults: Faults, point: Point, then: impl Fn() + Send + Sync + 'static) -> Faults {
    let done = AtomicBool::new(false);
    faults.at = Some(Arc::new(move |here| {
        if here == point && !done.swap(true, Ordering::SeqCst) {
            then();
        }
    }));
    faults
}

/// A reader's process that does not run, as far as its leases show.
fn stopped(options: &mut Options) {
    options.terms = STOPPED;
}

fn past_deadline() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Of an actor's leases of 20 ms, with their grace.
fn past_term() {
    std::thread::sleep(Duration::from_millis(40));
}

#[test]
fn a_slot_is_published_before_the_entry_is_looked_at() {
    shows(Rule::PublishThenLook, |rule| {
        let place = Place::new();
        let owner = Arc::new(place.open(|_| ()));
        let token = put(&owner, &pattern(1, LENGTH));
        let freeing = owner.clone();
        let free = move || {
            freeing.discard(&token);
            overwrite(&freeing, LENGTH);
        };
        let reader = place.open(|options| options.faults = once_at(off(rule), Point::AcquireLooked, free));
        reader.acquire(&token).unwrap().is_some_and(|lease| is_deceived(&lease, &pattern(1, LENGTH)))
    });
}

#[test]
fn the_scan_that_decides_comes_after_the_condemnation() {
    shows(Rule::ScanAfterCondemning, |rule| {
        let place = Place::new();
        let reader = Arc::new(place.open(|_| ()));
        let token: Arc<OnceLock<Token>> = Arc::default();
        let lease: Arc<Mutex<Option<Lease>>> = Arc::default();
        let (reading, named, held) = (reader.clone(), token.clone(), lease.clone());
        let acquire = move || *held.lock().unwrap() = reading.acquire(named.get().unwrap()).unwrap();
        let owner = place.open(|options| options.faults = once_at(off(rule), Point::FreeScanned, acquire));
        token.set(put(&owner, &pattern(1, LENGTH))).unwrap();
        owner.discard(token.get().unwrap());
        overwrite(&owner, LENGTH);
        let lease = lease.lock().unwrap().take().expect("an entry that is live resolves");
        is_deceived(&lease, &pattern(1, LENGTH))
    });
}

#[test]
fn a_reader_is_told_before_its_payload_is_freed() {
    shows(Rule::RevokeBeforeFreeing, |rule| {
        let place = Place::new();
        let owner = place.open(|options| {
            options.terms = STRICT;
            options.faults = off(rule);
        });
        let reader = place.open(stopped);
        let token = put(&owner, &pattern(1, LENGTH));
        let lease = reader.acquire(&token).unwrap().unwrap();
        past_deadline();
        owner.discard(&token);
        overwrite(&owner, LENGTH);
        assert_ne!(seen(&lease), pattern(1, LENGTH), "a stopped reader holds nobody up");
        is_deceived(&lease, &pattern(1, LENGTH))
    });
}

#[test]
fn a_revocation_meets_the_lease_that_was_judged_and_no_later_one() {
    shows(Rule::RevokeByWord, |rule| {
        let place = Place::new();
        let reader = Arc::new(place.open(stopped));
        let old: Arc<Mutex<Option<Lease>>> = Arc::default();
        let young: Arc<Mutex<Option<Lease>>> = Arc::default();
        let other: Arc<OnceLock<Token>> = Arc::default();
        let (reading, from, to, named) = (reader.clone(), old.clone(), young.clone(), other.clone());
        let change = move || {
            drop(from.lock().unwrap().take());
            *to.lock().unwrap() = reading.acquire(named.get().unwrap()).unwrap();
        };
        let owner = place.open(|options| {
            options.terms = STRICT;
            options.faults = once_at(off(rule), Point::FreeJudged, change);
        });
        let token = put(&owner, &pattern(1, LENGTH));
        other.set(put(&owner, &pattern(2, LENGTH))).unwrap();
        *old.lock().unwrap() = reader.acquire(&token).unwrap();
        past_deadline();
        owner.discard(&token);
        let young = young.lock().unwrap().take().expect("a live payload");
        assert_eq!(seen(&young), pattern(2, LENGTH));
        !young.is_valid()
    });
}

#[test]
fn the_slot_tells_whether_the_bytes_are_still_the_payload() {
    shows(Rule::ValidateBySlot, |rule| {
        let place = Place::new();
        let owner = place.open(|options| options.terms = STRICT);
        let reader = place.open(|options| {
            stopped(options);
            options.faults = off(rule);
        });
        let token = put(&owner, &pattern(1, LENGTH));
        let lease = reader.acquire(&token).unwrap().unwrap();
        let mut expected = pattern(1, LENGTH);
        expected[0] = 0xee;
        // SAFETY: private memory of this reference; its first page is now the reader's own, header included.
        unsafe { lease.bytes().as_mut()[0] = 0xee };
        past_deadline();
        owner.discard(&token);
        overwrite(&owner, LENGTH);
        is_deceived(&lease, &expected)
    });
}

#[test]
fn pinned_bytes_never_change() {
    shows(Rule::PinnedStays, |rule| {
        let place = Place::new();
        let owner = place.open(|options| {
            options.terms = STRICT;
            options.faults = off(rule);
        });
        let token = put(&owner, &pattern(1, LENGTH));
        let mut reader = Actor::start(&place, &["--lease", "20"]);
        reader.ask(&format!("acquire {}", written(&token)));
        assert_eq!(reader.ask(&format!("pin {}", token.id)).as_deref(), Some("true"));
        let sum = format!("sum {}", token.id);
        let before = reader.ask(&sum).unwrap();
        reader.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(25));
        owner.discard(&token);
        overwrite(&owner, LENGTH);
        reader.signal(libc::SIGCONT);
        reader.ask(&sum).unwrap() != before
    });
}

#[test]
fn what_is_being_written_is_freed_by_nobody_else_while_the_writer_lives() {
    shows(Rule::WriterDies, |rule| {
        let place = Place::new();
        let other = place.open(|options| {
            options.terms = STRICT;
            options.faults = off(rule);
        });
        let mut writer = Actor::start(&place, &["--lease", "20"]);
        writer.tell(&format!("write 1 {LENGTH}"));
        writer.until_is('T');
        past_term();
        other.sweep();
        overwrite(&other, LENGTH);
        writer.signal(libc::SIGCONT);
        assert_eq!(writer.hear().as_deref(), Some("written"));
        let token = parse(&writer.ask("publish").unwrap());
        other.acquire(&token).unwrap().is_none_or(|lease| seen(&lease) != pattern(1, LENGTH))
    });
}

#[test]
fn a_number_names_one_payload_for_ever() {
    shows(Rule::IdsOnce, |rule| {
        let place = Place::new();
        let first = place.open(|options| options.faults = off(rule));
        let before = put(&first, &pattern(1, LENGTH));
        first.close();
        let second = place.open(|options| options.faults = off(rule));
        before.id == put(&second, &pattern(2, LENGTH)).id
    });
}

#[test]
fn who_reads_on_in_a_file_that_was_wiped_is_told_and_lives() {
    shows(Rule::UnlinkWiped, |rule| {
        let place = Place::new();
        let owner = place.open(|options| {
            options.terms = STRICT;
            options.faults = off(rule);
        });
        let token = put(&owner, &pattern(1, LENGTH));
        let mut reader = stopped_holder(&place, &token);
        free_by_force(&owner, &token);
        owner.close();
        assert!(place.files("env-1.mdb").is_empty(), "nothing is left");
        reader.signal(libc::SIGCONT);
        let Some(seen) = reader.ask(&format!("sum {}", token.id)) else { return true };
        assert!(seen.ends_with(" false"), "{seen}");
        false
    });
}

fn off_in_actor(rule: Option<Rule>) -> Vec<&'static str> {
    match rule {
        None => vec![],
        Some(Rule::NoReadTransaction) => vec!["--off", "NoReadTransaction"],
        Some(Rule::OwnWriterOnly) => vec!["--off", "OwnWriterOnly"],
        Some(other) => panic!("{other:?} is not switched off in actors"),
    }
}

/// Puts a payload that a process of its own holds.
fn held_by_an_actor(place: &Place, rule: Option<Rule>) -> (Store, Token, Actor) {
    let owner = place.open(|options| options.faults = off(rule));
    let token = put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(place, &["--lease", "3600000"]);
    assert_eq!(actor.ask(&format!("acquire {}", written(&token))).as_deref(), Some("held"));
    owner.discard(&token);
    assert_eq!(owner.stats().payloads, 1, "a living reader keeps it");
    (owner, token, actor)
}

/// Whether a payload stays although the owner looks again and again. The last thread of a zombie may end a little later.
fn stays(owner: &Store) -> bool {
    let started = Instant::now();
    while owner.stats().payloads > 0 && started.elapsed() < Duration::from_millis(500) {
        owner.sweep();
    }
    owner.stats().payloads > 0
}

#[test]
fn what_a_dead_process_held_is_free() {
    shows(Rule::VoidWhenDead, |rule| {
        let place = Place::new();
        let (owner, _, actor) = held_by_an_actor(&place, rule);
        actor.signal(libc::SIGKILL);
        actor.until_is('Z');
        stays(&owner)
    });
}

#[test]
fn a_zombie_is_dead() {
    shows(Rule::DeathIsLock, |rule| {
        let place = Place::new();
        let (owner, _, actor) = held_by_an_actor(&place, rule);
        actor.signal(libc::SIGKILL);
        actor.until_is('Z');
        stays(&owner)
    });
}

#[test]
fn who_has_the_pid_of_a_dead_process_does_not_keep_what_that_held() {
    shows(Rule::DeathIsLock, |rule| {
        let place = Place::new();
        let (owner, _, mut actor) = held_by_an_actor(&place, rule);
        actor.child.kill().unwrap();
        actor.child.wait().unwrap();
        let elsewhere = Place::new();
        let heir = Actor::start(&elsewhere, &[]);
        write_header(&place, PID, heir.child.id().into());
        stays(&owner)
    });
}

#[test]
fn a_process_of_another_pid_namespace_lives_and_dies_like_others() {
    let place = Place::new();
    let owner = place.open(|_| ());
    let token = put(&owner, &pattern(1, LENGTH));
    let Some(mut actor) = Actor::start_apart(&place, &["--pid"], &["--lease", "3600000"]) else { return };
    assert_eq!(actor.ask(&format!("acquire {}", written(&token))).as_deref(), Some("held"));
    owner.discard(&token);
    owner.sweep();
    assert_eq!(owner.stats().payloads, 1, "a living reader keeps it");
    actor.child.kill().unwrap();
    assert!(!stays(&owner));
}

/// The holder is stopped, and its file names a process that is somebody else: later, or in another namespace.
#[test]
fn nobody_is_killed_for_another_ones_pin() {
    for (word, value) in [(START_TIME, 1), (PID_NAMESPACE, 1)] {
        let place = Place::new();
        let owner = place.open(|options| options.terms = Terms { pin_max: Duration::ZERO, ..STRICT });
        let token = put(&owner, &pattern(1, LENGTH));
        let mut actor = Actor::start(&place, &["--lease", "20"]);
        actor.ask(&format!("acquire {}", written(&token)));
        assert_eq!(actor.ask(&format!("pin {}", token.id)).as_deref(), Some("true"));
        actor.signal(libc::SIGSTOP);
        write_header(&place, word, value);
        past_term();
        owner.discard(&token);
        actor.signal(libc::SIGCONT);
        assert_eq!(actor.ask(&format!("release {}", token.id)).as_deref(), Some("true"));
    }
}

/// Words of a process file's header.
const PID: u64 = 1;
const START_TIME: u64 = 2;
const PID_NAMESPACE: u64 = 5;

/// Changes what the process file of the second process says.
fn write_header(place: &Place, word: u64, value: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(&place.files("proc-2.lease")[0]).unwrap();
    file.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
}

#[test]
fn a_child_forked_without_exec_does_not_keep_its_parent_alive() {
    let place = Place::new();
    let (owner, _, mut actor) = held_by_an_actor(&place, None);
    let child: libc::pid_t = actor.ask("fork").unwrap().parse().unwrap();
    actor.signal(libc::SIGKILL);
    actor.until_is('Z');
    let kept = stays(&owner);
    // SAFETY: the child is of this test.
    unsafe { libc::kill(child, libc::SIGKILL) };
    assert!(!kept);
}

#[test]
fn an_environment_of_a_dead_owner_is_adopted() {
    shows(Rule::Adopt, |rule| {
        let place = Place::new();
        let reader = place.open(|options| options.faults = off(rule));
        let mut actor = Actor::start(&place, &[]);
        let token = actor.put(1, LENGTH).unwrap();
        let lease = reader.acquire(&token).unwrap().unwrap();
        actor.signal(libc::SIGKILL);
        actor.until_is('Z');
        let is_left = || !place.files("env-2.mdb").is_empty() && place.files("proc-2.lease").len() == 1;
        until("the death is seen", || {
            reader.sweep();
            !is_left()
        });
        reader.sweep();
        assert!(seen(&lease) == pattern(1, LENGTH) && lease.is_valid(), "a lease outlives the owner");
        assert!(reader.acquire(&token).unwrap().is_some(), "and the payload is still handed on");
        assert!(lease.release(false));
        reader.sweep();
        !place.files("env-2.mdb").is_empty()
    });
}

#[test]
fn a_put_waits_for_no_writer_of_another_environment() {
    shows(Rule::OwnWriterOnly, |rule| {
        let place = Place::new();
        let mut writer = Actor::start(&place, &["--at", "PutReserved", "stop"]);
        writer.tell("put 1 50000");
        writer.until_is('T');
        let lasting = ["--lease", "3600000"];
        let mut other = Actor::start(&place, &[&lasting[..], &off_in_actor(rule)].concat());
        other.tell("put 2 50000");
        let waits = other.until_answered_or_waiting();
        writer.signal(libc::SIGCONT);
        assert!(writer.hear().is_some() && other.hear().is_some(), "it waits no longer than the other is stopped");
        waits
    });
}

#[test]
fn a_running_reader_keeps_its_lease_beyond_its_term() {
    let place = Place::new();
    let owner =
        place.open(|options| options.terms = Terms { lease: LONG.lease, ..Terms::of(Duration::from_millis(600)) });
    let token = put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &["--lease", "300"]);
    actor.ask(&format!("acquire {}", written(&token)));
    owner.discard(&token);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(700) {
        owner.sweep();
        std::thread::yield_now();
    }
    assert_eq!(owner.stats().payloads, 1);
    assert_eq!(actor.ask(&format!("release {}", token.id)).as_deref(), Some("true"));
}

#[test]
fn a_lease_is_renewed_up_to_its_greatest_age_and_a_new_reference_is_young() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = STRICT);
    let terms = Terms { lease: Duration::from_millis(500), age_max: Duration::from_millis(700), ..LONG };
    let reader = place.open(|options| options.terms = terms);
    let (old, young) = (put(&owner, &pattern(1, LENGTH)), put(&owner, &pattern(2, LENGTH)));
    let leases = [reader.acquire(&old).unwrap().unwrap(), reader.acquire(&young).unwrap().unwrap()];
    std::thread::sleep(Duration::from_millis(600));
    let again = reader.acquire(&young).unwrap().unwrap();
    owner.discard(&old);
    until("the old lease is revoked", || {
        owner.sweep();
        !leases[0].is_valid()
    });
    owner.discard(&young);
    assert!(again.is_valid() && leases[1].is_valid());
}

#[test]
fn who_pins_and_stops_is_killed() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = Terms { pin_max: Duration::from_millis(30), ..STRICT });
    let token = put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &["--lease", "40"]);
    actor.ask(&format!("acquire {}", written(&token)));
    assert_eq!(actor.ask(&format!("pin {}", token.id)).as_deref(), Some("true"));
    owner.discard(&token);
    actor.signal(libc::SIGSTOP);
    until("the payload is freed", || {
        owner.sweep();
        owner.stats().payloads == 0
    });
    actor.until_is('Z');
}

#[test]
fn a_reader_stopped_while_it_looks_keeps_one_payload_and_not_every_page() {
    shows(Rule::NoReadTransaction, |rule| {
        let place = Place::new();
        let owner = place.open(|_| ());
        let token = put(&owner, &pattern(1, LENGTH));
        let mut reader =
            Actor::start(&place, &[&["--at", "AcquirePublished", "stop"][..], &off_in_actor(rule)].concat());
        reader.tell(&format!("acquire {}", written(&token)));
        reader.until_is('T');
        for seed in 0..200 {
            owner.discard(&put(&owner, &pattern(seed, LENGTH)));
        }
        reader.signal(libc::SIGCONT);
        assert_eq!(reader.hear().as_deref(), Some("held"));
        owner.stats().file_bytes > 4 << 20
    });
}

/// A commit that finds no room for LMDB's own pages is tried again, with the payload: with a reader that lets no page be used
/// again, that happens at every other growth of the file.
#[test]
fn a_put_that_had_to_be_tried_again_is_whole() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let _reading = Transaction::begin(&place.files("env-1.mdb")[0], Access::Read);
    let mut last = put(&owner, b"the first");
    for round in 0..6000usize {
        let bytes = pattern(round as u8, 1 + round * 977 % 60_000);
        let Some(token) = owner.put(&bytes, Format::Raw).unwrap() else { break };
        assert!(seen(&reader.acquire(&token).unwrap().unwrap()) == bytes, "round {round}");
        owner.discard(&last);
        last = token;
    }
    assert!(owner.stats().file_bytes > 100 << 20, "{:?}", owner.stats());
}
