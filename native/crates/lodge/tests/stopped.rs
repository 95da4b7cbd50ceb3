//! Processes that stop in the middle of something and go on, and processes whose clocks are off: nobody waits for them, and they are told.
#![cfg(feature = "faults")]

mod common;

use common::{
    Actor, Place, STRICT, free_by_force, is_deceived, overwrite, parse, pattern, put, seen, stopped_holder, sum_of,
    written,
};
use millrace_lodge::Point;

const LENGTH: usize = 50_000;

#[test]
fn an_owner_stopped_in_its_transaction_holds_nobody_else_up() {
    let place = Place::new();
    let mut actor = Actor::start(&place, &["--at", "PutReserved:2", "stop"]);
    let token = actor.put(1, LENGTH).unwrap();
    actor.tell("put 2 50000");
    actor.until_is('T');
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

#[test]
fn a_reader_stopped_in_an_acquire_misses_the_payload_or_is_told_when_it_goes_on() {
    let points = [Point::AcquireLooked, Point::AcquireDated, Point::AcquirePublished, Point::AcquireDone];
    for point in points {
        let place = Place::new();
        let owner = place.open(|options| options.terms = STRICT);
        let token = put(&owner, &pattern(1, LENGTH));
        let mut reader = Actor::start(&place, &["--lease", "20", "--at", &format!("{point:?}"), "stop"]);
        reader.tell(&format!("acquire {}", written(&token)));
        reader.until_is('T');
        free_by_force(&owner, &token);
        overwrite(&owner, LENGTH);
        reader.signal(libc::SIGCONT);
        let answer = reader.hear().unwrap();
        assert_eq!(answer, if point == Point::AcquireDone { "held" } else { "miss" }, "{point:?}");
        if answer == "held" {
            assert!(reader.ask(&format!("sum {}", token.id)).unwrap().ends_with(" false"));
        }
        let next = put(&owner, &pattern(2, LENGTH));
        assert_eq!(reader.ask(&format!("acquire {}", written(&next))).as_deref(), Some("held"), "{point:?}");
        assert!(reader.ask(&format!("sum {}", next.id)).unwrap().ends_with(" true"));
    }
}

#[test]
fn a_stopped_reader_loses_its_lease_and_is_told_when_it_goes_on() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = STRICT);
    let token = put(&owner, &pattern(1, LENGTH));
    let mut reader = stopped_holder(&place, &token);
    let sum = format!("sum {}", token.id);
    free_by_force(&owner, &token);
    overwrite(&owner, LENGTH);
    reader.signal(libc::SIGCONT);
    let seen = reader.ask(&sum).unwrap();
    assert!(seen.ends_with(" false") && !seen.starts_with(&sum_of(&pattern(1, LENGTH))), "{seen}");
    assert_eq!(reader.ask(&format!("release {}", token.id)).as_deref(), Some("false"));
}

/// Between the last byte that it read and the append, before it asks and behind that.
#[test]
fn a_step_that_is_stopped_appends_the_payload_or_is_told() {
    for (stop, told) in [("before", false), ("behind", true)] {
        let place = Place::new();
        let owner = place.open(|options| options.terms = STRICT);
        let token = put(&owner, &pattern(1, LENGTH));
        let mut reader = Actor::start(&place, &["--lease", "20"]);
        reader.ask(&format!("acquire {}", written(&token)));
        reader.tell(&format!("step {} {stop}", token.id));
        reader.until_is('T');
        free_by_force(&owner, &token);
        overwrite(&owner, LENGTH);
        reader.signal(libc::SIGCONT);
        assert_eq!(reader.hear().unwrap(), format!("{} {told}", sum_of(&pattern(1, LENGTH))), "{stop}");
    }
}

#[test]
fn a_clock_that_is_hours_off_costs_a_lease_at_most() {
    const HOURS: i64 = 5 * 3_600_000_000_000;
    for (owner_ns, reader_ns, is_kept) in [(0, HOURS, true), (0, -HOURS, false), (HOURS, 0, false), (-HOURS, 0, true)] {
        let place = Place::new();
        let owner = place.open(|options| {
            options.terms = STRICT;
            options.faults.clock_shift_ns = owner_ns;
        });
        let reader = place.open(|options| options.faults.clock_shift_ns = reader_ns);
        let token = put(&owner, &pattern(1, LENGTH));
        let lease = reader.acquire(&token).unwrap().unwrap();
        owner.discard(&token);
        overwrite(&owner, LENGTH);
        assert!(!is_deceived(&lease, &pattern(1, LENGTH)));
        assert_eq!(lease.is_valid(), is_kept, "{owner_ns} {reader_ns}");
        drop((lease, reader));
        owner.sweep();
        assert_eq!(owner.stats().payloads, 8, "and nothing stays: {owner_ns} {reader_ns}");
    }
}

#[test]
fn a_process_whose_clock_is_shifted_by_its_namespace_is_refused() {
    let place = Place::new();
    let _store = place.open(|_| ());
    let shifted = ["--time", "--monotonic=36000"];
    let Some(mut actor) = Actor::start_apart(&place, &shifted, &[]) else { return };
    assert_eq!(actor.hear().as_deref(), Some("the store belongs to another time namespace"));
    assert!(place.files("proc-2.lease").is_empty());
}
