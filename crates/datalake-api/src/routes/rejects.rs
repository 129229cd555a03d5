//! The sources that are refused now.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use datalake_core::{
    reject::{OpenRefusal, Refusal},
    user::UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    extract::MomentAlone,
    problem::ProblemDocument,
    reading::{MomentParameters, Reading},
};

/// The sources that are refused at a version of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rejects)]
struct RejectsDocument<'a> {
    /// The version of the table.
    version: u64,
    /// The number of rejected and ignored sources.
    count: usize,
    /// The number of rejected sources, all of which are listed.
    rejected: usize,
    /// The number of ignored objects, of which the first 1,000 are listed.
    ignored: usize,
    /// By key.
    rejects: Vec<RejectDocument<'a>>,
}

/// A source that is rejected or ignored. The user's last valid row, if there is one, is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reject)]
pub(crate) struct RejectDocument<'a> {
    /// Its key in the lake.
    pub(crate) key: &'a str,
    /// The user whose source it is or would be; null where the key names no user.
    #[schema(required)]
    pub(crate) user_id: Option<&'a str>,
    /// Why; stable.
    #[schema(example = "type")]
    pub(crate) code: &'static str,
    /// `rejected`: its content is invalid, or it cannot be read; `ignored`: it is not a source.
    pub(crate) kind: &'static str,
    /// The name of the column that the reason concerns; null where it concerns none.
    #[schema(required, example = "birthts")]
    pub(crate) column_name: Option<&'a str>,
    /// From 1; null where the reason is in no line.
    #[schema(required)]
    pub(crate) line: Option<u32>,
    /// From 1, in bytes of the line.
    #[schema(required)]
    pub(crate) column: Option<u32>,
    /// From 0, in bytes of the source.
    #[schema(required)]
    pub(crate) byte_offset: Option<u64>,
    /// The line around that place, at most 80 bytes; characters that cannot be seen are shown by their code points, as in `<U+200B>`.
    #[schema(required)]
    pub(crate) excerpt: Option<&'a str>,
    /// Where in the excerpt that place is: from 0, in bytes of UTF-8.
    #[schema(required)]
    pub(crate) excerpt_offset: Option<u8>,
    /// The cause: what was found.
    #[schema(example = "birthts is \"1989-05-27\", a date")]
    pub(crate) found: String,
    /// What was expected instead.
    pub(crate) expected: String,
    /// What to do.
    pub(crate) remedy: String,
    /// The last three in one sentence.
    pub(crate) message: String,
    /// When the run began that refused the key with this code first.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// That run.
    pub(crate) run_id: &'a str,
}

impl<'a> From<&'a OpenRefusal> for RejectDocument<'a> {
    fn from(open: &'a OpenRefusal) -> Self {
        let (kind, reject) = match &open.refusal {
            Refusal::Rejected(reject) => ("rejected", Some(reject)),
            Refusal::Ignored(_) => ("ignored", None),
        };
        let place = reject.and_then(|reject| reject.place);
        let reason = open.reason().into_owned();
        Self {
            key: &open.key,
            user_id: open.user_id.as_ref().map(UserId::as_str),
            code: open.refusal.code(),
            kind,
            column_name: reject.and_then(|reject| reject.column_name.as_deref()),
            line: place.and_then(|place| place.line),
            column: place.and_then(|place| place.column),
            byte_offset: place.map(|place| place.byte_offset),
            excerpt: reject.and_then(|reject| reject.excerpt.as_deref()),
            excerpt_offset: reject.and_then(|reject| reject.excerpt_offset),
            message: reason.to_string(),
            found: reason.found.into(),
            expected: reason.expected.into(),
            remedy: reason.remedy.into(),
            since: open.since.to_string(),
            run_id: open.run_id.as_str(),
        }
    }
}

/// The rejected and ignored sources.
///
/// The sources that are rejected or ignored at a version of the table, the newest by default, with the reason and the remedy for each.
#[utoipa::path(
    get,
    path = "/rejects",
    operation_id = "listRejects",
    tag = "data",
    params(MomentParameters),
    responses(
        (status = 200, description = "The sources", body = RejectsDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(_: MomentAlone, reading: Reading) -> Response {
    let snapshot = &reading.snapshot;
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let document = RejectsDocument {
        version: snapshot.version().number(),
        count: rejected + ignored,
        rejected,
        ignored,
        rejects: snapshot.refusals().iter().map(RejectDocument::from).collect(),
    };
    (reading.age(), Json(document)).into_response()
}
