//! A process that uses a store as it is told on standard input, line by line, and dies or stops where it is told. For tests.
//!
//! `lodge-actor DIR [--lease MS] [--at POINT[:COUNT] kill|stop]`

use millrace_lodge::{Faults, Format, Lease, Options, Point, Store, Terms, Token};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options { bytes_max: 64 << 20, ..Options::default() };
    let mut rest = args[1..].iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().expect("a value").as_str();
        match name.as_str() {
            "--lease" => options.terms = Terms::of(Duration::from_millis(value().parse().unwrap())),
            "--at" => options.faults = faults(value(), value()),
            other => panic!("unknown option {other}"),
        }
    }
    let store = Store::open(args[0].as_ref(), options).unwrap();
    let mut leases = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&store, &mut leases, &line.unwrap()));
        std::io::stdout().flush().unwrap();
    }
}

fn faults(at: &str, signal: &str) -> Faults {
    let (name, count) = at.split_once(':').unwrap_or((at, "1"));
    let count: u32 = count.parse().unwrap();
    let point = Point::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a point");
    let signal = if signal == "stop" { libc::SIGSTOP } else { libc::SIGKILL };
    let reached = AtomicU32::new(0);
    let at = move |here: Point| {
        if here == point && reached.fetch_add(1, Ordering::Relaxed) + 1 == count {
            // SAFETY: a plain call.
            unsafe { libc::raise(signal) };
        }
    };
    Faults { at: Some(Arc::new(at)), ..Faults::default() }
}

fn answer(store: &Store, leases: &mut HashMap<u64, Lease>, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        "put" => match store.put(&pattern(number(1) as u8, number(2) as usize), Format::Raw).unwrap() {
            Some(Token { store, id, entry, format, length, xxh3 }) => {
                format!("{store} {id} {entry} {} {length} {xxh3}", format as u8)
            }
            None => "full".into(),
        },
        "discard" => {
            store.discard(&token_from(&words[1..]));
            "discarded".into()
        }
        "acquire" => {
            let token = token_from(&words[1..]);
            let lease = store.acquire(&token).unwrap();
            let found = lease.is_some();
            leases.extend(lease.map(|lease| (token.id, lease)));
            if found { "held".into() } else { "miss".into() }
        }
        "sum" => {
            let lease = &leases[&number(1)];
            // SAFETY: the lease is alive.
            let bytes = unsafe { lease.bytes().as_ref() };
            let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            format!("{sum} {}", lease.is_valid())
        }
        "pin" => leases[&number(1)].pin().to_string(),
        "release" => leases.remove(&number(1)).expect("a lease").release(false).to_string(),
        "begin" => lmdb_writer::begin(words[1]).to_string(),
        "fork" => fork_child().to_string(),
        other => panic!("unknown command {other}"),
    }
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

/// A process that takes the writer's lock of an environment that is not its own.
mod lmdb_writer {
    use std::ffi::{CString, c_char, c_int, c_uint, c_void};
    use std::ptr;

    unsafe extern "C" {
        fn mdb_env_create(env: *mut *mut c_void) -> c_int;
        fn mdb_env_open(env: *mut c_void, path: *const c_char, flags: c_uint, mode: c_uint) -> c_int;
        fn mdb_txn_begin(env: *mut c_void, parent: *mut c_void, flags: c_uint, txn: *mut *mut c_void) -> c_int;
    }

    const NO_SUBDIR: c_uint = 0x4000;

    /// Begins a write transaction that lasts as long as the process.
    pub fn begin(path: &str) -> c_int {
        let (mut env, mut txn) = (ptr::null_mut(), ptr::null_mut());
        let path = CString::new(path).expect("a path");
        // SAFETY: plain calls with valid pointers.
        unsafe {
            mdb_env_create(&mut env)
                | mdb_env_open(env, path.as_ptr(), NO_SUBDIR, 0o600)
                | mdb_txn_begin(env, ptr::null_mut(), 0, &mut txn)
        }
    }
}
