//! Stores in a directory of their own, and processes that use them.
#![allow(dead_code)] // Each test file uses its part.

use millrace_lodge::{Faults, Format, Lease, Options, Rule, Store, Terms, Token};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub struct Place(pub PathBuf);

static PLACES: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// On a memory file system where there is one.
    pub fn new() -> Self {
        let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
        let name = format!("millrace-lodge-{}-{}", std::process::id(), PLACES.fetch_add(1, Ordering::Relaxed));
        Self(base.join(name))
    }

    pub fn open(&self, change: impl FnOnce(&mut Options)) -> Store {
        let mut options = Options { bytes_max: 64 << 20, terms: LONG, ..Options::default() };
        change(&mut options);
        Store::open(&self.0, options).unwrap()
    }

    /// Files of the store whose name ends so.
    pub fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let store = std::fs::read_dir(&self.0).unwrap().next().unwrap().unwrap().path();
        let files = std::fs::read_dir(store).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Leases that do not end during a test.
pub const LONG: Terms = Terms {
    lease: Duration::from_secs(3600),
    grace: Duration::from_secs(1800),
    age_max: Duration::from_secs(36_000),
    pin_max: Duration::from_secs(3600),
};

/// Of a process that stopped: its leases are never renewed.
pub const STOPPED: Terms =
    Terms { lease: Duration::from_millis(1), grace: Duration::ZERO, age_max: Duration::ZERO, pin_max: LONG.pin_max };

/// Of an owner that revokes at once what is past its deadline.
pub const STRICT: Terms = Terms { grace: Duration::ZERO, ..LONG };

pub fn off(rule: Option<Rule>) -> Faults {
    Faults { off: rule.into_iter().collect(), at: None }
}

pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed).wrapping_add((i >> 12) as u8)).collect()
}

pub fn put(store: &Store, bytes: &[u8]) -> Token {
    store.put(bytes, Format::Raw).unwrap().expect("room")
}

pub fn seen(lease: &Lease) -> Vec<u8> {
    // SAFETY: the lease is alive.
    unsafe { lease.bytes().as_ref() }.to_vec()
}

/// Writes other payloads where freed ones were.
pub fn overwrite(store: &Store, length: usize) -> Vec<Token> {
    (0..8).map(|seed| put(store, &pattern(200 + seed, length))).collect()
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process that does what it is told, line by line.
pub struct Actor {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Actor {
    pub fn start(place: &Place, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lodge-actor"));
        command.arg(&place.0).args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    pub fn tell(&mut self, line: &str) {
        // A dead actor answers nothing, which is what the test then sees.
        let _ = writeln!(self.input, "{line}");
    }

    /// The answer, or `None` when it died.
    pub fn ask(&mut self, line: &str) -> Option<String> {
        self.tell(line);
        self.hear()
    }

    pub fn hear(&mut self) -> Option<String> {
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.ends_with('\n').then(|| answer.trim_end().to_owned())
    }

    pub fn put(&mut self, seed: u8, length: usize) -> Option<Token> {
        self.ask(&format!("put {seed} {length}")).map(|answer| parse(&answer))
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child is ours and not yet waited for.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn written(token: &Token) -> String {
    let Token { store, id, entry, format, length, xxh3 } = token;
    format!("{store} {id} {entry} {} {length} {xxh3}", *format as u8)
}

pub fn parse(text: &str) -> Token {
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    let [store, id, entry, _, length, xxh3] = numbers[..] else { panic!("no token: {text}") };
    Token { store, id, entry: entry as u32, format: Format::Raw, length, xxh3 }
}
