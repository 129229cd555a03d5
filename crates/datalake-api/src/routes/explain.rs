//! `GET /data/{user_id}/explain`: where a user's values come from, and why a user has no row.

use std::{fmt, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::{
    dataset::{self as declared, ColumnType, Dataset, FileColumn, Origin},
    keys::{self, SourceKind},
    query::column::Column,
    reject::{ExcludedSource, Exclusion, IgnoreCode},
    row::{Provenance, Row, RowView},
    row_id::RowId,
    run::RunId,
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::{
    limits::requests::StoreReadPermit,
    problem::{MissingRow, Problem, responses::ReadProblems},
    request::{parameters::NoParameters, path::PathRowId, selected_snapshot::TimeTravelParameters, table_read::TableRead},
    routes::{openapi::dataset_parameters::RowPath, rejects::RejectDocument, row_document::StoredRowDocument},
    snapshots::versions::Versions,
};

/// The provenance of a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationDocument<'a> {
    /// The ID of the row.
    #[schema(example = "1000")]
    pub user_id: &'a str,
    /// The version of the table.
    pub version: u64,
    /// The reason for the state of the row, or for its absence, in one sentence.
    pub summary: String,
    /// The row; null if there is none.
    #[schema(required)]
    pub row: Option<StoredRowDocument<'a>>,
    /// The run that changed the row last; see `/runs/{run_id}`.
    #[schema(required)]
    pub run_id: Option<&'a str>,
    /// The CSV that the row was read from.
    #[schema(required)]
    pub csv: Option<ObjectDocument<'a>>,
    /// The image that the row links.
    #[schema(required)]
    pub image: Option<ObjectDocument<'a>>,
    /// The rule behind each value of the row.
    pub values: Vec<ValueDocument<'a>>,
    /// Whether the row links an image, and why not.
    pub image_status: ImageStatusDocument,
    /// The sources of the row that are rejected or ignored, and what is served instead.
    pub rejects: Vec<OpenRejectDocument<'a>>,
}

/// A source, in the state that was read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceObject)]
pub struct ObjectDocument<'a> {
    /// The key in the lake. The extension of the object may be in upper case.
    #[schema(example = "src-data/1000.csv")]
    pub key: String,
    /// The ETag of the bytes that were read.
    pub etag: &'a str,
    /// The size in bytes.
    pub size: u64,
    /// When the object was stored.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    pub modified: Timestamp,
}

/// A value of the row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedValue)]
pub struct ValueDocument<'a> {
    /// The name of the column.
    pub column: &'a str,
    /// How the value is derived.
    pub rule: String,
}

/// Whether the row links an image.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImageStatus)]
pub struct ImageStatusDocument {
    /// `linked`; `missing`: there is no image; `rejected`: the image is invalid; `unused`: there is an image, but no row.
    #[schema(example = "linked")]
    pub state: &'static str,
    /// The reason, as a message.
    pub reason: String,
}

/// A rejected or ignored source of the row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenReject)]
pub struct OpenRejectDocument<'a> {
    /// Why the source is rejected or ignored.
    #[serde(flatten)]
    pub reject: RejectDocument<'a>,
    /// What is served until the source is fixed.
    #[schema(value_type = String)]
    pub served: Served<'a>,
}

impl<'a> ObjectDocument<'a> {
    fn new(keys: Vec<String>, read: &'a Provenance) -> Self {
        Self {
            key: keys.into_iter().next().unwrap_or_default(),
            etag: &read.etag,
            size: read.size,
            modified: read.modified,
        }
    }
}

/// The data behind an explanation.
#[derive(Debug)]
pub struct Explanation {
    user_id: RowId,
    snapshot: Arc<Snapshot>,
    row: Option<Row>,
}

impl Explanation {
    /// Loads the row. A problem if the ID has neither a row nor a rejected or ignored source.
    pub async fn load(user_id: RowId, snapshot: &Arc<Snapshot>, versions: &Versions) -> Result<Self, Problem> {
        // A user without a row in memory has none in the store.
        let row = match snapshot.row(user_id.as_str()) {
            Some(_) => versions.row(snapshot.version(), &user_id).await?,
            None if RowRejects::of(snapshot.dataset(), &user_id, snapshot.rejects()).all.is_empty() => {
                return Err(Problem::NoSuchRow(MissingRow::of(snapshot.dataset())));
            }
            None => None,
        };
        Ok(Self {
            user_id,
            snapshot: Arc::clone(snapshot),
            row,
        })
    }

    /// The explanation as a document.
    pub fn document(&self) -> ExplanationDocument<'_> {
        let Self { user_id, snapshot, row } = self;
        let dataset = snapshot.dataset();
        let (row, current) = (row.as_ref(), snapshot.row(user_id.as_str()));
        let rejects = RowRejects::of(dataset, user_id, snapshot.rejects());
        let documents = rejects.all.iter().map(|open| OpenRejectDocument {
            reject: RejectDocument::of(dataset, open),
            served: served(dataset, open, current),
        });
        let image = row.and_then(|row| row.file(0));
        ExplanationDocument {
            user_id: user_id.as_str(),
            version: snapshot.version().number(),
            summary: summary(user_id, row, &rejects),
            row: row.map(|row| StoredRowDocument::of(row, snapshot.dataset())),
            run_id: row.map(|row| RunId::as_str(&row.run_id)),
            csv: row.map(|row| ObjectDocument::new(keys::csv_sources(dataset, user_id), &row.csv)),
            image: image.map(|image| ObjectDocument::new(keys::image_sources(dataset, user_id), image)),
            values: values(dataset, row),
            image_status: image_status(user_id, row, &rejects),
            rejects: documents.collect(),
        }
    }
}

