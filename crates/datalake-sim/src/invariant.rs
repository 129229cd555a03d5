//! The invariants, and their violations.

use std::fmt;

/// A property that every execution must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Each version has the next number, and its entry records the digest of the previous entry.
    LinearHistory,
    /// A report agrees with the table.
    TruthfulReport,
    /// The newest version and all its rows load.
    Loadable,
    /// Each user has one row.
    OneRow,
    /// `output.csv` contains a version, and never goes back to an earlier one.
    Published,
    /// A reader loads the rows of one version, and never goes back to an earlier one.
    WholeVersions,
    /// Only the data owner writes sources.
    Sources,
    /// The image copy that a newly visible row links exists.
    LinkedImage,
    /// A run without faults and concurrent runs succeeds.
    Convergence,
    /// `output.csv` is equal to that of a rebuild in an empty lake.
    IncrementalIsFull,
    /// Image copies have the bytes that the rows record.
    ImageCopies,
    /// A second run without changes writes nothing.
    Idempotence,
    /// A run that would remove most users, or that finds no conditional creates, commits nothing.
    Guard,
    /// Data files, log entries and checkpoints are never changed in place, and the pointer to the newest checkpoint never goes back.
    Immutable,
    /// Remains of killed runs are removed.
    NoLeftovers,
    /// Versions within the retention load.
    Retention,
    /// The version as of the current time is the newest one.
    AsOf,
    /// No actor panics or waits forever.
    NoPanic,
}

/// A violated invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// What was observed.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}

pub(crate) fn violation(invariant: Invariant, detail: impl Into<String>) -> Violation {
    Violation {
        invariant,
        detail: detail.into(),
    }
}
