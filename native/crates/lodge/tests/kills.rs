//! Processes that die at each line of the protocol: nothing that others see is wrong, and everything is freed.
#![cfg(feature = "faults")]

mod common;

use common::{Actor, Place, pattern, put, seen, until, written};
use millrace_lodge::Point;
use std::os::unix::process::ExitStatusExt;

const LENGTH: usize = 30_000;

fn is_killed(actor: &mut Actor) -> bool {
    actor.child.wait().unwrap().signal() == Some(libc::SIGKILL)
}

/// A producer and reader of its own that dies at the point, reached for the `count`th time.
fn dies_at(point: Point, count: u32) {
    let place = Place::new();
    let store = place.open(|_| ());
    let lasting = put(&store, &pattern(1, LENGTH));
    let mut actor = Actor::start(&place, &["--at", &format!("{point:?}:{count}"), "kill"]);
    let mut handed = Vec::new();
    for seed in 0..20 {
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
    assert!(is_killed(&mut actor), "{point:?} is reached");
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
    assert_eq!(place.files(".mdb").len(), 1);
    let again = put(&store, &pattern(9, LENGTH));
    assert_eq!(seen(&store.acquire(&again).unwrap().unwrap()), pattern(9, LENGTH));
}

#[test]
fn a_process_may_die_at_any_point_of_the_protocol() {
    for point in Point::ALL.into_iter().filter(|point| *point != Point::FreeJudged) {
        dies_at(point, 1);
        dies_at(point, 3);
    }
}
