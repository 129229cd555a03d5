//! What a caller of a store can react to.

/// Why an operation on a store did not succeed. One variant a reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object, or no such bucket.
    #[error("there is no object {key} in the store")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// A precondition does not hold: another writer was first.
    #[error("another writer changed {key} first; try again")]
    Conflict {
        /// The key asked for.
        key: String,
    },
    /// The write came later than its fence allows, and had no effect: see [`crate::bucket::Bucket::fenced`].
    #[error("the write of {key} expired before it reached the store: the process was paused or the store was slow; try again")]
    Expired {
        /// The key asked for.
        key: String,
    },
    /// The bucket is missing, or the store denies the request: retrying does not help, the operator must change the configuration.
    #[error("{reason}")]
    Denied {
        /// The key of the request.
        key: String,
        /// What was denied, of which object, and what to do.
        reason: String,
        /// The store's own error.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store could not be reached, did not respond in time, or failed, after retries. A write may have taken effect.
    #[error("{reason}{}", after(*attempts))]
    Unavailable {
        /// The key of the request.
        key: String,
        /// What happened, and what to do.
        reason: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The request can never succeed: a range after the end, a key that the store cannot hold, a lake URL that is not valid.
    #[error("{}{reason}", prefix(key))]
    Invalid {
        /// The key of the request.
        key: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
}

fn after(attempts: u32) -> String {
    match attempts {
        0 | 1 => String::new(),
        attempts => format!(" ({attempts} attempts)"),
    }
}

fn prefix(key: &str) -> String {
    match key {
        "" => String::new(),
        key => format!("{key}: "),
    }
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
