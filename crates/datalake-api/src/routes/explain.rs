//! Where a user's values come from, and why there are none.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::{
    keys::{self, SourceKind},
    reject::{ExcludedSource, Exclusion, IgnoreCode},
    report::RunId,
    row::{Provenance, Row, RowView},
    user::UserId,
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{parameters::UserPath, rejects::RejectDocument};
use crate::routes::row_document::StoredRowDocument;
use crate::{
    limits::requests::StoreReadPermit,
    problem::{Problem, document::ProblemDocument},
    request::{
        query_string::{AskedUser, MomentAlone},
        snapshot::{MomentParameters, Reading},
    },
    snapshots::versions::PastVersions,
};

/// Where a user's row comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationDocument<'a> {
    /// Whose row.
    #[schema(example = "1000")]
    pub user_id: &'a str,
    /// The version of the table.
    pub version: u64,
    /// In one sentence, why the row is as it is, or why there is none.
    pub summary: String,
    /// The row; null where there is none.
    #[schema(required)]
    pub row: Option<StoredRowDocument<'a>>,
    /// The run that changed the row last; see `/runs/{id}`.
    #[schema(required)]
    pub run_id: Option<&'a str>,
    /// The CSV that the row was read from.
    #[schema(required)]
    pub csv: Option<ObjectDocument<'a>>,
    /// The picture that is linked.
    #[schema(required)]
    pub image: Option<ObjectDocument<'a>>,
    /// Each value of the row, and the rule that made it.
    pub values: Vec<ValueDocument>,
    /// Whether there is a picture, and why not.
    pub picture: PictureDocument,
    /// The user's sources that are refused, and what is served meanwhile.
    pub rejects: Vec<OpenRejectDocument<'a>>,
}

/// A state of a source object that a value was read from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceObject)]
pub struct ObjectDocument<'a> {
    /// Its key in the lake; the extension may also stand there in upper case.
    #[schema(example = "src-data/1000.csv")]
    pub key: String,
    /// The store's tag of the bytes that were read.
    pub etag: &'a str,
    /// Their number.
    pub size: u64,
    /// When the store took them.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    pub modified: Timestamp,
}

/// A value of the row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedValue)]
pub struct ValueDocument {
    #[schema(example = "first_name")]
    /// The name of the column.
    pub column: &'static str,
    /// How the value comes about.
    pub rule: &'static str,
}

/// Whether there is a picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedPicture)]
pub struct PictureDocument {
    /// `linked`; `missing`: there is no object; `rejected`: there is one, and it is refused; `unused`: there is one, and no user.
    #[schema(example = "linked")]
    pub state: &'static str,
    /// The same in words.
    pub reason: String,
}

/// A refused source of the user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenReject)]
pub struct OpenRejectDocument<'a> {
    #[serde(flatten)]
    /// Why the source was rejected.
    pub reject: RejectDocument<'a>,
    /// What is served as long as the source is refused.
    pub meanwhile: &'static str,
}

impl<'a> ObjectDocument<'a> {
    fn new([key, _]: [String; 2], read: &'a Provenance) -> Self {
        Self {
            key,
            etag: &read.etag,
            size: read.size,
            modified: read.modified,
        }
    }
}

/// What an explanation is made of.
#[derive(Debug)]
pub struct Explanation {
    user_id: UserId,
    snapshot: Arc<Snapshot>,
    row: Option<Row>,
}

impl Explanation {
    /// Refuses a user of whom there is neither a row nor a source that is refused.
    pub async fn gather(user_id: UserId, snapshot: &Arc<Snapshot>, past: &PastVersions) -> Result<Self, Problem> {
        // Who has no row in memory has none in the store.
        let row = match snapshot.row(user_id.as_str()) {
            Some(_) => past.row(snapshot.version(), &user_id).await?,
            None if Refusals::of(&user_id, snapshot.rejects()).all.is_empty() => return Err(Problem::NoSuchUser),
            None => None,
        };
        Ok(Self {
            user_id,
            snapshot: Arc::clone(snapshot),
            row,
        })
    }

