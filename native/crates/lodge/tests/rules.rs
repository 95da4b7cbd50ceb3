//! Each rule of the protocol prevents something: the same history with the rule off goes wrong.
#![cfg(feature = "faults")]

mod common;

use common::{Actor, LONG, Place, STOPPED, STRICT, off, overwrite, parse, pattern, put, seen, until, written};
use millrace_lodge::{Faults, Format, Lease, Options, Point, Rule, Store, Terms, Token};
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

/// Wrong bytes that their reader takes for right.
fn is_deceived(lease: &Lease, expected: &[u8]) -> bool {
    let bytes = seen(lease);
    lease.is_valid() && bytes != expected
}

/// A reader's process that does not run, as far as its leases show.
fn stopped(options: &mut Options) {
    options.terms = STOPPED;
}

fn past_deadline() {
    std::thread::sleep(Duration::from_millis(5));
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
        let (owner, other) = (place.open(|_| ()), place.open(|options| options.faults = off(rule)));
        let reservation = owner.reserve(LENGTH as u64, Format::Raw).unwrap().unwrap();
        // SAFETY: nobody else has the bytes of a reservation.
        unsafe { reservation.bytes().as_mut().copy_from_slice(&pattern(1, LENGTH)) };
        other.sweep();
        let token = reservation.publish().unwrap();
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

/// Waits until the process is a zombie: dead, and not yet waited for.
fn until_zombie(actor: &Actor) {
    let stat = format!("/proc/{}/stat", actor.child.id());
    until("the actor ends", || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z ")));
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
        until_zombie(&actor);
        stays(&owner)
    });
}

#[test]
fn a_zombie_is_dead() {
    shows(Rule::DeathIsLock, |rule| {
        let place = Place::new();
        let (owner, _, actor) = held_by_an_actor(&place, rule);
        actor.signal(libc::SIGKILL);
        until_zombie(&actor);
        stays(&owner)
    });
}

#[test]
fn a_child_forked_without_exec_does_not_keep_its_parent_alive() {
    let place = Place::new();
    let (owner, _, mut actor) = held_by_an_actor(&place, None);
    let child: libc::pid_t = actor.ask("fork").unwrap().parse().unwrap();
    actor.signal(libc::SIGKILL);
    until_zombie(&actor);
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
        until_zombie(&actor);
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
fn an_owner_stopped_in_its_transaction_holds_nobody_else_up() {
    let place = Place::new();
    let mut actor = Actor::start(&place, &["--at", "PutReserved:2", "stop"]);
    let token = actor.put(1, LENGTH).unwrap();
    actor.tell("put 2 50000");
    let stat = format!("/proc/{}/stat", actor.child.id());
    until("the actor stops", || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T ")));
    let store = place.open(|_| ());
    let own = put(&store, &pattern(3, LENGTH));
    assert_eq!(seen(&store.acquire(&token).unwrap().unwrap()), pattern(1, LENGTH));
    store.discard(&own);
    store.sweep();
    assert_eq!(store.stats().payloads, 0);
    actor.signal(libc::SIGCONT);
    let second = parse(&actor.hear().unwrap());
    assert_eq!(seen(&store.acquire(&second).unwrap().unwrap()), pattern(2, LENGTH));
}

/// P-R13 off: who takes the writer's lock of another process's environment stops it for as long as he likes.
#[test]
fn a_writers_lock_in_other_hands_holds_its_owner_up() {
    let place = Place::new();
    let owner = Arc::new(place.open(|_| ()));
    put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &[]);
    let data = place.files("env-1.mdb")[0].display().to_string();
    assert_eq!(actor.ask(&format!("begin {data}")).as_deref(), Some("0"));
    let putting = owner.clone();
    let put_beside = std::thread::spawn(move || put(&putting, &pattern(2, LENGTH)));
    std::thread::sleep(Duration::from_millis(200));
    assert!(!put_beside.is_finished());
    actor.signal(libc::SIGKILL);
    let token = put_beside.join().unwrap();
    assert_eq!(seen(&owner.acquire(&token).unwrap().unwrap()), pattern(2, LENGTH));
}

#[test]
fn a_stopped_reader_loses_its_lease_and_is_told_when_it_goes_on() {
    let place = Place::new();
    let owner =
        place.open(|options| options.terms = Terms { lease: LONG.lease, ..Terms::of(Duration::from_millis(40)) });
    let token = put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &["--lease", "40"]);
    assert_eq!(actor.ask(&format!("acquire {}", written(&token))).as_deref(), Some("held"));
    let before = actor.ask(&format!("sum {}", token.id)).unwrap();
    assert!(before.ends_with(" true"));
    owner.discard(&token);
    actor.signal(libc::SIGSTOP);
    until("the lease is revoked", || {
        owner.sweep();
        owner.stats().payloads == 0
    });
    overwrite(&owner, LENGTH);
    actor.signal(libc::SIGCONT);
    let after = actor.ask(&format!("sum {}", token.id)).unwrap();
    assert!(after.ends_with(" false") && after.split(' ').next() != before.split(' ').next(), "{before} {after}");
    assert_eq!(actor.ask(&format!("release {}", token.id)).as_deref(), Some("false"));
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
    until_zombie(&actor);
}

