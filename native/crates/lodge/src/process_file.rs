//! The slots of one attached process, and the lock that says whether it lives (P-R1, P-R11).

use crate::Error;
use crate::layout::Slot;
use crate::place::attachments;
use crate::system;
use crate::table::Table;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"LODGPRC2");
const SUFFIX: &str = ".lease";

/// Words of the header: who it is, for people and for killing only.
const PID: usize = 1;
const START_TIME: usize = 2;
const BYTES_HELD: usize = 3;
/// Slots from this one on never named anything.
const SLOTS_USED: usize = 4;
/// In which its pid and start time mean anything.
const PID_NAMESPACE: usize = 5;

/// Opens a file of its own to carry a life lock: a mapping must never hold the same open file description.
pub fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new().read(true).write(true).open(path).map_err(Error::io(path.display().to_string()))
}

/// This process as others see it. Its locks and leases end with it.
pub struct ProcessFile {
    path: PathBuf,
    table: Table<Slot>,
    life: Life,
}

impl ProcessFile {
    /// The file appears under its name only when it is whole and locked.
    pub fn create(dir: &Path, number: u64, slots: usize) -> Result<Self, Error> {
        let draft = dir.join(format!("proc-{number}.tmp"));
        let path = dir.join(format!("proc-{number}{SUFFIX}"));
        let pid = std::process::id();
        // By `self`: the /proc that is mounted may be another namespace's, where the pid is somebody else's.
        let start_time = system::start_time("self").unwrap_or(0);
        let header = [MAGIC, u64::from(pid), start_time, 0, 0, system::pid_namespace()];
        let table = Table::create(&draft, slots, &header)?;
        let life = Life::take(&draft)?;
        fs::rename(&draft, &path).map_err(Error::io("rename"))?;
        attachments(dir)?.count();
        Ok(Self { path, table, life })
    }

    pub fn slots(&self) -> &[Slot] {
        self.table.rows()
    }

    /// To be called before the slot names anything: those who scan look no further than the last one in use.
    pub fn use_slot(&self, index: usize) -> &Slot {
        let used = &self.table.header()[SLOTS_USED];
        if used.load(Ordering::Relaxed) <= index as u64 {
            used.fetch_max(index as u64 + 1, Ordering::Release);
        }
        &self.slots()[index]
    }

    pub fn bytes_held(&self) -> &AtomicU64 {
        &self.table.header()[BYTES_HELD]
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ProcessFile {
    fn drop(&mut self) {
        // Whoever mapped it sees no lease, and soon no lock.
        for slot in self.slots() {
            slot.word.store(0, Ordering::Release);
        }
        let _ = fs::remove_file(&self.path);
        self.life.end();
    }
}

/// The process file of another process.
pub struct Peer {
    name: String,
    table: Table<Slot>,
    file: File,
}

impl Peer {
    /// Whether a file of the store's directory is one.
    pub fn is_named(name: &str) -> bool {
        name.starts_with("proc-") && name.ends_with(SUFFIX)
    }

    /// `None` when it is gone.
    pub fn open(dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        let path = dir.join(name);
        let Some(table) = Table::open(&path, MAGIC)? else { return Ok(None) };
        match open_lock(&path) {
            Ok(file) => Ok(Some(Self { name: name.into(), table, file })),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that may name something.
    pub fn slots(&self) -> &[Slot] {
        let used = self.table.header()[SLOTS_USED].load(Ordering::Acquire);
        let rows = self.table.rows();
        &rows[..rows.len().min(used as usize)]
    }

    pub fn pid(&self) -> u32 {
        self.table.header()[PID].load(Ordering::Relaxed) as u32
    }

    pub fn is_alive(&self) -> bool {
        system::is_locked(&self.file)
    }

    /// Ends the process, if it is still the one that attached and its pid is one of ours. Attaching is consent.
    pub fn kill(&self) {
        let pid = self.pid();
        let namespace = self.table.header()[PID_NAMESPACE].load(Ordering::Relaxed);
        if pid == std::process::id() || namespace != system::pid_namespace() {
            return;
        }
        let started = self.table.header()[START_TIME].load(Ordering::Relaxed);
        system::kill(pid, || self.is_alive() && system::start_time(&pid.to_string()) == Some(started));
    }
}

const LIVES_MAX: usize = 256;
/// Descriptors of all life locks, which a child that is forked without exec must not keep.
static LIVES: [AtomicI32; LIVES_MAX] = [const { AtomicI32::new(-1) }; LIVES_MAX];
static AT_FORK: Once = Once::new();

extern "C" fn close_lives() {
    for life in &LIVES {
        let fd = life.load(Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: in the child only this handler knows the descriptor.
            unsafe { libc::close(fd) };
        }
    }
}

/// A lock that this process holds until it ends.
pub struct Life {
    file: File,
}

impl Life {
    pub fn take(path: &Path) -> Result<Self, Error> {
        let taken = Self::try_take(path)?;
        taken.ok_or_else(|| Error::Damaged(format!("{} is locked by another process", path.display())))
    }

    /// `None` when another process has it.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Error> {
        let file = open_lock(path)?;
        if !system::lock_for_life(&file).map_err(Error::io("locking"))? {
            return Ok(None);
        }
        let life = Self { file };
        // SAFETY: the handler only closes descriptors.
        AT_FORK.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(close_lives));
        });
        let fd = life.fd();
        let claimed =
            LIVES.iter().any(|life| life.compare_exchange(-1, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok());
        if claimed { Ok(Some(life)) } else { Err(Error::Unsupported("too many payload stores in one process".into())) }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    fn fd(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.file.as_raw_fd()
    }

    fn end(&self) {
        let fd = self.fd();
        for life in &LIVES {
            let _ = life.compare_exchange(fd, -1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}
