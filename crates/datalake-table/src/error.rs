//! What a caller of the table can react to.

use std::error::Error;

use datalake_store::error::StoreError;

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
        Self::Corrupt {
            key: key.into(),
            reason: reason.into(),
            source: None,
        }
    }

    /// An object that a decoder refused.
    pub(crate) fn undecodable(key: impl Into<String>, reason: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt {
            key: key.into(),
            reason: reason.into(),
            source: Some(source.into()),
        }
    }

    /// A part of the protocol that this program does not know.
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into() }
    }
}

/// Why a commit did not make a version.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else made this version first, or the changes were staged against another base: load again, stage again.
    #[error("another writer committed first, version={version}")]
    Conflict {
        /// The version that this commit would have made.
        version: u64,
    },
    /// The table could not be written. After [`StoreError::Unavailable`] the version may still have been made.
    #[error(transparent)]
    Table(#[from] TableError),
}
