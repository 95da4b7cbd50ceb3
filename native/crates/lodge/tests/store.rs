//! What a store does for its users.
#![cfg(feature = "faults")]

mod common;

use common::{Actor, Place, STOPPED, STRICT, free_by_force, pattern, put, seen, sum_of, until, written};
use millrace_lodge::{Format, Lease, Point, Token};
use std::sync::{Arc, Mutex, OnceLock};

const MIB: usize = 1 << 20;

#[test]
fn hands_over_payloads_of_any_size_on_a_64_byte_boundary() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    for length in [0, 1, 63, 4000, 4048, 4049, 70_000, 5 * MIB] {
        let bytes = pattern(7, length);
        let token = owner.put(&bytes, Format::Arrow).unwrap().unwrap();
        assert_eq!((token.store, token.length, token.format), (reader.id(), length as u64, Format::Arrow));
        let lease = reader.acquire(&token).unwrap().unwrap();
        assert_eq!(lease.bytes().cast::<u8>().as_ptr() as usize % 64, 0);
        assert!(seen(&lease) == bytes && lease.is_valid());
        assert!(lease.release(false) && !lease.is_valid() && !lease.release(false));
    }
}

#[test]
fn frees_what_nobody_holds_and_never_gives_an_id_again() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let mut ids = std::collections::HashSet::new();
    for round in 0..300 {
        let token = put(&owner, &pattern(round as u8, 100_000));
        let lease = reader.acquire(&token).unwrap().unwrap();
        owner.discard(&token);
        assert_eq!(seen(&lease), pattern(round as u8, 100_000));
        assert!(lease.release(false));
        owner.sweep();
        assert!(reader.acquire(&token).unwrap().is_none());
        assert!(ids.insert(token.id));
    }
    assert_eq!((owner.stats().payloads, owner.stats().bytes, reader.stats().leases), (0, 0, 0));
    assert!(owner.stats().file_bytes <= 2 * MIB as u64, "{:?}", owner.stats());
}

#[test]
fn whoever_attached_after_a_scan_is_seen_by_the_next_one() {
    let place = Place::new();
    let owner = place.open(|_| ());
    owner.discard(&put(&owner, &pattern(0, 9000)));
    for seed in 1..4 {
        let reader = place.open(|_| ());
        let tokens: Vec<_> = (0..5).map(|part| put(&owner, &pattern(seed + 4 * part, 9000))).collect();
        let leases: Vec<_> = tokens.iter().map(|token| reader.acquire(token).unwrap().unwrap()).collect();
        for token in &tokens {
            owner.discard(token);
        }
        common::overwrite(&owner, 9000);
        for (part, lease) in leases.into_iter().enumerate() {
            assert!(seen(&lease) == pattern(seed + 4 * part as u8, 9000) && lease.release(false));
        }
    }
}

#[test]
fn resolves_no_token_that_it_did_not_give() {
    let place = Place::new();
    let store = place.open(|_| ());
    let token = put(&store, b"a payload");
    let forged = [
        Token { store: token.store ^ 1, ..token },
        Token { id: token.id ^ 1, ..token },
        Token { id: token.id ^ (1 << 59), ..token },
        Token { id: token.id ^ (1 << 40), ..token },
        Token { entry: token.entry ^ 1, ..token },
        Token { entry: u32::MAX, ..token },
        Token { length: token.length + 1, ..token },
        Token { length: u64::MAX, ..token },
        Token { xxh3: token.xxh3 ^ 1, ..token },
        Token { format: Format::Npy, ..token },
    ];
    for forged in forged {
        assert!(store.acquire(&forged).unwrap().is_none(), "{forged:?}");
    }
    assert_eq!(store.stats().leases, 0);
    let lease = store.acquire(&token).unwrap();
    let twin = put(&store, b"a payload");
    assert!(store.acquire(&Token { entry: twin.entry, ..token }).unwrap().is_none(), "not even while it is held");
    assert!(lease.is_some_and(|lease| lease.release(false)));
}

