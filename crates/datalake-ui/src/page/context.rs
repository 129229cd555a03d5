//! What every page needs to know about its request and about the lake.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::page::{
    api_address::ApiAddress,
    lake_status::{LakeState, LakeStatus},
    layout::{self, Account, Frame, Refresh, View},
    query::Query,
    request_url,
    return_address::ReturnAddress,
    run_permission::RunPermission,
    site::Site,
    store_unreachable,
};
use datalake_api::{
    lake_label::LakeLabel,
    request::auth::{Access, Caller},
    routes::run_redaction,
    snapshots::watch::{TableState, TableWatch},
};
use datalake_core::{clock::Clock, dataset::Dataset, query::search::SEARCH};
use datalake_runs::runs::Runs;

/// The request for a page, and the status of the lake from memory. Extracting it never reads the store.
#[derive(Clone, Debug)]
pub struct PageContext {
    /// Scheme, host and port as the client wrote them, for curl commands.
    pub(crate) origin: String,
    /// Path and query of the page.
    pub(crate) address: String,
    /// The current time of the server's clock.
    pub(crate) now: Timestamp,
    pub(crate) lake: LakeStatus,
    /// The declaration of the rows: that of the latest version, or without a table that of the users.
    pub(crate) dataset: Arc<Dataset>,
    /// The state of the lake that the page shows.
    pub(crate) state: LakeState,
    pub(crate) run_permission: RunPermission,
    pub(crate) lake_label: LakeLabel,
    pub(crate) site: Site,
    /// How the client has authenticated.
    pub(crate) caller: Caller,
    started_at: Instant,
}

/// The longest time that a page waits for the store or the launcher. An open page is refreshed later anyway.
const WAIT_MAX: Duration = Duration::from_secs(2);

impl PageContext {
    /// When the page is rendered with the data that has arrived by then.
    pub(crate) fn deadline(&self) -> Instant {
        deadline(self.started_at, Instant::now())
    }

    /// The number of the latest version in memory; none without a table.
    pub(crate) fn latest_version(&self) -> Option<u64> {
        self.state.version
    }

    /// How commands address the lake, for clients that may start runs: others must not learn its address.
    pub(crate) fn known_lake(&self) -> Option<&LakeLabel> {
        self.caller.is_authorized().then_some(&self.lake_label)
    }

    /// The frame of a view, with the API request that corresponds to the page's address.
    pub(crate) fn frame<'a>(&'a self, view: View, title: &'a str) -> Frame<'a> {
        Frame {
            view,
            title,
            dataset: &self.dataset,
            site: &self.site,
            notice: store_unreachable::store_unreachable(&self.lake, self.known_lake()),
            address: ReturnAddress::or_overview(&self.address),
            api: ApiAddress::of_page(&self.address),
            api_label: layout::API_LABEL,
            curl: "curl",
            origin: &self.origin,
            refresh: Refresh::OnChange(&self.state),
            rejected_count: match &self.lake.table.state {
                TableState::Loaded(snapshot) => snapshot.rejected_count(),
                TableState::Missing | TableState::Loading => 0,
            },
            search: Some(Query::of_address(&self.address).get(SEARCH).unwrap_or_default().to_owned()),
            account: match self.caller {
                // A client that sends the token, for example through a proxy that adds it, does not need to sign in.
                Caller::Any | Caller::Token => Account::None,
                Caller::Session => Account::SignedIn,
                Caller::Anonymous => Account::Anonymous(ReturnAddress::or_overview(&self.address)),
            },
        }
    }
}

impl<S> FromRequestParts<S> for PageContext
where
    S: Send + Sync,
    Clock: FromRef<S>,
    TableWatch: FromRef<S>,
    Runs: FromRef<S>,
    Access: FromRef<S>,
    LakeLabel: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let started_at = Instant::now();
        let now = Clock::from_ref(state).now();
        let runs = Runs::from_ref(state);
        let Ok(caller) = Caller::from_request_parts(parts, state).await;
        let table = TableWatch::from_ref(state);
        let mut lake = LakeStatus::load(&table, &runs, now).await;
        lake.runs = lake.runs.into_iter().map(|run| run_redaction::for_caller(run, caller)).collect();
        let lake_label = LakeLabel::from_ref(state);
        Ok(Self {
            site: Site::of(&lake_label, &parts.headers),
            lake_label,
            origin: request_url::origin(&parts.headers, &parts.uri),
            address: request_url::path_and_query(&parts.uri),
            now,
            state: lake.state(),
            dataset: table.dataset(),
            lake,
            run_permission: match (runs.starts_runs(), caller) {
                (false, _) => RunPermission::NotOffered,
                (true, Caller::Any) => RunPermission::Open,
                (true, Caller::Token | Caller::Session) => RunPermission::SignedIn,
                (true, Caller::Anonymous) => RunPermission::NeedsToken,
            },
            caller,
            started_at,
        })
    }
}

/// A request with `min_version` may have used up its time by `now`; it gets half of [`WAIT_MAX`] in addition.
fn deadline(started_at: Instant, now: Instant) -> Instant {
    (started_at + WAIT_MAX).max(now + WAIT_MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_that_has_waited_for_a_version_gets_extra_time() {
        let (started_at, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(deadline(started_at, started_at), started_at + 2 * second);
        assert_eq!(deadline(started_at, started_at + second), started_at + 2 * second);
        assert_eq!(deadline(started_at, started_at + 30 * second), started_at + 31 * second);
    }
}
