//! The directory of the store: one for a boot and a format, with an id that is drawn by whoever comes first.

use crate::Error;
use crate::system::{self, Mapping, Writes};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Of everything below the directory; another one is another store.
const FORMAT: &str = "v2";
const PAGE_BYTES: i64 = crate::layout::PAGE_BYTES as i64;

/// Opens the store's directory and returns it with the store's number, which tokens carry.
pub fn store_directory(base: &Path) -> Result<(PathBuf, u64), Error> {
    // SAFETY: a plain call.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    if page_bytes != PAGE_BYTES {
        return Err(Error::Unsupported(format!("pages of {page_bytes} bytes")));
    }
    private_dir(base)?;
    let name = format!("{}-{FORMAT}", system::boot_id()?);
    remove_other_boots(base, &name)?;
    let dir = base.join(&name);
    private_dir(&dir)?;
    let identity = identity(&dir)?;
    let (id, namespace) = identity.split_once(' ').unwrap_or((&identity, ""));
    if namespace != system::time_namespace().to_string() {
        return Err(Error::Unsupported("the store belongs to another time namespace".into()));
    }
    Ok((dir, xxh3_64(format!("{name}/{id}").as_bytes())))
}

fn private_dir(path: &Path) -> Result<(), Error> {
    let failed = || format!("making {}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io(failed()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::io(failed()))
}

/// Whether a directory with this name holds a store: of some boot, in some format.
pub fn is_store_name(name: &str) -> bool {
    name.split_once("-v").is_some_and(|(boot, _)| boot.len() == 32)
}

/// After a restart nothing of before is opened; it is unlinked (P-R10).
fn remove_other_boots(base: &Path, own: &str) -> Result<(), Error> {
    for found in fs::read_dir(base).map_err(Error::io("listing the stores"))?.flatten() {
        let name = found.file_name();
        if name.to_str().is_some_and(|name| is_store_name(name) && name[..32] != own[..32]) {
            let _ = fs::remove_dir_all(found.path());
        }
    }
    Ok(())
}

/// Random number and time namespace of the store, as the first process wrote them.
fn identity(dir: &Path) -> Result<String, Error> {
    let path = dir.join("store");
    let draft = dir.join(format!("store-{:032x}.tmp", system::random_u128()?));
    let text = format!("{:032x} {}", system::random_u128()?, system::time_namespace());
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io("writing the store's id"))?;
    let linked = fs::hard_link(&draft, &path);
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::io("naming the store")(error)),
        _ => fs::read_to_string(&path).map_err(Error::io(path.display().to_string())),
    }
}

/// A number in a file of the store, which all processes count up and no crash turns back.
pub struct Counter {
    mapping: Mapping,
}

impl Counter {
    pub fn open(dir: &Path, name: &str) -> Result<Self, Error> {
        let path = dir.join(name);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(Error::io(path.display().to_string()))?;
        system::allocate(file.as_fd(), PAGE_BYTES as u64).map_err(Error::io("allocating a counter"))?;
        Ok(Self { mapping: Mapping::of(file.as_fd(), 0, PAGE_BYTES as usize, Writes::Shared)? })
    }

    pub fn value(&self) -> u64 {
        self.word().load(Ordering::SeqCst)
    }

    /// The value after it was counted up.
    pub fn count(&self) -> u64 {
        self.word().fetch_add(1, Ordering::SeqCst) + 1
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: a whole page, aligned, used as an atomic by everybody.
        unsafe { self.mapping.start().cast::<AtomicU64>().as_ref() }
    }
}

/// Takes a number that nobody had and nobody will have.
pub fn next_number(dir: &Path, counter: &str, max: u64) -> Result<u64, Error> {
    let number = Counter::open(dir, counter)?.count();
    if number > max { Err(Error::Unsupported(format!("the store gave out all {max} numbers"))) } else { Ok(number) }
}

/// Counts processes that attached, each once its file has its name and before it acquires: who scans and finds the value that it
/// listed the files at knows them all (P-R3).
pub fn attachments(dir: &Path) -> Result<Counter, Error> {
    Counter::open(dir, "attached")
}
