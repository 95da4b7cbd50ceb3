//! Where a test may stop the protocol, and which of its rules it may switch off to show what each of them prevents. Without
//! the feature `faults` all of this is nothing.

/// A line of the algorithms of the payload protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    PutReserved,
    PutFilled,
    PutCommitted,
    PutLive,
    AcquireLooked,
    AcquireDated,
    AcquirePublished,
    AcquireDone,
    ReleaseDetached,
    ReleaseFreed,
    ReleaseDone,
    FreeScanned,
    FreeCondemned,
    FreeJudged,
    FreeDecided,
    FreeDeleted,
    FreeDone,
}

impl Point {
    pub const ALL: [Self; 17] = [
        Self::PutReserved,
        Self::PutFilled,
        Self::PutCommitted,
        Self::PutLive,
        Self::AcquireLooked,
        Self::AcquireDated,
        Self::AcquirePublished,
        Self::AcquireDone,
        Self::ReleaseDetached,
        Self::ReleaseFreed,
        Self::ReleaseDone,
        Self::FreeScanned,
        Self::FreeCondemned,
        Self::FreeJudged,
        Self::FreeDecided,
        Self::FreeDeleted,
        Self::FreeDone,
    ];
}

/// A rule of the payload protocol. Off, the store does what the rule forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// P-R1 off: what a dead process held stays held, as a shared count would.
    VoidWhenDead,
    /// P-R2 off: looks at the entry, then publishes the slot.
    PublishThenLook,
    /// P-R3 off: only scans before it condemns.
    ScanAfterCondemning,
    /// P-R4 off: frees by the clock alone, without telling the reader.
    RevokeBeforeFreeing,
    /// P-R4 off: revokes whatever lease the slot has by then.
    RevokeByWord,
    /// P-R5 off: validates by the header that stands before the bytes.
    ValidateBySlot,
    /// P-R8 off: revokes pinned slots too.
    PinnedStays,
    /// P-R9 off: adopts environments of those that are stopped.
    WriterDies,
    /// P-R10 off: a new environment takes the first number that has no file.
    IdsOnce,
    /// P-R10 off: truncates the file of an environment in which nothing is left.
    UnlinkWiped,
    /// P-R11 off: who has a pid is alive.
    DeathIsLock,
    /// P-R12 off: looks for payloads in a read transaction of LMDB.
    NoReadTransaction,
    /// P-R13 off: takes the writer's lock of every environment before it puts into its own.
    OwnWriterOnly,
    /// P-R14 off: leaves what dead owners left.
    Adopt,
}

#[cfg(feature = "faults")]
mod switched {
    use super::{Point, Rule};
    use crate::env_view::EnvFiles;
    use crate::lmdb_tool::{Access, Transaction};
    use crate::system;
    use std::collections::HashSet;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    /// Which rules are off, whom to tell of points that are reached, and how far the clock is off.
    #[derive(Clone, Default)]
    pub struct Faults {
        pub off: HashSet<Rule>,
        pub at: Option<Arc<dyn Fn(Point) + Send + Sync>>,
        pub clock_shift_ns: i64,
    }

    impl Faults {
        pub fn holds(&self, rule: Rule) -> bool {
            !self.off.contains(&rule)
        }

        pub fn reach(&self, point: Point) {
            if let Some(at) = &self.at {
                at(point);
            }
        }

        pub fn now_ns(&self) -> u64 {
            system::monotonic_ns().saturating_add_signed(self.clock_shift_ns)
        }

        /// Held while a payload is looked for in an environment.
        pub fn looking(&self, data: impl FnOnce() -> PathBuf) -> Option<Transaction> {
            (!self.holds(Rule::NoReadTransaction)).then(|| Transaction::begin(&data(), Access::Read))
        }

        /// Before a put into the environment `own`.
        pub fn putting(&self, dir: &Path, own: u64) {
            if self.holds(Rule::OwnWriterOnly) {
                return;
            }
            let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|found| found.file_name());
            let numbers = names.filter_map(|name| EnvFiles::number_of(name.to_str()?));
            for number in numbers.filter(|number| *number != own) {
                Transaction::begin(&EnvFiles::of(dir, number).data, Access::Write);
            }
        }
    }
}

#[cfg(not(feature = "faults"))]
mod switched {
    use super::{Point, Rule};
    use crate::system;
    use std::path::{Path, PathBuf};

    #[derive(Clone, Default)]
    pub struct Faults;

    impl Faults {
        pub fn holds(&self, _rule: Rule) -> bool {
            true
        }

        pub fn reach(&self, _point: Point) {}

        pub fn now_ns(&self) -> u64 {
            system::monotonic_ns()
        }

        pub fn looking(&self, _data: impl FnOnce() -> PathBuf) {}

        pub fn putting(&self, _dir: &Path, _own: u64) {}
    }
}

pub use switched::Faults;
