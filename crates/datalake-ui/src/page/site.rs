//! What all pages of a server have in common: the name of the lake, and the theme and the time zone that the user has chosen.

use axum::http::HeaderMap;

use crate::page::time_zone::TimeZone;
use datalake_api::{lake_label::LakeLabel, theme::Theme};

/// The name of the lake, the theme and the time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// None if the client must not see it.
    pub(crate) lake_name: Option<String>,
    pub(crate) theme: Theme,
    pub(crate) time_zone: TimeZone,
}

impl Site {
    /// For a client that may read the lake.
    pub(crate) fn of(label: &LakeLabel, headers: &HeaderMap) -> Self {
        Self {
            lake_name: label.name().map(str::to_owned),
            theme: Theme::from_headers(headers),
            time_zone: TimeZone::from_headers(headers),
        }
    }

    /// For a client that has not signed in: the name of a bucket or folder is internal.
    pub(crate) fn public(label: &LakeLabel, headers: &HeaderMap) -> Self {
        Self {
            lake_name: label.public_name().map(str::to_owned),
            theme: Theme::from_headers(headers),
            time_zone: TimeZone::from_headers(headers),
        }
    }
}