#[test]
fn never_follows_an_entry_out_of_its_file() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let token = put(&owner, b"a payload");
    let control = place.files(".ctl").into_iter().find(|path| path.ends_with("env-1.ctl")).unwrap();
    let row = 4096 + u64::from(token.entry) * 64 + 8;
    for offset in [1 << 40, 64 << 20 | 16, 17, u64::MAX - 15] {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new().write(true).open(&control).unwrap();
        file.write_all_at(&u64::to_le_bytes(offset), row).unwrap();
        assert!(reader.acquire(&token).unwrap().is_none(), "{offset}");
    }
}

#[test]
fn says_that_there_is_no_room_and_has_some_again() {
    let place = Place::new();
    let store = place.open(|options| options.bytes_max = 1000);
    let first = put(&store, &[1; 600]);
    assert_eq!(store.put(&[2; 600], Format::Raw).unwrap(), None);
    put(&store, &[3; 300]);
    store.discard(&first);
    put(&store, &[4; 600]);
    assert_eq!(store.put(&[5; 2000], Format::Raw).unwrap(), None);
}

#[test]
fn a_full_map_frees_recycles_and_grows_before_it_refuses() {
    let place = Place::new();
    let store = place.open(|options| options.bytes_max = 40 << 20);
    let tokens: Vec<_> = (0..40).map(|seed| put(&store, &pattern(seed, MIB))).collect();
    for round in 0..200u32 {
        let token = tokens[0];
        let mut kept = tokens.clone();
        store.discard(&kept[(round % 40) as usize]);
        kept[(round % 40) as usize] = token;
        if store.put(&pattern(round as u8, MIB), Format::Raw).unwrap().is_none() {
            assert!(store.stats().bytes > 39 << 20, "{:?}", store.stats());
        }
    }
    assert!(store.stats().file_bytes <= 120 << 20);
}

#[test]
fn a_machine_wide_budget_stops_growth() {
    let place = Place::new();
    let store = place.open(|options| options.machine_bytes_max = 24 << 20);
    let mut put = 0;
    while store.put(&[7; MIB], Format::Raw).unwrap().is_some() {
        put += 1;
    }
    assert!((4..24).contains(&put), "{put} payloads of 1 MiB");
}

#[test]
fn nor_does_a_payload_that_needs_more_than_a_step_go_beyond_that_budget() {
    let place = Place::new();
    let store = place.open(|options| options.machine_bytes_max = 36 << 20);
    put(&store, &vec![7; 12 * MIB]);
    assert_eq!(store.put(&vec![8; 16 * MIB], Format::Raw).unwrap(), None);
    let taken: u64 = place.files("").iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(taken <= 36 << 20, "{taken}");
}

#[test]
fn a_reader_without_a_slot_copies() {
    let place = Place::new();
    let owner = place.open(|_| ());
    let reader = place.open(|options| options.slots = 3);
    let tokens: Vec<_> = (0..5).map(|seed| put(&owner, &pattern(seed, 10_000))).collect();
    let leases: Vec<_> = tokens.iter().map(|token| reader.acquire(token).unwrap().unwrap()).collect();
    for token in &tokens {
        owner.discard(token);
    }
    owner.sweep();
    assert_eq!(owner.stats().payloads, 2, "two slots, and copies of the rest");
    for (seed, lease) in leases.iter().enumerate() {
        assert!(seen(lease) == pattern(seed as u8, 10_000) && lease.is_valid() && lease.pin());
        lease.unpin();
        assert!(lease.release(false));
    }
}