    /// The explanation as the API responds it.
    pub fn document(&self) -> ExplanationDocument<'_> {
        let Self { user_id, snapshot, row } = self;
        let (row, shown) = (row.as_ref(), snapshot.row(user_id.as_str()));
        let refusals = Refusals::of(user_id, snapshot.rejects());
        let rejects = refusals.all.iter().map(|refusal| OpenRejectDocument {
            reject: RejectDocument::from(*refusal),
            meanwhile: meanwhile(refusal, shown),
        });
        let image = row.and_then(|row| row.image.as_ref());
        ExplanationDocument {
            user_id: user_id.as_str(),
            version: snapshot.version().number(),
            summary: summary(user_id, row, &refusals),
            row: row.map(StoredRowDocument::from),
            run_id: row.map(|row| RunId::as_str(&row.run_id)),
            csv: row.map(|row| ObjectDocument::new(keys::csv_sources(user_id), &row.csv)),
            image: image.map(|image| ObjectDocument::new(keys::image_sources(user_id), image)),
            values: values(row),
            picture: picture(user_id, row, &refusals),
            rejects: rejects.collect(),
        }
    }
}

/// The user's open refusals by what they are of.
struct Refusals<'a> {
    all: Vec<&'a ExcludedSource>,
}

impl<'a> Refusals<'a> {
    fn of(user_id: &UserId, open: &'a [ExcludedSource]) -> Self {
        let all = open.iter().filter(|refusal| refusal.user_id.as_ref() == Some(user_id));
        Self { all: all.collect() }
    }

    /// The refused source that would count if it were good.
    fn rejected(&self, kind: SourceKind) -> Option<&'a ExcludedSource> {
        let is_wanted =
            |refusal: &&&ExcludedSource| matches!(refusal.exclusion, Exclusion::Rejected(_)) && source_kind(refusal) == Some(kind);
        self.all.iter().find(is_wanted).copied()
    }

    /// The reason for an ignored object whose name is close to that of a source of this kind.
    fn near_miss(&self, kind: SourceKind) -> Option<String> {
        let is_near = |refusal: &&&ExcludedSource| keys::near_miss_of(&refusal.key).is_some_and(|near| near.kind == kind);
        let near = self.all.iter().find(is_near)?.reason();
        Some(format!("{}; {}", near.found, near.remedy))
    }

    /// Whether an image was accepted that no row links, because the CSV is rejected.
    fn has_valid_image(&self) -> bool {
        self.all.iter().any(|refusal| refusal.valid_image.is_some())
    }

    fn has_orphan(&self) -> bool {
        self.all
            .iter()
            .any(|refusal| refusal.exclusion == Exclusion::Ignored(IgnoreCode::OrphanImage))
    }
}

fn source_kind(refusal: &ExcludedSource) -> Option<SourceKind> {
    keys::parse_source(&refusal.key).ok().map(|source| source.kind)
}

fn summary(user_id: &UserId, row: Option<&Row>, refusals: &Refusals<'_>) -> String {
    match (row, refusals.rejected(SourceKind::Csv)) {
        (Some(row), None) => format!(
            "the row is that of the CSV with the tag {}; the run {} changed it last",
            row.csv.etag, row.run_id
        ),
        (Some(row), Some(reject)) => format!(
            "{} is rejected as it is now ({}), and the row of its last good state stays, which had the tag {}; the run {} changed it last",
            reject.key,
            reject.exclusion.code(),
            row.csv.etag,
            row.run_id
        ),
        (None, Some(reject)) => format!(
            "there is no row: {} is rejected ({}), and no state of it was good before",
            reject.key,
            reject.exclusion.code()
        ),
        (None, None) if refusals.has_orphan() => {
            let [key, _] = keys::csv_sources(user_id);
            format!("there is no row: there is a picture, but no {key}")
        }
        (None, None) => match refusals.near_miss(SourceKind::Csv) {
            Some(reason) => format!("there is no row: {reason}"),
            None => match refusals.all.first() {
                Some(refusal) => format!("there is no row: {}", refusal.reason().found),
                None => "there is no row, and no source of the user".to_owned(),
            },
        },
    }
}

