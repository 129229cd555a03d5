//! Why a request is refused before a route is found for it.

/// What is wrong with the head of a request. `problem.rs` chooses the status.
#[derive(Clone, Debug)]
pub enum RequestError {
    /// It is no HTTP/1.1.
    Malformed {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// It is over a limit.
    TooLarge {
        /// Over which, and what to do.
        reason: String,
    },
    /// It did not come in time.
    TimedOut,
    /// It is of another version of HTTP.
    UnsupportedVersion,
    /// The body has a coding that this server does not decode.
    UnsupportedTransferCoding,
    /// The client takes the server for a proxy.
    UnsupportedConnect,
}

impl RequestError {
    /// A request that is no HTTP/1.1, with the reason and the remedy.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    /// The status that the API chooses for it, as a short name in tests.
    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed { .. } => 400,
            Self::TimedOut => 408,
            Self::TooLarge { .. } => 431,
            Self::UnsupportedTransferCoding | Self::UnsupportedConnect => 501,
            Self::UnsupportedVersion => 505,
        }
    }

    /// What is wrong, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed { reason } | Self::TooLarge { reason } => reason.clone(),
            Self::TimedOut => "the head of the request is not complete after 10 seconds; send it again".to_owned(),
            Self::UnsupportedVersion => "this server speaks HTTP/1.1; send the request in that version".to_owned(),
            Self::UnsupportedTransferCoding => {
                "the body has a coding other than `chunked`; send it with Content-Length, or with `Transfer-Encoding: chunked` alone"
                    .to_owned()
            }
            Self::UnsupportedConnect => {
                "CONNECT asks for a tunnel, which only a proxy opens; send requests to this server directly".to_owned()
            }
        }
    }
}

/// Marks a request that stands for one that was refused.
#[derive(Clone, Debug)]
pub struct RejectedRequest(pub RequestError);
