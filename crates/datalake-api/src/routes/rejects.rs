//! The sources that are refused now.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use datalake_core::{
    reject::{IgnoreCode, OpenRefusal, Refusal},
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
    /// How many there are.
    count: usize,
    /// By key.
    rejects: Vec<RejectDocument<'a>>,
}

/// A source that is refused. The user's last good row, if there is one, stays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reject)]
pub(crate) struct RejectDocument<'a> {
    /// Its key in the lake.
    pub(crate) key: &'a str,
    /// Whose source it would be; null where the key names nobody.
    #[schema(required)]
    pub(crate) user_id: Option<&'a str>,
    /// Why; stable.
    #[schema(example = "birthts_type")]
    pub(crate) code: &'static str,
    /// `rejected`: it was looked at; `ignored`: by its key it is nobody's source.
    pub(crate) kind: &'static str,
    /// From 1; null where the reason is in no line.
    #[schema(required)]
    pub(crate) line: Option<u32>,
    /// From 1, in bytes of the line.
    #[schema(required)]
    pub(crate) column: Option<u32>,
    /// From 0, in bytes of the source.
    #[schema(required)]
    pub(crate) byte_offset: Option<u64>,
    /// At most 80 bytes of the source about that place.
    #[schema(required)]
    pub(crate) excerpt: Option<&'a str>,
    /// Where in the excerpt that place is: from 0, in bytes of UTF-8.
    #[schema(required)]
    pub(crate) excerpt_offset: Option<u8>,
    /// What is wrong, and what to do.
    pub(crate) message: &'a str,
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
        Self {
            key: &open.key,
            user_id: open.user_id.as_ref().map(UserId::as_str),
            code: open.refusal.code(),
            kind,
            line: place.and_then(|place| place.line),
            column: place.and_then(|place| place.column),
            byte_offset: place.map(|place| place.byte_offset),
            excerpt: reject.and_then(|reject| reject.excerpt.as_deref()),
            excerpt_offset: reject.and_then(|reject| reject.excerpt_offset),
            message: message(&open.refusal),
            since: open.since.to_string(),
            run_id: open.run_id.as_str(),
        }
    }
}

/// What is wrong in words, and what to do about it.
pub(crate) fn message(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::Rejected(reject) => &reject.message,
        Refusal::Ignored(code) => words(*code),
    }
}

fn words(code: IgnoreCode) -> &'static str {
    match code {
        IgnoreCode::BadId => "the name before the extension is no user id: 1 to 64 of A-Z a-z 0-9 . _ -",
        IgnoreCode::Shadowed => "the same name exists with its extension in lower case, and that one counts: remove one of the two",
        IgnoreCode::UnknownKind => "the name ends neither with .csv nor with .png",
        IgnoreCode::Nested => "sources lie in src-data/ itself, not in folders below it",
        IgnoreCode::OrphanImage => "there is no CSV of this user: the picture is taken once there is one",
    }
}

/// The sources that are refused at a version, the newest if none is asked for, with the reasons.
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
    let refusals = reading.snapshot.refusals();
    let document = RejectsDocument {
        version: reading.snapshot.version().number(),
        count: refusals.len(),
        rejects: refusals.iter().map(RejectDocument::from).collect(),
    };
    (reading.age(), Json(document)).into_response()
}
