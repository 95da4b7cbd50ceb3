//! The program that runs one calculator behind the C ABI for a host: loads its library, then answers batches until the host
//! is gone. What the library does to this process is the host's to notice.

mod channel;
mod worker;

use channel::Channel;
use std::process::ExitCode;
use std::{env, io};
use worker::Worker;

fn main() -> ExitCode {
    let Ok(path) = env::var("MILLRACE_SOCKET") else {
        eprintln!("MILLRACE_SOCKET is not set: this program is started by a Millrace host");
        return ExitCode::FAILURE;
    };
    match Channel::connect(&path).and_then(|channel| Worker::new(channel).serve()) {
        Ok(()) => ExitCode::SUCCESS,
        // The host is gone, and with it the work.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
