//! The rejected and ignored sources of the table's current state.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{IgnoreCode, Reason, Reject, RejectCode, ignored};
use crate::{dataset::Dataset, plan::SourceVersion, row_id::RowId, run::RunId};

/// Why an object is excluded: it is a source that was rejected, or it is not a source and is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// The content is invalid, too large, or cannot be read.
    Rejected(Reject),
    /// The name is not that of a source, or the object is not a source for another reason.
    Ignored(IgnoreCode),
}

impl Exclusion {
    /// The stable text of the code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(reject) => reject.code.as_str(),
            Self::Ignored(code) => code.as_str(),
        }
    }
}

/// Whether excluded sources are rejected or ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExclusionKind {
    /// The content is invalid, or cannot be read.
    Rejected,
    /// The object is not a source.
    Ignored,
}

impl ExclusionKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Rejected, Self::Ignored];

    /// The name in parameters and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
        }
    }

    /// The kind of a code; none for a code that does not exclude a source.
    pub fn of_code(code: &str) -> Option<Self> {
        let rejected = RejectCode::parse(code).map(|_| Self::Rejected);
        rejected.or_else(|| IgnoreCode::parse(code).map(|_| Self::Ignored))
    }
}

/// An object under `src-data/` whose content is currently not in the table: a *rejected* source or an *ignored* object.
///
/// "Excluded" is the common term for both. Excluded sources are part of the table's state, so that a run does not read an unchanged rejected
/// source again. The last valid row of a rejected source is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExcludedSource {
    /// The raw key.
    pub key: Box<str>,
    /// The ID of the row whose source it is or was probably meant to be; none if the key has no ID.
    pub row_id: Option<RowId>,
    /// The ETag of the excluded bytes.
    pub etag: Box<str>,
    /// Its size in bytes.
    pub size: u64,
    /// Why the object is excluded.
    pub exclusion: Exclusion,
    /// The first run that excluded this key with this code.
    pub run_id: RunId,
    /// When that run started.
    pub since: Timestamp,
    /// The versions of the valid files, in the order of the declaration, if this is the rejected CSV of an ID without a row: no row records the
    /// files, and they need not be read again. Empty for other sources.
    pub valid_files: Box<[Option<SourceVersion>]>,
}

impl ExcludedSource {
    /// Whether the object is ignored.
    pub fn is_ignored(&self) -> bool {
        self.kind() == ExclusionKind::Ignored
    }

    /// Whether the object is rejected or ignored.
    pub fn kind(&self) -> ExclusionKind {
        match self.exclusion {
            Exclusion::Rejected(_) => ExclusionKind::Rejected,
            Exclusion::Ignored(_) => ExclusionKind::Ignored,
        }
    }

    /// The cause, what was expected, and the remedy. `dataset` is the declaration of the sources.
    pub fn reason(&self, dataset: &Dataset) -> Cow<'_, Reason> {
        match &self.exclusion {
            Exclusion::Rejected(reject) => Cow::Borrowed(&reject.reason),
            Exclusion::Ignored(code) => Cow::Owned(ignored::reason(dataset, *code, &self.key)),
        }
    }

    /// Whether the list of rejects and the explanation of the row show both alike. The ETag, the run and its time do not count, and neither does
    /// the store's message about why an object cannot be read: it may contain a request ID.
    pub fn is_visibly_equal(&self, other: &Self) -> bool {
        let is_same = match (&self.exclusion, &other.exclusion) {
            (Exclusion::Rejected(own), Exclusion::Rejected(other)) if own.code == RejectCode::Unreadable => own.code == other.code,
            (own, other) => own == other,
        };
        let mut files = 0..self.valid_files.len().max(other.valid_files.len());
        self.key == other.key && is_same && files.all(|index| self.has_valid_file(index) == other.has_valid_file(index))
    }

    /// Whether the row has a valid file that is not linked, because this is its CSV and there has never been a valid one.
    pub fn has_valid_file(&self, index: usize) -> bool {
        matches!(self.valid_files.get(index), Some(Some(_)))
    }
}

/// The total number of ignored objects, if `excluded` does not contain all of them.
pub fn ignored_total_if_truncated(excluded: &[ExcludedSource], ignored: u64) -> Option<u64> {
    let listed = excluded.iter().filter(|source| source.is_ignored()).count();
    Some(ignored).filter(|ignored| u64::try_from(listed).is_ok_and(|listed| *ignored > listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_store_are_not_compared() {
        let excluded = |reject| ExcludedSource {
            key: "src-data/1.csv".into(),
            row_id: None,
            etag: "tag".into(),
            size: 1,
            exclusion: Exclusion::Rejected(reject),
            run_id: RunId::parse("run-1").expect("the ID is valid"),
            since: Timestamp::UNIX_EPOCH,
            valid_files: Box::default(),
        };
        let denied = |request| excluded(Reject::unreadable(&format!("access denied, request {request}")));
        assert!(denied(1).is_visibly_equal(&denied(2)));
        assert!(!denied(1).is_visibly_equal(&excluded(Reject::unstable(4))));
        assert!(!excluded(Reject::unstable(4)).is_visibly_equal(&excluded(Reject::unstable(5))));
    }
}
