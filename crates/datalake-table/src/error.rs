//! The errors of the table.

use std::error::Error;

use datalake_core::keys;
use datalake_store::error::StoreError;

use crate::delta::commit_attempt::CommitAttempt;

/// Why the table could not be read or written, with one variant for each reaction of the caller.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The store failed. A later attempt may succeed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object of the table contradicts the log or its format. An operator has to act.
    #[error("{key} is damaged: {reason}")]
    Corrupt {
        /// The damaged object.
        key: String,
        /// What is wrong with it, including the column if one is affected.
        reason: String,
        /// The decoder's own error.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The table uses a part of the Delta protocol that this program does not support. The table itself is valid.
    #[error("the table uses a feature that is not supported: {reason}")]
    Unsupported {
        /// The feature, and what to do.
        reason: String,
    },
    /// The requested version never existed, or its log entries have been removed.
    #[error("version {version} of the table does not exist, or its log entries have been removed")]
    NoSuchVersion {
        /// The requested version.
        version: u64,
    },
}

impl TableError {
    /// The error for a damaged object, without an error of a decoder.
    pub(crate) fn corrupt(key: impl Into<String>, reason: impl Into<String>) -> Self {
        let key = key.into();
        Self::Corrupt {
            reason: with_remedy(&key, reason.into()),
            key,
            source: None,
        }
    }

    /// The error for an object that a decoder rejected.
    pub(crate) fn undecodable(key: impl Into<String>, reason: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let key = key.into();
        Self::Corrupt {
            reason: with_remedy(&key, reason.into()),
            key,
            source: Some(source.into()),
        }
    }

    /// The error for a part of the protocol that is not supported.
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported {
            reason: format!("{}; {REPAIR}", reason.into()),
        }
    }

    /// Adds the object that uses the unsupported part. Other errors already contain their object.
    pub(crate) fn in_object(self, key: &str) -> Self {
        match self {
            Self::Unsupported { reason } => Self::Unsupported {
                reason: format!("{key}: {reason}"),
            },
            error => error,
        }
    }
}

/// The remedy if the log cannot be loaded. Runs repair everything else automatically.
const REPAIR: &str = "if this cannot be undone, suspend all runs and rebuild the table from the sources with `datalake repair`";

fn with_remedy(key: &str, reason: String) -> String {
    if key.starts_with(keys::LOG) {
        format!("{reason}; {REPAIR}")
    } else {
        reason
    }
}

/// Why a commit did not create a version.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer created this version first, or the base has changed. Load the table and stage the edits again.
    #[error("another writer committed version {version} first")]
    Conflict {
        /// The version that this commit would have created.
        version: u64,
    },
    /// The commit was too late to be safe: the staged files are old or missing, or the create expired. Nothing was committed. Load the
    /// table and stage the edits again.
    #[error("the commit of version {version} was abandoned: {reason}")]
    Stale {
        /// The version that this commit would have created.
        version: u64,
        /// Why the commit was abandoned.
        reason: &'static str,
    },
    /// It is unknown whether the version was created. [`crate::table::Table::is_committed`] may determine it later.
    #[error("the outcome of the commit of version {} is unknown", attempt.number)]
    Unknown {
        /// The commit.
        attempt: CommitAttempt,
        /// The failure of the store or the table that is the reason, if there was one.
        source: Option<Box<TableError>>,
    },
    /// The table could not be written, and no version was created.
    #[error(transparent)]
    Table(#[from] TableError),
}
