//! What a caller of a store can react to.

/// Why an operation on a store did not succeed. One variant a reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object, or no such bucket.
    #[error("not found in the store, key={key}")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// A create or another precondition was lost: somebody else wrote first.
    #[error("somebody else changed the object first, key={key}")]
    Conflict {
        /// The key asked for.
        key: String,
    },
    /// The write came later than its fence allows, and had no effect: see [`crate::bucket::Bucket::fenced`].
    #[error("the write expired before it reached the store: the process was paused or the store was slow; start over, key={key}")]
    Expired {
        /// The key asked for.
        key: String,
    },
    /// The bucket is missing or the store refuses these credentials: no retry helps, somebody must change the configuration.
    #[error("{reason}, key={key}")]
    Denied {
        /// The key asked for.
        key: String,
        /// What was refused and what to do, in words.
        reason: String,
        /// The store's own error.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store could not be reached or did not answer in time, after retries. A write may have taken effect.
    #[error(
        "the store does not answer; check that it is up, that it is reached from here, and its address, attempts={attempts}, key={key}"
    )]
    Unavailable {
        /// The key asked for.
        key: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The request can never succeed: a range past the end, a key the store cannot hold, a lake URL that is none.
    #[error("{reason}, key={key}")]
    Invalid {
        /// The key asked for.
        key: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
}

/// The source of a [`StoreError::Denied`] where the store cannot do at all what was asked of it: a condition that it does not know, a
/// file system without hard links.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSupported(pub(crate) String);

impl StoreError {
    /// A refusal of what the store cannot do at all. `said` are its own words.
    pub(crate) fn not_supported(key: &str, reason: String, said: String) -> Self {
        Self::Denied {
            key: key.to_owned(),
            reason,
            source: Some(Box::new(NotSupported(said))),
        }
    }

    /// Whether the store cannot do at all what was asked, whoever asks: another way may lead there.
    pub fn is_not_supported(&self) -> bool {
        matches!(self, Self::Denied { source: Some(source), .. } if source.is::<NotSupported>())
    }
}