#[test]
fn a_reader_that_leases_as_many_bytes_as_it_may_copies() {
    let place = Place::new();
    let owner = place.open(|_| ());
    let reader = place.open(|options| options.leased_bytes_max = 25_000);
    let tokens: Vec<_> = (0..4).map(|seed| put(&owner, &pattern(seed, 10_000))).collect();
    let mut leases: Vec<_> = tokens.iter().map(|token| reader.acquire(token).unwrap().unwrap()).collect();
    for token in &tokens[..3] {
        owner.discard(token);
    }
    owner.sweep();
    assert_eq!(owner.stats().payloads, 3, "two of them leased, and the last, which is its owner's");
    for (seed, lease) in leases.iter().enumerate() {
        assert!(seen(lease) == pattern(seed as u8, 10_000) && lease.is_valid());
    }
    assert!(leases.remove(0).release(false));
    let again = reader.acquire(&tokens[3]).unwrap().unwrap();
    owner.discard(&tokens[3]);
    owner.sweep();
    assert_eq!(owner.stats().payloads, 2, "and when it has let go of one, it leases again");
    assert!(again.release(false));
}

/// Those who were known take it before the owner lets go, the others get the token from one of them.
#[test]
fn eight_processes_read_what_is_there_as_long_as_one_of_them_does() {
    let place = Place::new();
    let owner = place.open(|_| ());
    let token = put(&owner, &pattern(1, 100_000));
    let mut actors: Vec<_> = (0..8).map(|_| Actor::start(&place, &["--lease", "3600000"])).collect();
    let (acquire, release) = (format!("acquire {}", written(&token)), format!("release {}", token.id));
    let (known, late) = actors.split_at_mut(4);
    for actor in &mut *known {
        assert_eq!(actor.ask(&acquire).as_deref(), Some("held"));
    }
    owner.discard(&token);
    common::overwrite(&owner, 100_000);
    for actor in &mut *late {
        assert_eq!(actor.ask(&acquire).as_deref(), Some("held"), "handed on by a reader");
    }
    for actor in &mut *known {
        assert_eq!(actor.ask(&release).as_deref(), Some("true"));
    }
    owner.sweep();
    let sums: std::collections::HashSet<_> =
        late.iter_mut().map(|actor| actor.ask(&format!("sum {}", token.id)).unwrap()).collect();
    assert_eq!(sums.into_iter().collect::<Vec<_>>(), [format!("{} true", sum_of(&pattern(1, 100_000)))]);
    for actor in &mut *late {
        assert_eq!(actor.ask(&release).as_deref(), Some("true"));
    }
    owner.sweep();
    assert_eq!(owner.stats().payloads, 8, "only what was put since");
    assert_eq!(known[0].ask(&acquire).as_deref(), Some("miss"));
}

/// To the owner it is nobody's while he looks; who asks meanwhile is told of a gap, and it is there again when he has looked.
#[test]
fn a_payload_that_a_reader_hands_on_while_it_is_condemned_is_missed_once_and_not_lost() {
    let place = Place::new();
    let second = Arc::new(place.open(|_| ()));
    let meanwhile: Arc<Mutex<Option<bool>>> = Arc::default();
    let token: Arc<OnceLock<Token>> = Arc::default();
    let holder = Arc::new(place.open(|_| ()));
    let held: Arc<Mutex<Option<Lease>>> = Arc::default();
    let (asked, named, other, first, lease) =
        (meanwhile.clone(), token.clone(), second.clone(), holder.clone(), held.clone());
    let owner = place.open(|options| {
        options.faults.at = Some(Arc::new(move |here| {
            let Some(token) = named.get() else { return };
            match here {
                // After the scan that spares what is in use, before it is condemned.
                Point::FreeScanned => *lease.lock().unwrap() = first.acquire(token).unwrap(),
                Point::FreeCondemned => *asked.lock().unwrap() = Some(other.acquire(token).unwrap().is_some()),
                _ => (),
            }
        }));
    });
    token.set(put(&owner, &pattern(1, 100_000))).unwrap();
    owner.discard(token.get().unwrap());
    assert_eq!(*meanwhile.lock().unwrap(), Some(false));
    assert!(held.lock().unwrap().as_ref().is_some_and(|lease| lease.is_valid() && seen(lease) == pattern(1, 100_000)));
    assert!(second.acquire(token.get().unwrap()).unwrap().is_some_and(|lease| seen(&lease) == pattern(1, 100_000)));
}

