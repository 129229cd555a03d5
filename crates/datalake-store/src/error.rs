//! The errors of stores.

/// Why an operation on a store failed, with one variant for each reaction of the caller. The message contains the cause, so
/// [`std::error::Error::source`] returns none.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no object under the key.
    #[error("there is no object {key} in the store")]
    NotFound {
        /// The requested key.
        key: String,
    },
    /// A precondition does not hold, because another writer changed the object.
    #[error("another writer changed {key} first; try again")]
    Conflict {
        /// The requested key.
        key: String,
    },
    /// The write arrived after its fence had expired, and had no effect: see [`crate::bucket::Bucket::fenced`].
    #[error("the write of {key} expired before it reached the store: the process was paused or the store was slow; try again")]
    Expired {
        /// The requested key.
        key: String,
    },
    /// The bucket is missing, or the store denies the request. Retrying will not help: the operator must change the configuration.
    #[error("{reason}")]
    Denied {
        /// The key of the request.
        key: String,
        /// What was denied, for which object, and what to do.
        reason: String,
        /// The store's own error.
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store could not be reached, did not respond in time, or failed, after retries. A write may have taken effect.
    #[error("{reason}{}", after(*attempts))]
    Unavailable {
        /// The key of the request.
        key: String,
        /// What happened, and what to do.
        reason: String,
        /// The number of attempts.
        attempts: u32,
        /// The last failure.
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The request can never succeed: a range after the end, a key that the store cannot contain, a lake URL that is not valid.
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

/// The cause of a [`StoreError::Denied`] for an operation that the store does not support: a condition that it does not know, or a hard
/// link.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSupported(pub(crate) String);

impl StoreError {
    /// The error for an operation that the store does not support. `response` is the store's message.
    pub(crate) fn not_supported(key: &str, reason: String, response: String) -> Self {
        Self::Denied {
            key: key.to_owned(),
            reason,
            cause: Some(Box::new(NotSupported(response))),
        }
    }

    /// Whether the store does not support the operation for any client, so the caller may try another one.
    pub fn is_not_supported(&self) -> bool {
        matches!(self, Self::Denied { cause: Some(cause), .. } if cause.is::<NotSupported>())
    }
}
