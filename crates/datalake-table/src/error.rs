//! What a caller of the table can react to.

use std::error::Error;

use datalake_core::keys;
use datalake_store::error::StoreError;

use crate::delta::commit_attempt::CommitAttempt;

/// Why the table could not be read or written. One variant a reaction.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The store failed: a later attempt may succeed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object of the table is not what the log or the format says: somebody has to look at it.
    #[error("the table is damaged: {reason}, key={key}")]
    Corrupt {
        /// The object that is wrong.
        key: String,
        /// What is wrong with it; names the column where it is one's.
        reason: String,
        /// The decoder's own error.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The table uses a part of the Delta protocol that this program does not know. Nothing is wrong with the table.
    #[error("the table needs what this program does not support: {reason}")]
    Unsupported {
        /// What it uses, and what to do.
        reason: String,
    },
    /// The version asked for never was, or its entries have been removed.
    #[error("there is no such version of the table, version={version}")]
    NoSuchVersion {
        /// The version asked for.
        version: u64,
    },
}

impl TableError {
    /// An object that is wrong by itself, without a decoder's error.
    pub(crate) fn corrupt(key: impl Into<String>, reason: impl Into<String>) -> Self {
        let key = key.into();
        Self::Corrupt {
            reason: with_remedy(&key, reason.into()),
            key,
            source: None,
        }
    }

    /// An object that a decoder refused.
    pub(crate) fn undecodable(key: impl Into<String>, reason: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let key = key.into();
        Self::Corrupt {
            reason: with_remedy(&key, reason.into()),
            key,
            source: Some(source.into()),
        }
    }

    /// A part of the protocol that this program does not know.
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported {
            reason: format!("{}; {REPAIR}", reason.into()),
        }
    }

    /// Names the object that needs the unsupported part; other errors name theirs already.
    pub(crate) fn in_object(self, key: &str) -> Self {
        match self {
            Self::Unsupported { reason } => Self::Unsupported {
                reason: format!("{key}: {reason}"),
            },
            error => error,
        }
    }
}

/// The way out where the log cannot be loaded; runs repair everything else by themselves.
const REPAIR: &str = "if that cannot be undone, suspend all runs and rebuild the table from the sources with `datalake repair`";

fn with_remedy(key: &str, reason: String) -> String {
    if key.starts_with(keys::LOG) {
        format!("{reason}; {REPAIR}")
    } else {
        reason
    }
}

/// Why a commit did not make a version.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer made this version first, or the base is not what it was: load again, stage again.
    #[error("another writer committed first, version={version}")]
    Conflict {
        /// The version that this commit would have made.
        version: u64,
    },
    /// The commit came too late to be safe: what was staged is old or gone, or the create expired. Nothing was committed. Load again, stage
    /// again.
    #[error("the commit of version {version} was abandoned: {reason}")]
    Stale {
        /// The version that this commit would have made.
        version: u64,
        /// What took too long.
        reason: &'static str,
    },
    /// Whether the version was made is not known: [`crate::table::Table::is_committed`] may find out later.
    #[error("whether version {} was committed is not known", attempt.number)]
    Unknown {
        /// What was tried.
        attempt: CommitAttempt,
        /// Why it is not known, where the store or the table failed.
        source: Option<Box<TableError>>,
    },
    /// The table could not be written, and no version was made.
    #[error(transparent)]
    Table(#[from] TableError),
}