/// The rejected and ignored sources of one ID.
struct RowRejects<'a> {
    dataset: &'a Dataset,
    all: Vec<&'a ExcludedSource>,
}

impl<'a> RowRejects<'a> {
    fn of(dataset: &'a Dataset, user_id: &RowId, open: &'a [ExcludedSource]) -> Self {
        let all = open.iter().filter(|open| open.row_id.as_ref() == Some(user_id));
        Self {
            dataset,
            all: all.collect(),
        }
    }

    /// The rejected source of this kind.
    fn rejected(&self, kind: SourceKind) -> Option<&'a ExcludedSource> {
        let is_requested =
            |open: &&&ExcludedSource| matches!(open.exclusion, Exclusion::Rejected(_)) && source_kind(self.dataset, open) == Some(kind);
        self.all.iter().find(is_requested).copied()
    }

    /// The reason for an ignored object whose name is similar to that of a source of this kind.
    fn near_miss(&self, kind: SourceKind) -> Option<String> {
        let is_near = |open: &&&ExcludedSource| keys::near_miss_of(self.dataset, &open.key).is_some_and(|near| near.kind == kind);
        let near = self.all.iter().find(is_near)?.reason(self.dataset);
        Some(format!("{}; {}", near.found, near.remedy))
    }

    /// Whether there is a valid image that no row links, because the CSV is rejected.
    fn has_valid_image(&self) -> bool {
        self.all.iter().any(|open| open.valid_image.is_some())
    }

    fn has_orphan(&self) -> bool {
        self.all
            .iter()
            .any(|open| open.exclusion == Exclusion::Ignored(IgnoreCode::OrphanImage))
    }
}

/// The first spelling of a key.
fn first(keys: Vec<String>) -> String {
    keys.into_iter().next().unwrap_or_default()
}

fn source_kind(dataset: &Dataset, open: &ExcludedSource) -> Option<SourceKind> {
    keys::parse_source(dataset, &open.key).ok().map(|source| source.kind)
}

fn summary(user_id: &RowId, row: Option<&Row>, rejects: &RowRejects<'_>) -> String {
    let dataset = rejects.dataset;
    match (row, rejects.rejected(SourceKind::Csv)) {
        (Some(row), None) => {
            let key = first(keys::csv_sources(dataset, user_id));
            format!(
                "this row comes from {key} (ETag {}) and was last changed by run {}",
                row.csv.etag, row.run_id
            )
        }
        (Some(row), Some(reject)) => format!(
            "{} is rejected ({}); the row of the last valid CSV (ETag {}) is kept, and was last changed by run {}",
            reject.key,
            reject.exclusion.code(),
            row.csv.etag,
            row.run_id
        ),
        (None, Some(reject)) => {
            // A valid row of an earlier declaration is removed if the current one rejects its source.
            let end = match dataset == Dataset::users() {
                true => "there was no valid CSV before",
                false => "there is no earlier row to keep",
            };
            let code = reject.exclusion.code();
            format!("there is no row: {} is rejected ({code}), and {end}", reject.key)
        }
        (None, None) if rejects.has_orphan() => {
            let key = first(keys::csv_sources(dataset, user_id));
            let file = dataset.files().first().map_or("file", |file| file.name.as_str());
            format!("there is no row: there is {}, but no {key}", with_article(file))
        }
        (None, None) => match rejects.near_miss(SourceKind::Csv) {
            Some(reason) => format!("there is no row: {reason}"),
            None => match rejects.all.first() {
                Some(open) => format!("there is no row: {}", open.reason(dataset).found),
                None => format!("there is no row, and the {} has no source", dataset.entity()),
            },
        },
    }
}

fn image_status(user_id: &RowId, row: Option<&Row>, rejects: &RowRejects<'_>) -> ImageStatusDocument {
    let dataset = rejects.dataset;
    let linked = row.and_then(|row| row.file(0));
    let rejected = rejects.rejected(SourceKind::Image);
    let key = first(keys::image_sources(dataset, user_id));
    let file = dataset.files().first();
    let name = file.map_or("file", |file| file.name.as_str());
    let is_copied = file.is_some_and(|file| file.copy_to.is_some());
    let (state, reason) = match (linked, rejected) {
        (Some(_), None) => ("linked", format!("the {name} is valid")),
        (Some(image), Some(reject)) => (
            "linked",
            format!(
                "{} is rejected ({}); the {} (ETag {}) is {}",
                reject.key,
                reject.exclusion.code(),
                if is_copied {
                    format!("copy of the last valid {name}")
                } else {
                    format!("last valid {name}")
                },
                image.etag,
                if is_copied { "kept" } else { "not served, because it was replaced" }
            ),
        ),
        (None, Some(reject)) => ("rejected", format!("{} is rejected ({})", reject.key, reject.exclusion.code())),
        (None, None) if rejects.has_orphan() || rejects.has_valid_image() => {
            ("unused", format!("{key} will be linked when the {} has a row", dataset.entity()))
        }
        (None, None) => match rejects.near_miss(SourceKind::Image) {
            Some(reason) => ("missing", format!("there is no {key}: {reason}")),
            None => ("missing", format!("the last run found no {key}")),
        },
    };
    ImageStatusDocument { state, reason }
}

