//! Reads of earlier versions, within the limit of requests that read the store.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use datalake_core::query::as_of::VersionSelector;
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;

use crate::{
    limits::requests::StoreReadLimit,
    snapshots::{error::VersionError, versions::Versions},
};
use datalake_http::clients::RequestClient;

/// The versions as one client reads them: a version in memory takes nothing of the limit.
#[derive(Debug)]
pub struct VersionReader {
    versions: Versions,
    limit: StoreReadLimit,
    client: RequestClient,
}

impl VersionReader {
    /// The version of a moment, where `newest` is the newest.
    pub async fn of(&self, moment: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        if let Some(snapshot) = self.past.in_memory(moment, newest, now) {
            return Ok(snapshot);
        }
        let _permit = self.limit.permit(&self.client).map_err(|_| VersionError::TooBusy)?;
        self.past.of(moment, newest, now).await
    }

    /// The version `number`, where `newest` is the newest.
    pub async fn at(&self, number: u64, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        self.of(VersionSelector::Version(number), newest, now).await
    }
}

impl<S> FromRequestParts<S> for VersionReader
where
    S: Send + Sync,
    Versions: FromRef<S>,
    StoreReadLimit: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            versions: Versions::from_ref(state),
            limit: StoreReadLimit::from_ref(state),
            client: RequestClient::from_extensions(&parts.extensions),
        })
    }
}
