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
    AcquirePublished,
    AcquireDone,
    ReleaseDetached,
    ReleaseDone,
    FreeScanned,
    FreeCondemned,
    FreeJudged,
    FreeDecided,
    FreeDeleted,
    FreeDone,
}

impl Point {
    pub const ALL: [Self; 15] = [
        Self::PutReserved,
        Self::PutFilled,
        Self::PutCommitted,
        Self::PutLive,
        Self::AcquireLooked,
        Self::AcquirePublished,
        Self::AcquireDone,
        Self::ReleaseDetached,
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
    /// P-R11 off: who has a pid is alive.
    DeathIsLock,
    /// P-R14 off: leaves what dead owners left.
    Adopt,
}

#[cfg(feature = "faults")]
mod switched {
    use super::{Point, Rule};
    use std::collections::HashSet;
    use std::sync::Arc;

    /// Which rules are off, and whom to tell of points that are reached.
    #[derive(Clone, Default)]
    pub struct Faults {
        pub off: HashSet<Rule>,
        pub at: Option<Arc<dyn Fn(Point) + Send + Sync>>,
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
    }
}

#[cfg(not(feature = "faults"))]
mod switched {
    use super::{Point, Rule};

    #[derive(Clone, Default)]
    pub struct Faults;

    impl Faults {
        pub fn holds(&self, _rule: Rule) -> bool {
            true
        }

        pub fn reach(&self, _point: Point) {}
    }
}

pub use switched::Faults;