fn picture(user_id: &UserId, row: Option<&Row>, refusals: &Refusals<'_>) -> PictureDocument {
    let linked = row.and_then(|row| row.image.as_ref());
    let rejected = refusals.rejected(SourceKind::Image);
    let [key, _] = keys::image_sources(user_id);
    let (state, reason) = match (linked, rejected) {
        (Some(image), None) => (
            "linked",
            format!("the picture with the tag {} passed all checks, and is copied", image.etag),
        ),
        (Some(image), Some(reject)) => (
            "linked",
            format!(
                "{} is rejected as it is now ({}), and the copy of its last good state stays, which had the tag {}",
                reject.key,
                reject.exclusion.code(),
                image.etag
            ),
        ),
        (None, Some(reject)) => ("rejected", format!("{} is rejected ({})", reject.key, reject.exclusion.code())),
        (None, None) if refusals.has_orphan() || refusals.has_valid_image() => {
            ("unused", format!("{key} is linked as soon as the user has a row"))
        }
        (None, None) => match refusals.near_miss(SourceKind::Image) {
            Some(reason) => ("missing", format!("there is no {key}: {reason}")),
            None => ("missing", format!("the run that looked last found no {key}")),
        },
    };
    PictureDocument { state, reason }
}

fn values(row: Option<&Row>) -> Vec<ValueDocument> {
    let Some(row) = row else { return Vec::new() };
    let img_path = match row.image {
        Some(_) => "the key of the copy of the user's picture, which passed all checks",
        None => "null, as there is no picture; `picture` tells why",
    };
    let rules = [
        ("user_id", "the CSV's name without its extension, as it stands"),
        (
            "first_name",
            "the CSV's field of this name, without white space and zero-width characters around it",
        ),
        (
            "last_name",
            "the CSV's field of this name, without white space and zero-width characters around it",
        ),
        (
            "birthts",
            "the CSV's field of this name as milliseconds since 1970-01-01 UTC; a plus sign or a fraction of zero is left out",
        ),
        ("img_path", img_path),
    ];
    rules.into_iter().map(|(column, rule)| ValueDocument { column, rule }).collect()
}

/// What is served of a user as long as a source of theirs is refused.
pub fn meanwhile(refusal: &ExcludedSource, row: Option<RowView<'_>>) -> &'static str {
    let is_rejected = matches!(refusal.exclusion, Exclusion::Rejected(_));
    match (source_kind(refusal), row) {
        _ if !is_rejected => "the object is passed over",
        (Some(SourceKind::Csv), Some(_)) => "the row of the last good CSV",
        (Some(SourceKind::Csv), None) => "no row",
        (Some(SourceKind::Image), Some(row)) if row.has_image => "the last good picture",
        _ => "no picture",
    }
}

/// The provenance of one user's row.
///
/// The objects in the lake and the run that the row comes from, the rule for each value, the user's open rejects, and why there is no image or
/// no row.
#[utoipa::path(
    get,
    path = "/data/{user_id}/explain",
    operation_id = "explainRow",
    tag = "data",
    params(UserPath, MomentParameters),
    responses(
        (status = 200, description = "The explanation", body = ExplanationDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is neither a row nor a source of the user, or no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show(
    AskedUser(user_id): AskedUser,
    _: MomentAlone,
    reading: Reading,
    _: StoreReadPermit,
    State(past): State<PastVersions>,
) -> Result<Response, Problem> {
    let explanation = Explanation::gather(user_id, &reading.snapshot, &past).await?;
    Ok((reading.age(), Json(explanation.document())).into_response())
}
