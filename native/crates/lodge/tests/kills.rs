//! Processes that die at each line of the protocol: nothing that others see is wrong, and everything is freed.
//! `PAYLOAD_KILLS=10000 cargo test --release -p millrace-lodge --features faults --test kills -- --nocapture` kills as many at
//! random.
#![cfg(feature = "faults")]

mod common;

use common::{Actor, Place, pattern, put, seen, until, written};
use millrace_lodge::{Point, Terms};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

const LENGTH: usize = 30_000;
const ROUNDS: u8 = 20;
/// Every point is reached so often at least: what others still read is freed for several rounds together.
const COUNT_MAX: u64 = 6;

fn is_killed(actor: &mut Actor) -> bool {
    actor.child.wait().unwrap().signal() == Some(libc::SIGKILL)
}

/// A producer and reader of its own that dies at the point, reached for the `count`th time. Returns how long what it held and
/// what it had put outlived it.
fn dies_at(point: Point, count: u64) -> Duration {
    let place = Place::new();
    let store = place.open(|_| ());
    let lasting = put(&store, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &["--at", &format!("{point:?}:{count}"), "kill"]);
    let mut handed = Vec::new();
    for seed in 0..ROUNDS {
        let Some(token) = actor.put(seed, LENGTH) else { break };
        handed.extend(store.acquire(&token).unwrap().map(|lease| (seed, lease)));
        if actor.ask(&format!("acquire {}", written(&token))).is_none()
            || actor.ask(&format!("acquire {}", written(&lasting))).is_none()
            || actor.ask(&format!("release {}", token.id)).is_none()
            || actor.ask(&format!("release {}", lasting.id)).is_none()
            || actor.ask(&format!("discard {}", written(&token))).is_none()
        {
            break;
        }
        if seed % 3 == 0 {
            handed.clear();
        }
    }
    actor.tell("end, if you live");
    assert!(is_killed(&mut actor), "{point:?} is reached {count} times");
    let died = Instant::now();
    for (seed, lease) in &handed {
        assert!(seen(lease) == pattern(*seed, LENGTH) && lease.is_valid(), "{point:?}: a lease outlives the owner");
    }
    store.sweep();
    for (seed, lease) in handed {
        assert!(seen(&lease) == pattern(seed, LENGTH) && lease.release(false), "{point:?}: adopted");
    }
    assert_eq!(seen(&store.acquire(&lasting).unwrap().unwrap()), pattern(1, LENGTH));
    store.discard(&lasting);
    until("everything is freed", || {
        store.sweep();
        store.stats().payloads == 0 && place.files(".ctl").len() == 1 && place.files(".lease").len() == 1
    });
    let freed_after = died.elapsed();
    assert_eq!(place.files(".mdb").len(), 1);
    let again = put(&store, &pattern(9, LENGTH));
    assert_eq!(seen(&store.acquire(&again).unwrap().unwrap()), pattern(9, LENGTH));
    freed_after
}

fn points() -> impl Iterator<Item = Point> + Clone {
    Point::ALL.into_iter().filter(|point| *point != Point::FreeJudged)
}

#[test]
fn a_process_may_die_at_any_point_of_the_protocol() {
    for point in points() {
        dies_at(point, 1);
        dies_at(point, 3);
    }
}

/// Every point in turn, at a random time that it is reached.
#[test]
fn what_the_dead_held_is_freed_whenever_they_died() {
    let kills = std::env::var("PAYLOAD_KILLS").map_or(50, |kills| kills.parse().expect("PAYLOAD_KILLS is a number"));
    let mut random = 1_u64;
    let mut freed_after = Vec::new();
    for point in points().cycle().take(kills) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        freed_after.push(dies_at(point, 1 + (random >> 33) % COUNT_MAX));
    }
    freed_after.sort();
    let longest = freed_after.last().expect("one kill at least");
    let (longest, median) = (longest.as_millis(), freed_after[kills / 2].as_millis());
    println!("{kills} kills, all freed after {longest} ms at most, {median} ms in the median");
}

/// Nobody sweeps: the keeper of the owner finds out, with the terms that a host has.
#[test]
fn what_the_dead_held_is_freed_without_being_asked_for() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = Terms::default());
    let token = put(&owner, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &[]);
    assert_eq!(actor.ask(&format!("acquire {}", written(&token))).as_deref(), Some("held"));
    owner.discard(&token);
    assert_eq!(owner.stats().payloads, 1, "a living reader keeps it");
    actor.signal(libc::SIGKILL);
    let died = Instant::now();
    until("what the dead held is freed", || owner.stats().payloads == 0);
    println!("freed by the keeper after {} ms", died.elapsed().as_millis());
}
