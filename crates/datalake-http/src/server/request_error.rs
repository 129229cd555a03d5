//! Why a request is rejected before a route is found for it.

/// What is wrong with the head of a request. The API chooses the status.
#[derive(Clone, Debug)]
pub enum RequestError {
    /// The head does not follow RFC 9112.
    Malformed {
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The head exceeds a limit.
    TooLarge {
        /// Which limit it exceeds, and the remedy.
        reason: String,
    },
    /// The head was not complete within 10 seconds.
    TimedOut,
    /// The version of HTTP is neither 1.0 nor 1.1.
    UnsupportedVersion,
    /// The body has a transfer coding other than `chunked` (RFC 9112, section 7).
    UnsupportedTransferCoding,
    /// The method is `CONNECT`, which only proxies support (RFC 9110, section 9.3.6).
    UnsupportedConnect,
}

impl RequestError {
    /// A malformed request. `reason` contains the cause and the remedy.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    /// The status that the API chooses.
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

    /// What is wrong, and the remedy, for the client.
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed { reason } | Self::TooLarge { reason } => reason.clone(),
            Self::TimedOut => "the head of the request was not complete after 10 seconds; send it again".to_owned(),
            Self::UnsupportedVersion => "this server supports HTTP/1.1 only; send the request in that version".to_owned(),
            Self::UnsupportedTransferCoding => {
                "the body has a transfer coding other than `chunked`; send Content-Length, or `Transfer-Encoding: chunked` alone".to_owned()
            }
            Self::UnsupportedConnect => {
                "CONNECT requests a tunnel, which only a proxy supports; send requests to this server directly".to_owned()
            }
        }
    }
}

/// The extension of a request that the server passes to the router in place of one that it rejected. The router must respond with the error.
#[derive(Clone, Debug)]
pub struct RejectedRequest(pub RequestError);
