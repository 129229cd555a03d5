//! The clock of an S3 server in this process, which tests can set. s3s uses the machine's clock, so the expiry is checked here first.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::percent_decode_str;

/// A clock that is ahead of the machine's. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    ahead_s: Arc<AtomicI64>,
}

impl Clock {
    /// Sets the clock forward. With an earlier clock, s3s itself would treat every signature as expired.
    pub(crate) fn advance(&self, by: SignedDuration) {
        self.ahead_s.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    #[expect(clippy::disallowed_methods, reason = "s3s checks requests by the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.ahead_s.load(Ordering::SeqCst))
    }

    /// The header `Date` of a response.
    pub(crate) fn date(&self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Whether the query of a request contains a signature that has expired.
    pub(crate) fn has_expired(&self, query: &str) -> bool {
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| percent_decode_str(value).decode_utf8().unwrap().into_owned())
        };
        let (Some(date), Some(expires)) = (parameter("X-Amz-Date"), parameter("X-Amz-Expires")) else {
            return false;
        };
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap().to_zoned(TimeZone::UTC).unwrap();
        self.now().duration_since(signed.timestamp()).as_secs() > expires.parse().unwrap()
    }
}
