//! The identity of a commit, whatever its outcome.

use crate::digest::Digest;

/// A commit that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitAttempt {
    /// The version that it makes.
    pub number: u64,
    /// The digest of its entry.
    pub digest: Digest,
    /// The digest of the entry that it follows; none for the first version.
    pub base: Option<Digest>,
}