/// P-R12. A reference pins by its slot; a read transaction, as a tool has it, stops the reuse of every page.
#[test]
fn a_straggler_keeps_one_payload_and_not_every_page() {
    let high_water = |through_lmdb: bool| {
        let place = Place::new();
        let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
        let token = put(&owner, &pattern(1, LENGTH));
        let _lease = reader.acquire(&token).unwrap().unwrap();
        let _reading = through_lmdb.then(|| lmdb_reader::begin(&place.files("env-1.mdb")[0]));
        for seed in 0..200 {
            let token = put(&owner, &pattern(seed, LENGTH));
            owner.discard(&token);
        }
        owner.stats().file_bytes
    };
    let (by_slot, by_transaction) = (high_water(false), high_water(true));
    assert!(by_slot <= 4 << 20, "{by_slot}");
    assert!(by_transaction >= 8 << 20, "{by_transaction}");
}

/// A commit that finds no room for LMDB's own pages is tried again, with the payload: with a reader that lets no page be used
/// again, that happens at every other growth of the file.
#[test]
fn a_put_that_had_to_be_tried_again_is_whole() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    lmdb_reader::begin(&place.files("env-1.mdb")[0]);
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

/// A tool that reads through LMDB.
mod lmdb_reader {
    use std::ffi::{CString, c_char, c_int, c_uint, c_void};
    use std::path::Path;
    use std::ptr;

    unsafe extern "C" {
        fn mdb_env_create(env: *mut *mut c_void) -> c_int;
        fn mdb_env_open(env: *mut c_void, path: *const c_char, flags: c_uint, mode: c_uint) -> c_int;
        fn mdb_txn_begin(env: *mut c_void, parent: *mut c_void, flags: c_uint, txn: *mut *mut c_void) -> c_int;
    }

    const NO_SUBDIR_READ_ONLY_NO_TLS: c_uint = 0x4000 | 0x20000 | 0x200000;
    const READ_ONLY: c_uint = 0x20000;

    /// Begins a read transaction that lasts as long as the process.
    pub fn begin(path: &Path) {
        let (mut env, mut txn) = (ptr::null_mut(), ptr::null_mut());
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: plain calls with valid pointers.
        unsafe {
            assert_eq!(mdb_env_create(&mut env), 0);
            assert_eq!(mdb_env_open(env, path.as_ptr(), NO_SUBDIR_READ_ONLY_NO_TLS, 0o600), 0);
            assert_eq!(mdb_txn_begin(env, ptr::null_mut(), READ_ONLY, &mut txn), 0);
        }
    }
}