fn values<'a>(dataset: &'a Dataset, row: Option<&Row>) -> Vec<ValueDocument<'a>> {
    let Some(row) = row else { return Vec::new() };
    let rule = |column: Column| match column {
        Column::KEY => "the name of the CSV without its extension, unchanged".to_owned(),
        Column::Value(index) => rule_of(&dataset.columns()[index]),
        Column::File(file) | Column::Derived(file) => rule_of_file(dataset, &dataset.files()[file], row.file(file).is_some()),
    };
    let document = |column: Column| ValueDocument {
        column: column.name(dataset),
        rule: rule(column),
    };
    Column::stored(dataset).map(document).collect()
}

fn rule_of(column: &declared::Column) -> String {
    let field = match &column.origin {
        Origin::Content(source) if **source != *column.name => format!("the field `{source}` in the CSV"),
        Origin::Content(_) | Origin::Key(_) => "the field of this name in the CSV".to_owned(),
    };
    let rule = match column.column_type {
        ColumnType::String => ", without surrounding white space and zero-width characters",
        ColumnType::EpochMs => ": milliseconds since 1970-01-01 UTC, without a plus sign and without a fraction of zero",
        ColumnType::EpochS => ": seconds since 1970-01-01 UTC, without a plus sign and without a fraction of zero",
        ColumnType::Integer => ": a whole number, without a plus sign and without a fraction of zero",
        ColumnType::Number => ": a number, in its shortest form",
        ColumnType::Boolean => ": true or false",
        ColumnType::Date => ": a day",
        ColumnType::DateTime => ": a time in UTC, to the microsecond",
    };
    field + rule
}

fn rule_of_file(dataset: &Dataset, file: &FileColumn, is_linked: bool) -> String {
    let entity = dataset.entity();
    let name = &file.name;
    match (is_linked, &file.copy_to) {
        (true, Some(_)) => format!("the key of the copy of the {entity}'s {name}, which passed all checks"),
        (true, None) => format!("the key of the {name}, which passed all checks"),
        (false, _) => format!("null, because no {name} is linked; see `image_status`"),
    }
}

/// A noun with its indefinite article.
fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// What is served of a row until its source is fixed. A file has its name in the declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served<'a> {
    /// The same as without the object, which is ignored.
    WithoutObject,
    /// The row of the last valid source.
    LastRow,
    /// No row.
    NoRow,
    /// The row with its last valid file.
    LastFile(&'a str),
    /// The row without a file.
    NoFile(&'a str),
}

impl fmt::Display for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutObject => f.write_str("the object is ignored"),
            Self::LastRow => f.write_str("the row of the last valid CSV"),
            Self::NoRow => f.write_str("no row"),
            Self::LastFile(file) => write!(f, "the last valid {file}"),
            Self::NoFile(file) => write!(f, "no {file}"),
        }
    }
}

impl Serialize for Served<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is served of a row until the source is fixed.
pub fn served<'a>(dataset: &'a Dataset, open: &ExcludedSource, row: Option<RowView<'_>>) -> Served<'a> {
    let is_rejected = matches!(open.exclusion, Exclusion::Rejected(_));
    let file = dataset.files().first().map_or("file", |file| file.name.as_str());
    match (source_kind(dataset, open), row) {
        _ if !is_rejected => Served::WithoutObject,
        (Some(SourceKind::Csv), Some(_)) => Served::LastRow,
        (Some(SourceKind::Csv), None) => Served::NoRow,
        (Some(SourceKind::Image), Some(row)) if row.has_file(0) => Served::LastFile(file),
        _ => Served::NoFile(file),
    }
}

/// Explain one ENTITY
///
/// Returns the objects in the lake and the run that the row comes from, the rule behind each value, its rejected and ignored
/// sources, and why there is no image or no row.
#[utoipa::path(
    get,
    path = "/data/{user_id}/explain",
    operation_id = "explainRow",
    tag = "data",
    params(RowPath, TimeTravelParameters),
    responses(
        ReadProblems,
        (status = 200, description = "The explanation", body = ExplanationDocument),
    )
)]
pub(crate) async fn show(
    PathRowId(user_id): PathRowId,
    TableRead(NoParameters, read_at): TableRead<NoParameters>,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let explanation = Explanation::load(user_id, &read_at.snapshot, &versions).await?;
    Ok((read_at.freshness_headers(), Json(explanation.document())).into_response())
}
