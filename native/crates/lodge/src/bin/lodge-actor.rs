//! A process that uses a store as it is told on standard input, line by line, and dies or stops where it is told. For tests.
//!
//! `lodge-actor DIR [--lease MS] [--at POINT[:COUNT] kill|stop] [--off RULE]`

use millrace_lodge::{Format, Lease, Options, Point, Reservation, Rule, Store, Terms, Token};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Rules that a test switches off in a process of its own.
const RULES: [Rule; 2] = [Rule::NoReadTransaction, Rule::OwnWriterOnly];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options { bytes_max: 64 << 20, ..Options::default() };
    let mut rest = args[1..].iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().expect("a value").as_str();
        match name.as_str() {
            "--lease" => options.terms = Terms::of(Duration::from_millis(value().parse().unwrap())),
            "--at" => options.faults.at = Some(signalling(value(), value())),
            "--off" => {
                let name = value();
                options.faults.off.insert(RULES.into_iter().find(|rule| format!("{rule:?}") == name).expect("a rule"));
            }
            other => panic!("unknown option {other}"),
        }
    }
    let store = match Store::open(args[0].as_ref(), options) {
        Ok(store) => store,
        Err(error) => return println!("{error}"),
    };
    let mut user = User { store, leases: HashMap::new(), writing: None };
    for line in std::io::stdin().lock().lines() {
        println!("{}", user.answer(&line.unwrap()));
        std::io::stdout().flush().unwrap();
    }
}

fn signalling(at: &str, signal: &str) -> Arc<dyn Fn(Point) + Send + Sync> {
    let (name, count) = at.split_once(':').unwrap_or((at, "1"));
    let count: u32 = count.parse().unwrap();
    let point = Point::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a point");
    let signal = if signal == "stop" { libc::SIGSTOP } else { libc::SIGKILL };
    let reached = AtomicU32::new(0);
    Arc::new(move |here: Point| {
        if here == point && reached.fetch_add(1, Ordering::Relaxed) + 1 == count {
            raise(signal);
        }
    })
}

fn raise(signal: libc::c_int) {
    // SAFETY: a plain call.
    unsafe { libc::raise(signal) };
}

struct User {
    store: Store,
    leases: HashMap<u64, Lease>,
    writing: Option<Reservation>,
}

impl User {
    fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "put" => {
                let put = self.store.put(&pattern(number(1) as u8, number(2) as usize), Format::Raw);
                written(put.unwrap())
            }
            "write" => self.write(number(1) as u8, number(2)),
            "publish" => written(self.writing.take().expect("a reservation").publish()),
            "discard" => {
                self.store.discard(&token_from(&words[1..]));
                "discarded".into()
            }
            "acquire" => {
                let token = token_from(&words[1..]);
                let lease = self.store.acquire(&token).unwrap();
                let found = lease.is_some();
                self.leases.extend(lease.map(|lease| (token.id, lease)));
                if found { "held".into() } else { "miss".into() }
            }
            "sum" => {
                let lease = &self.leases[&number(1)];
                let sum = sum(bytes_of(lease));
                format!("{sum} {}", lease.is_valid())
            }
            "step" => self.step(&self.leases[&number(1)], words[2]),
            "pin" => self.leases[&number(1)].pin().to_string(),
            "release" => self.leases.remove(&number(1)).expect("a lease").release(false).to_string(),
            "fork" => fork_child().to_string(),
            other => panic!("unknown command {other}"),
        }
    }

    /// Writes a payload in place, and stops in the middle.
    fn write(&mut self, seed: u8, length: u64) -> String {
        let reservation = self.store.reserve(length, Format::Raw).unwrap().expect("room");
        let bytes = pattern(seed, length as usize);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        // SAFETY: nobody else has the bytes of a reservation.
        let room = unsafe { reservation.bytes().as_mut() };
        room[..first.len()].copy_from_slice(first);
        raise(libc::SIGSTOP);
        room[first.len()..].copy_from_slice(second);
        self.writing = Some(reservation);
        "written".into()
    }

    /// What a step appends: encoded first, then validated (P-R6). It stops before the question or behind it.
    fn step(&self, lease: &Lease, stop: &str) -> String {
        let encoded = bytes_of(lease).to_vec();
        if stop == "before" {
            raise(libc::SIGSTOP);
        }
        let valid = lease.is_valid();
        if stop == "behind" {
            raise(libc::SIGSTOP);
        }
        format!("{} {valid}", sum(&encoded))
    }
}

fn bytes_of(lease: &Lease) -> &[u8] {
    // SAFETY: the lease is alive.
    unsafe { lease.bytes().as_ref() }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fn written(token: Option<Token>) -> String {
    let Some(Token { store, id, entry, format, length, xxh3 }) = token else { return "full".into() };
    format!("{store} {id} {entry} {} {length} {xxh3}", format as u8)
}

fn token_from(words: &[&str]) -> Token {
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let (store, id, entry, length, xxh3) = (number(0), number(1), number(2) as u32, number(4), number(5));
    Token { store, id, entry, format: Format::Raw, length, xxh3 }
}

/// A child that is forked and never becomes another program.
fn fork_child() -> libc::pid_t {
    // SAFETY: the child only sleeps.
    unsafe {
        match libc::fork() {
            0 => loop {
                libc::pause();
            },
            child => child,
        }
    }
}

fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed).wrapping_add((i >> 12) as u8)).collect()
}
