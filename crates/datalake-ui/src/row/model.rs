//! The view model of the page of a row.

use datalake_core::{calendar::Day, dataset::Dataset};
use jiff::Timestamp;

use crate::{
    components::row::{Row, title, untitled},
    page::{api_address::ApiAddress, query::Query},
};
use datalake_api::{
    problem::Problem,
    routes::{
        explain::ExplanationDocument,
        history::{HistoryDocument, StateDocument},
        row_document::StoredRowDocument,
    },
};

/// The data of the page. The row is in memory; the explanation and the history are read from the store.
pub(crate) struct RowPage<'a> {
    /// The declaration of the shown version.
    pub(crate) dataset: &'a Dataset,
    pub(crate) id: &'a str,
    /// The row at the shown version.
    pub(crate) row: Option<Row>,
    /// The rows before and after this one.
    pub(crate) neighbors: [Option<String>; 2],
    /// The day and the version that were requested. Links keep them.
    pub(crate) time_travel: Query,
    /// The day on which columns are computed.
    pub(crate) day: Day,
    pub(crate) version: u64,
    pub(crate) latest: u64,
    pub(crate) explanation: Result<ExplanationDocument<'a>, &'a Problem>,
    pub(crate) history: Result<HistoryDocument<'a>, &'a Problem>,
    pub(crate) origin: &'a str,
    pub(crate) now: Timestamp,
}

/// How a row was removed.
#[derive(Debug)]
pub(crate) struct Removal<'a> {
    /// The state without a row.
    pub(crate) state: &'a StateDocument<'a>,
    /// The last row.
    pub(crate) last_row: &'a StoredRowDocument<'a>,
}

impl RowPage<'_> {
    pub(crate) fn title(&self) -> String {
        match (&self.row, self.removal()) {
            (Some(row), _) => row.title(self.dataset),
            (None, Some(Removal { last_row, .. })) => title(last_row.0),
            (None, None) => untitled(self.dataset, self.id),
        }
    }

    /// The removal of the row; none if the shown version has a row, or is older than the removal.
    pub(crate) fn removal(&self) -> Option<Removal<'_>> {
        let states = &self.history.as_ref().ok()?.states;
        let state = states
            .first()
            .filter(|state| state.row.is_none() && state.version <= self.version)?;
        let last_row = states.get(1)?.row.as_ref().filter(|_| self.row.is_none())?;
        Some(Removal { state, last_row })
    }

    /// The API request for a subresource of this row at the shown version.
    pub(crate) fn api_address(&self, subresource: &str) -> ApiAddress {
        let version = if self.version == self.latest {
            String::new()
        } else {
            format!("?version={}", self.version)
        };
        ApiAddress::new(format!("/data/{}/{subresource}{version}", self.id))
    }
}
