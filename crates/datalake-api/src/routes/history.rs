//! What a user's row was.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::{report::RunId, user::UserId};
use datalake_table::delta::{
    history::{Reach, RowHistory, RowState},
    version::Version,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::UserPath;
use crate::routes::row_document::StoredRowDocument;
use crate::{
    limits::requests::StoreReadPermit,
    problem::{Problem, document::ProblemDocument},
    request::{
        query_string::{AskedUser, NewestAlone},
        snapshot::{NewestParameters, Reading},
    },
    snapshots::versions::PastVersions,
};

/// What a user's row was, version after version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub struct HistoryDocument<'a> {
    /// Whose row.
    #[schema(example = "1000")]
    pub user_id: &'a str,
    /// Whether it goes back to the table's first version.
    pub complete: bool,
    /// The oldest version that was looked at.
    pub oldest: u64,
    /// Why none before it was: `begin_of_table`, `log_ends` and `files_gone` (both are kept for a week), or `bound` (more would be too much
    /// work for one question).
    #[schema(example = "begin_of_table")]
    pub ends: &'static str,
    /// States in this answer.
    pub count: usize,
    /// The newest first.
    pub states: Vec<StateDocument<'a>>,
}

/// What the row was from one version on, up to the next state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryState)]
pub struct StateDocument<'a> {
    /// The version that made it so.
    pub version: u64,
    /// When that was committed.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    pub committed_at: Timestamp,
    /// The run that made it so; null where another engine did.
    #[schema(required)]
    pub run_id: Option<&'a str>,
    /// `insert`, `update` or `delete`; null where the row was so already in the oldest version that was looked at.
    #[schema(required, example = "update")]
    pub change: Option<&'static str>,
    /// The row; null where the user had none any more.
    #[schema(required)]
    pub row: Option<StoredRowDocument<'a>>,
    /// The tag of the CSV that the row was read from.
    #[schema(required)]
    pub csv_etag: Option<&'a str>,
    /// The tag of the picture that was linked: a picture that another replaced is an update, too.
    #[schema(required)]
    pub image_etag: Option<&'a str>,
}

impl<'a> HistoryDocument<'a> {
    /// The states of the user, the newest first.
    pub fn new(user_id: &'a UserId, history: &'a RowHistory) -> Self {
        let complete = history.reach == Reach::Whole;
        let older = history.states.iter().skip(1).map(Some).chain([None]);
        let states = history.states.iter().zip(older);
        Self {
            user_id: user_id.as_str(),
            complete,
            oldest: history.oldest,
            ends: match history.reach {
                Reach::Whole => "begin_of_table",
                Reach::LogEnds => "log_ends",
                Reach::FilesGone => "files_gone",
                Reach::Bound => "bound",
            },
            count: history.states.len(),
            states: states.map(|(state, older)| StateDocument::new(state, older, complete)).collect(),
        }
    }
}

impl<'a> StateDocument<'a> {
    fn new(state: &'a RowState, older: Option<&RowState>, complete: bool) -> Self {
        let row = state.row.as_ref();
        let is_open = older.is_none() && !complete;
        let change = match (row, older.map(|older| older.row.is_some())) {
            _ if is_open => None,
            (None, _) => Some("delete"),
            (Some(_), Some(true)) => Some("update"),
            (Some(_), Some(false) | None) => Some("insert"),
        };
        // Of the oldest state the row alone knows which run made it.
        let run_id = if is_open {
            row.map(|row| &row.run_id)
        } else {
            state.version.run_id.as_ref()
        };
        Self {
            version: state.version.number,
            committed_at: state.version.committed_at,
            run_id: run_id.map(RunId::as_str),
            change,
            row: row.map(StoredRowDocument::from),
            csv_etag: row.map(|row| &*row.csv.etag),
            image_etag: row.and_then(|row| row.image.as_ref()).map(|image| &*image.etag),
        }
    }
}

/// The history of one user's row.
///
/// The states of the row, the newest first, each with the version, the time and the run that produced it. The history goes back as far as the
/// table's log and files do; `ends` says why it goes back no further.
#[utoipa::path(
    get,
    path = "/data/{user_id}/history",
    operation_id = "showHistory",
    tag = "data",
    params(UserPath, NewestParameters),
    responses(
        (status = 200, description = "The states of the row", body = HistoryDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No version that was looked at has the user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The table was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show(
    AskedUser(user_id): AskedUser,
    _: NewestAlone,
    reading: Reading,
    _: StoreReadPermit,
    State(past): State<PastVersions>,
) -> Result<Response, Problem> {
    let history = gather(&user_id, reading.snapshot.version(), &past).await?;
    Ok((reading.age(), Json(HistoryDocument::new(&user_id, &history))).into_response())
}

/// What the user's row was up to a version. Refuses a user whom no version had that was looked at.
pub async fn gather(user_id: &UserId, newest: &Version, past: &PastVersions) -> Result<RowHistory, Problem> {
    let history = past.history(newest, user_id).await?;
    match history.states.as_slice() {
        [] => Err(Problem::NoSuchUser),
        _ => Ok(history),
    }
}
