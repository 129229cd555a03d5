//! Reads versions of the table within the limit of requests that read the store.

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
use datalake_http::client_limits::RequestClient;

/// The versions of the table for one client. Only a version that is not in memory takes a permit.
#[derive(Debug)]
pub struct VersionReader {
    versions: Versions,
    limit: StoreReadLimit,
    client: RequestClient,
}

impl VersionReader {
    /// The selected version, if `newest` is the latest.
    pub async fn select(&self, selector: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        if let Some(snapshot) = self.versions.select_in_memory(selector, newest, now) {
            return Ok(snapshot);
        }
        let _permit = self.limit.permit(&self.client).map_err(|_| VersionError::TooBusy)?;
        self.versions.select(selector, newest, now).await
    }

    /// The version `number`, if `newest` is the latest.
    pub async fn at(&self, number: u64, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        self.select(VersionSelector::Version(number), newest, now).await
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
