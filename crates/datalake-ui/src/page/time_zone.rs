//! The time zone of the times on pages. The server renders UTC; the script replaces it by the local time if the user has chosen that.

use axum::http::{HeaderMap, HeaderValue};

use datalake_api::request::cookies;

const COOKIE: &str = "datalake_times";

/// The time zone of the times on pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeZone {
    #[default]
    Utc,
    /// That of the user's system.
    Local,
}

impl TimeZone {
    /// The choice in the request's cookie. An unknown value is ignored: another release may have set it.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        cookies::values(headers, COOKIE).find_map(Self::parse).unwrap_or_default()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Utc, Self::Local].into_iter().find(|zone| zone.as_str() == text)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Utc => "utc",
            Self::Local => "local",
        }
    }

    /// The value of `data-times`; none for UTC.
    pub(crate) fn attribute(self) -> Option<&'static str> {
        (self != Self::Utc).then(|| self.as_str())
    }

    /// The zone that the button chooses.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Utc => Self::Local,
            Self::Local => Self::Utc,
        }
    }

    pub(crate) fn set_cookie(self, is_https: bool) -> HeaderValue {
        cookies::remember(COOKIE, self.as_str(), self == Self::Utc, is_https)
    }
}