#[test]
fn copies_small_payloads_that_are_there() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let token = put(&owner, &pattern(1, 5000));
    let scribbled = reader.acquire(&token).unwrap().unwrap();
    // SAFETY: private memory of this reference.
    unsafe { scribbled.bytes().as_mut().fill(0xee) };
    let mut bytes = vec![0; 5000];
    assert!(
        reader.copy(&token, &mut bytes).unwrap() && bytes == pattern(1, 5000),
        "what is written to a lease is not in it"
    );
    drop(scribbled);
    assert!(!reader.copy(&token, &mut [0; 4999]).unwrap());
    assert!(!reader.copy(&Token { xxh3: token.xxh3 ^ 1, ..token }, &mut bytes).unwrap());
    assert_eq!(reader.stats().leases, 0);
    owner.discard(&token);
    assert!(!reader.copy(&token, &mut bytes).unwrap());
    assert_eq!(owner.stats().payloads, 0);
}

#[test]
fn keeps_references_apart_and_forgets_what_they_wrote() {
    let place = Place::new();
    let store = place.open(|_| ());
    let peer = place.open(|_| ());
    let bytes = pattern(1, 3 * MIB);
    let token = put(&store, &bytes);
    let scribbled = store.acquire(&token).unwrap().unwrap();
    let (same_process, other) = (store.acquire(&token).unwrap().unwrap(), peer.acquire(&token).unwrap().unwrap());
    // SAFETY: private memory of this reference. Pages before and behind the payload are its own too.
    unsafe {
        let start = scribbled.bytes().cast::<u8>().as_ptr().sub(48);
        start.write_bytes(0xee, 48 + bytes.len());
    }
    assert!(seen(&same_process) == bytes && seen(&other) == bytes);
    assert!(scribbled.is_valid(), "a reader that writes loses nothing");
    scribbled.release(false);
    assert!(seen(&store.acquire(&token).unwrap().unwrap()) == bytes, "the next reader sees the payload");
}

#[test]
fn what_escapes_a_release_turns_into_zeros() {
    let place = Place::new();
    let store = place.open(|_| ());
    let token = put(&store, &pattern(1, 100_000));
    let first = store.acquire(&token).unwrap().unwrap();
    let second = store.acquire(&token).unwrap().unwrap();
    assert!(first.release(true) && second.release(true));
    assert!(seen(&first).iter().chain(&seen(&second)).all(|byte| *byte == 0));
    let again = store.acquire(&token).unwrap().unwrap();
    assert_eq!(seen(&again), pattern(1, 100_000));
    drop((first, second));
    drop(again);
    assert_eq!(seen(&store.acquire(&token).unwrap().unwrap()), pattern(1, 100_000));
}

#[test]
fn a_payload_written_in_place_is_seen_once_it_is_published() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let bytes = pattern(5, 2 * MIB);
    let reservation = owner.reserve(bytes.len() as u64, Format::Npy).unwrap().unwrap();
    // SAFETY: nobody else has the bytes of a reservation.
    unsafe { reservation.bytes().as_mut().copy_from_slice(&bytes) };
    owner.sweep();
    assert_eq!(owner.stats().payloads, 1);
    let token = reservation.publish().unwrap();
    let lease = reader.acquire(&token).unwrap().unwrap();
    assert!(seen(&lease) == bytes && token.format == Format::Npy);
    drop(owner.reserve(1000, Format::Raw).unwrap());
    assert_eq!(owner.stats().payloads, 1, "what is given up is freed");
}

