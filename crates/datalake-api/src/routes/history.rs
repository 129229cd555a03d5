//! `GET /data/{user_id}/history`: the states of a user's row, version by version.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::{
    row_id::{RowId, shown},
    run::RunId,
};
use datalake_table::{
    delta::history::{Reach, RowHistory, RowState},
    memory::snapshot::Snapshot,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    limits::requests::StoreReadPermit,
    problem::{MissingRow, Problem, responses::ReadProblems},
    request::{parameters::NoParameters, path::PathRowId, selected_snapshot::NewestVersionParameters, table_read::NewestRead},
    routes::{openapi::dataset_parameters::RowPath, row_document::StoredRowDocument},
    snapshots::versions::Versions,
};

/// The history of a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub struct HistoryDocument<'a> {
    /// The ID of the row.
    #[schema(example = "1000")]
    pub user_id: Cow<'a, str>,
    /// Whether the history goes back to the first version of the table.
    pub complete: bool,
    /// The oldest version that was read.
    pub oldest: u64,
    /// Why the history goes back no further: `first_version`; `log_expired` or `files_expired`, because log entries and files expire; or
    /// `limit`, because a response reads a limited number of files.
    #[schema(example = "first_version")]
    pub ends: &'static str,
    /// The number of states in the response.
    pub count: usize,
    /// The states, latest first.
    pub states: Vec<StateDocument<'a>>,
}

/// A state of the row, from one version to the next state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryState)]
pub struct StateDocument<'a> {
    /// The version that introduced the state.
    pub version: u64,
    /// When the version was committed.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    pub committed_at: Timestamp,
    /// The run that committed the version; null if another engine did.
    #[schema(required)]
    pub run_id: Option<&'a str>,
    /// `insert`, `update` or `delete`; null if the oldest version that was read already has this state.
    #[schema(required, example = "update")]
    pub change: Option<&'static str>,
    /// The row; null after a delete.
    #[schema(required)]
    pub row: Option<StoredRowDocument<'a>>,
    /// The ETag of the CSV that the row was read from.
    #[schema(required)]
    pub csv_etag: Option<&'a str>,
    /// The ETag of the linked image. A replaced image is an update as well.
    #[schema(required)]
    pub image_etag: Option<&'a str>,
    /// The ETags of all linked files by their names, if the declaration has several. `image_etag` is that of the first one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub file_etags: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> HistoryDocument<'a> {
    /// The document with the states of the row, latest first.
    pub fn new(user_id: &'a RowId, history: &'a RowHistory) -> Self {
        let complete = history.reach == Reach::Whole;
        let older = history.states.iter().skip(1).map(Some).chain([None]);
        let states = history.states.iter().zip(older);
        Self {
            user_id: shown(user_id.as_str()),
            complete,
            oldest: history.oldest,
            ends: match history.reach {
                Reach::Whole => "first_version",
                Reach::LogEnds => "log_expired",
                Reach::FilesGone => "files_expired",
                Reach::Bound => "limit",
            },
            count: history.states.len(),
            states: states.map(|(state, older)| StateDocument::new(state, older, complete)).collect(),
        }
    }
}

impl<'a> StateDocument<'a> {
    /// The ETag of a linked file, by its name in the declaration.
    pub fn file_etag(&self, name: &str) -> Option<&'a str> {
        match self.file_etags.is_empty() {
            true => self
                .image_etag
                .filter(|_| self.row.as_ref().is_some_and(|row| is_first_file(row, name))),
            false => self.file_etags.get(name).copied().flatten(),
        }
    }

    fn new(state: &'a RowState, older: Option<&RowState>, complete: bool) -> Self {
        let row = state.row.as_ref();
        let is_open = older.is_none() && !complete;
        let change = match (row, older.map(|older| older.row.is_some())) {
            _ if is_open => None,
            (None, _) => Some("delete"),
            (Some(_), Some(true)) => Some("update"),
            (Some(_), Some(false) | None) => Some("insert"),
        };
        // The version that introduced the oldest state was not read, so only the row names its run.
        let run_id = if is_open {
            row.map(|row| &row.run_id)
        } else {
            state.version.run_id.as_ref()
        };
        let files = &state.dataset.files();
        let etag = |index: usize| row.and_then(|row| row.file(index)).map(|file| &*file.etag);
        let indexes = (0..files.len()).filter(|_| files.len() > 1);
        let file_etags = indexes.map(|index| (files[index].name.as_str(), etag(index)));
        Self {
            version: state.version.number,
            committed_at: state.version.committed_at,
            run_id: run_id.map(RunId::as_str),
            change,
            row: row.map(|row| StoredRowDocument::of(row, &state.dataset)),
            csv_etag: row.map(|row| &*row.csv.etag),
            image_etag: etag(0),
            file_etags: file_etags.collect(),
        }
    }
}

fn is_first_file(row: &StoredRowDocument<'_>, name: &str) -> bool {
    row.0.dataset().files().first().is_some_and(|file| *file.name == *name)
}

/// Get the history of one ENTITY
///
/// Returns the states of the row, latest first, each with the version, the time and the run that introduced it. The history goes
/// back as far as the log and the files of the table; `ends` indicates why it goes back no further.
#[utoipa::path(
    get,
    path = "/data/{user_id}/history",
    operation_id = "showHistory",
    tag = "data",
    params(RowPath, NewestVersionParameters),
    responses(
        ReadProblems,
        (status = 200, description = "The states of the row", body = HistoryDocument),
    )
)]
pub(crate) async fn show(
    PathRowId(user_id): PathRowId,
    NewestRead(NoParameters, read_at): NewestRead<NoParameters>,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let history = load(&user_id, &read_at.snapshot, &versions).await?;
    Ok((read_at.freshness_headers(), Json(HistoryDocument::new(&user_id, &history))).into_response())
}

/// The history of the row, up to a version. A problem if no version that was read has it.
pub async fn load(user_id: &RowId, newest: &Snapshot, versions: &Versions) -> Result<RowHistory, Problem> {
    let history = versions.history(newest.version(), user_id).await?;
    match history.states.as_slice() {
        [] => Err(Problem::NoSuchRow(MissingRow::of_version(newest, user_id.as_str()))),
        _ => Ok(history),
    }
}
