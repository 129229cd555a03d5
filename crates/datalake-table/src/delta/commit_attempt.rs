//! The identity of a commit, independent of its outcome.

use crate::digest::Digest;

/// A commit that was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitAttempt {
    /// The number of the version that it creates.
    pub number: u64,
    /// The digest of its log entry.
    pub digest: Digest,
    /// The digest of the entry before. None for the first version.
    pub base: Option<Digest>,
}