#[test]
fn layout_is_what_other_languages_read() {
    use std::os::unix::fs::FileExt;
    let place = Place::new();
    let store = place.open(|_| ());
    let tokens: Vec<_> = (0..50).map(|seed| put(&store, &pattern(seed, 5000 + seed as usize * 700))).collect();
    for round in 0..10_000 {
        let foreign = put(&store, &[round as u8; 9000]);
        store.discard(&foreign);
    }
    let control = std::fs::File::open(&place.files("env-1.ctl")[0]).unwrap();
    let data = std::fs::File::open(&place.files("env-1.mdb")[0]).unwrap();
    for (seed, token) in tokens.iter().enumerate() {
        let mut row = [0; 24];
        control.read_exact_at(&mut row, 4096 + u64::from(token.entry) * 64).unwrap();
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap());
        assert_eq!((word(0), word(16)), (token.id << 4 | 2, token.length));
        assert_eq!(word(8) % 4096, 16);
        let mut page = [0; 64];
        data.read_exact_at(&mut page, word(8) - 16).unwrap();
        assert_eq!(u64::from_le_bytes(page[..8].try_into().unwrap()) * 4096 + 16, word(8), "the page knows its number");
        assert_eq!((&page[16..20], &page[24..32]), (b"LODG".as_slice(), token.id.to_le_bytes().as_slice()));
        let mut payload = vec![0; token.length as usize];
        data.read_exact_at(&mut payload, word(8) + 48).unwrap();
        assert_eq!(payload, pattern(seed as u8, token.length as usize));
    }
}

#[test]
fn tools_find_the_environment_in_use() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let _store = place.open(|_| ());
    let inode = std::fs::metadata(&place.files(".mdb-lock")[0]).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let is_ours = |line: &&str| line.contains("POSIX") && line.contains(&format!(":{inode} "));
    assert!(locks.lines().any(|line| is_ours(&line)), "{inode} in {locks}");
}

#[test]
fn rotation_drains_the_old_environment_under_its_readers() {
    let place = Place::new();
    let (owner, reader) = (place.open(|options| options.bytes_max = 256 << 20), place.open(|_| ()));
    let tokens: Vec<_> = (0..100).map(|seed| put(&owner, &pattern(seed, MIB))).collect();
    let lease = reader.acquire(&tokens[3]).unwrap().unwrap();
    assert!(owner.stats().file_bytes > 64 << 20);
    for token in &tokens[1..] {
        owner.discard(token);
    }
    owner.sweep();
    assert!(owner.stats().file_bytes < 8 << 20, "a fresh environment: {:?}", owner.stats());
    use std::os::unix::fs::MetadataExt;
    let old_bytes = || std::fs::metadata(&place.files("env-1.mdb")[0]).unwrap().blocks() * 512;
    owner.sweep();
    assert!(seen(&lease) == pattern(3, MIB) && lease.is_valid());
    assert!(seen(&reader.acquire(&tokens[0]).unwrap().unwrap()) == pattern(0, MIB), "old tokens stay good");
    assert!(old_bytes() < 64 << 20, "{}", old_bytes());
    assert!(lease.release(false));
    owner.discard(&tokens[0]);
    owner.sweep();
    assert!(place.files("env-1.mdb").is_empty() && place.files("env-1.ctl").is_empty());
    assert_eq!(owner.stats().payloads, 0);
}

#[test]
fn closing_frees_what_nobody_reads_and_leaves_the_rest_to_others() {
    let place = Place::new();
    let (owner, reader) = (place.open(|_| ()), place.open(|_| ()));
    let tokens = [put(&owner, &pattern(1, 9000)), put(&owner, &pattern(2, 9000))];
    let lease = reader.acquire(&tokens[0]).unwrap().unwrap();
    owner.close();
    assert!(owner.acquire(&tokens[0]).unwrap().is_none());
    assert!(reader.acquire(&tokens[1]).unwrap().is_none());
    assert!(seen(&lease) == pattern(1, 9000) && lease.is_valid());
    reader.sweep();
    assert!(seen(&lease) == pattern(1, 9000) && lease.release(false));
    reader.sweep();
    assert!(place.files("env-1.mdb").is_empty());
}

