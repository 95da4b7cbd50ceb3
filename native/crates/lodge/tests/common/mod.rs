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
    Faults { off: rule.into_iter().collect(), ..Faults::default() }
}

pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed).wrapping_add((i >> 12) as u8)).collect()
}

pub fn put(store: &Store, bytes: &[u8]) -> Token {
    store.put(bytes, Format::Raw).unwrap().expect("room")
}

/// As actors write it.
pub fn sum_of(bytes: &[u8]) -> String {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte))).to_string()
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

const PROGRAM: &str = env!("CARGO_BIN_EXE_lodge-actor");

/// A process that does what it is told, line by line.
pub struct Actor {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Actor {
    pub fn start(place: &Place, options: &[&str]) -> Self {
        Self::spawn(Command::new(PROGRAM), place, options)
    }

    /// As the child of `unshare`, in namespaces of its own, where that is allowed.
    pub fn start_apart(place: &Place, namespaces: &[&str], options: &[&str]) -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--fork", "--kill-child"]).args(namespaces);
            command
        };
        let allowed = unshare().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !allowed {
            eprintln!("skipped: no {namespaces:?} here");
            return None;
        }
        let mut command = unshare();
        command.arg(PROGRAM);
        Some(Self::spawn(command, place, options))
    }

    fn spawn(mut command: Command, place: &Place, options: &[&str]) -> Self {
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

    /// Waits until the process has this state, as `/proc` says it: `T` for stopped, `Z` for a zombie.
    pub fn until_is(&self, state: char) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let is = || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(&format!(") {state} ")));
        until(&format!("the actor's state is {state}"), is);
    }

    /// True when it waits for a lock of another process before it answers. Its other thread must not need its locks meanwhile.
    pub fn until_answered_or_waiting(&self) -> bool {
        let mut waits = false;
        until("the actor answers or waits", || {
            waits = self.is_in(libc::SYS_futex);
            waits || self.has_answered()
        });
        waits
    }

    fn is_in(&self, call: libc::c_long) -> bool {
        let call_now = std::fs::read_to_string(format!("/proc/{}/syscall", self.child.id())).unwrap();
        call_now.starts_with(&format!("{call} "))
    }

    fn has_answered(&self) -> bool {
        use std::os::fd::AsRawFd;
        let output = self.output.get_ref().as_raw_fd();
        let mut poll = libc::pollfd { fd: output, events: libc::POLLIN, revents: 0 };
        // SAFETY: one whole entry.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
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

/// Wrong bytes that their reader takes for right.
pub fn is_deceived(lease: &Lease, expected: &[u8]) -> bool {
    let bytes = seen(lease);
    lease.is_valid() && bytes != expected
}

/// A process that holds the payload and was stopped.
pub fn stopped_holder(place: &Place, token: &Token) -> Actor {
    let mut reader = Actor::start(place, &["--lease", "20"]);
    assert_eq!(reader.ask(&format!("acquire {}", written(token))).as_deref(), Some("held"));
    reader.signal(libc::SIGSTOP);
    reader.until_is('T');
    reader
}

/// Frees the payload as soon as the leases of those that are stopped may be revoked.
pub fn free_by_force(owner: &Store, token: &Token) {
    owner.discard(token);
    until("the lease is revoked", || {
        owner.sweep();
        owner.stats().payloads == 0
    });
}