#[test]
fn lets_nobody_else_in() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _store = place.open(|_| ());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.0), 0o700);
    for file in place.files("") {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn other_boots_are_unlinked() {
    let place = Place::new();
    let old = place.0.join("0123456789abcdef0123456789abcdef-v1");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(old.join("env-1.mdb"), "left over").unwrap();
    std::fs::write(place.0.join("somebody's file"), "stays").unwrap();
    let _store = place.open(|_| ());
    assert!(!old.exists() && place.0.join("somebody's file").exists());
}

#[test]
fn a_payload_in_the_place_of_a_lost_one_shows_nothing_that_was_written_there() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = STRICT);
    let reader = place.open(|options| options.terms = STOPPED);
    let first = put(&owner, &pattern(1, 50_000));
    let lost = reader.acquire(&first).unwrap().unwrap();
    let at = lost.place().unwrap();
    // SAFETY: the lease is alive, and what is written to it is its own.
    unsafe { lost.bytes().as_mut() }.fill(0xee);
    free_by_force(&owner, &first);
    let lease = (2..30).find_map(|seed| {
        let token = put(&owner, &pattern(seed, 50_000));
        let lease = reader.acquire(&token).unwrap().unwrap();
        (lease.place().unwrap() == at).then_some((lease, seed))
    });
    let (lease, seed) = lease.expect("freed pages are used again");
    assert!(seen(&lease) == pattern(seed, 50_000) && lease.is_valid());
    assert!(!lost.release(true));
    assert!(seen(&lost) == [0; 50_000], "who reads on after a release sees zeros");
    assert!(seen(&lease) == pattern(seed, 50_000) && lease.release(false));
    drop(lost);
}

#[test]
fn a_pin_ends_with_its_reference_and_is_ended_by_no_other() {
    let place = Place::new();
    let owner = place.open(|options| options.terms = STRICT);
    let reader = place.open(|options| options.terms = STOPPED);
    let token = put(&owner, &pattern(1, 50_000));
    let [pinned, other] = [(); 2].map(|()| reader.acquire(&token).unwrap().unwrap());
    assert!(pinned.pin());
    other.unpin();
    owner.discard(&token);
    std::thread::sleep(STOPPED.lease * 5);
    owner.sweep();
    assert_eq!((owner.stats().payloads, other.is_valid()), (1, true));
    assert!(pinned.release(false));
    until("the other reference is past its deadline", || {
        owner.sweep();
        owner.stats().payloads == 0
    });
    assert!(!other.release(false));
}

#[test]
fn a_process_has_so_many_mappings_and_copies_beyond_them() {
    let place = Place::new();
    let store = place.open(|options| options.slots = 8);
    let token = put(&store, &pattern(1, 50_000));
    for _ in 0..2 {
        let leases: Vec<_> = (0..20).map(|_| store.acquire(&token).unwrap().unwrap()).collect();
        assert!(leases.iter().all(|lease| seen(lease) == pattern(1, 50_000) && lease.is_valid()));
        let copied = leases.iter().filter(|lease| lease.place().unwrap().is_none()).count();
        assert_eq!(copied, 20 - 8 - 1, "one reads through the mapping of the whole file");
        assert!(leases.iter().all(|lease| lease.release(false)));
    }
}

#[test]
fn what_is_too_large_for_any_environment_has_no_room() {
    let place = Place::new();
    let store = place.open(|options| options.bytes_max = 1 << 34);
    assert!(store.reserve(1 << 32, Format::Raw).unwrap().is_none());
    assert_eq!(store.stats().file_bytes, MIB as u64, "and none is made");
}
