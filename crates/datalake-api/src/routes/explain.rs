//! `GET /data/{user_id}/explain`: where a user's values come from, and why a user has no row.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::{
    dataset::{self as declared, ColumnType, Dataset, FileColumn, KeyRole, Origin},
    keys,
    query::column::Column,
    reject::{ExcludedSource, Exclusion, IgnoreCode},
    row::{Provenance, Row, RowView},
    row_id::{RowId, shown},
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
    pub user_id: Cow<'a, str>,
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
    /// Every file of the row, if the declaration has several. `image` and `image_status` are those of the first one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDocument<'a>>,
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

/// One of several files of the row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedFile)]
pub struct FileDocument<'a> {
    /// The name in the declaration.
    pub name: &'a str,
    /// The file that the row links.
    #[schema(required)]
    pub object: Option<ObjectDocument<'a>>,
    /// Whether the row links the file, and why not.
    pub status: ImageStatusDocument,
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

impl ExplanationDocument<'_> {
    /// The file of this index in the declaration, if the row links it, and its status. None if the declaration has no such file.
    pub fn file(&self, index: usize) -> Option<(Option<&ObjectDocument<'_>>, &ImageStatusDocument)> {
        match self.files.get(index) {
            Some(file) => Some((file.object.as_ref(), &file.status)),
            None => (index == 0).then_some((self.image.as_ref(), &self.image_status)),
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
    pub fn document<'a>(&'a self) -> ExplanationDocument<'a> {
        let Self { user_id, snapshot, row } = self;
        let dataset = snapshot.dataset();
        let (row, current) = (row.as_ref(), snapshot.row(user_id.as_str()));
        let rejects = RowRejects::of(dataset, user_id, snapshot.rejects());
        let documents = rejects.all.iter().map(|open| OpenRejectDocument {
            reject: RejectDocument::of(dataset, open),
            served: served(dataset, open, current),
        });
        let object = |index: usize| {
            let linked = row.and_then(|row| row.file(index))?;
            Some(ObjectDocument::new(keys::file_sources(&dataset.files()[index], user_id), linked))
        };
        let file = |(index, file): (usize, &'a FileColumn)| FileDocument {
            name: &file.name,
            object: object(index),
            status: file_status(user_id, row, index, &rejects),
        };
        let has_several_files = dataset.files().len() > 1;
        ExplanationDocument {
            user_id: shown(user_id.as_str()),
            version: snapshot.version().number(),
            summary: summary(user_id, row, &rejects),
            row: row.map(|row| StoredRowDocument::of(row, snapshot.dataset())),
            run_id: row.map(|row| RunId::as_str(&row.run_id)),
            csv: row.map(|row| ObjectDocument::new(keys::csv_sources(dataset, user_id), &row.csv)),
            image: object(0),
            values: values(dataset, row),
            image_status: file_status(user_id, row, 0, &rejects),
            files: dataset.files().iter().enumerate().filter(|_| has_several_files).map(file).collect(),
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

    /// The rejected source of this role.
    fn rejected(&self, role: KeyRole) -> Option<&'a ExcludedSource> {
        let is_requested =
            |open: &&&ExcludedSource| matches!(open.exclusion, Exclusion::Rejected(_)) && role_of(self.dataset, open) == Some(role);
        self.all.iter().find(is_requested).copied()
    }

    /// The reason for an ignored object whose name is similar to that of a source of this role.
    fn near_miss(&self, role: KeyRole) -> Option<String> {
        let is_near = |open: &&&ExcludedSource| keys::near_miss_of(self.dataset, &open.key).is_some_and(|near| near.role == role);
        let near = self.all.iter().find(is_near)?.reason(self.dataset);
        Some(format!("{}; {}", near.found, near.remedy))
    }

    /// Whether there is a valid file that no row links, because the CSV is rejected.
    fn has_valid_file(&self, index: usize) -> bool {
        self.all.iter().any(|open| open.has_valid_file(index))
    }

    /// The index of the first file without a CSV.
    fn orphan(&self) -> Option<usize> {
        self.orphans().next()
    }

    /// The indexes of the files without a CSV.
    fn orphans(&self) -> impl Iterator<Item = usize> {
        let is_orphan = |open: &&&ExcludedSource| open.exclusion == Exclusion::Ignored(IgnoreCode::OrphanImage);
        { self.all.iter() }
            .filter(is_orphan)
            .filter_map(|open| match role_of(self.dataset, open) {
                Some(KeyRole::File(index)) => Some(index),
                _ => None,
            })
    }
}

/// The first spelling of a key.
fn first(keys: Vec<String>) -> String {
    keys.into_iter().next().unwrap_or_default()
}

fn role_of(dataset: &Dataset, open: &ExcludedSource) -> Option<KeyRole> {
    keys::parse_source(dataset, &open.key).ok().map(|source| source.role)
}

fn summary(user_id: &RowId, row: Option<&Row>, rejects: &RowRejects<'_>) -> String {
    let dataset = rejects.dataset;
    match (row, rejects.rejected(KeyRole::Source)) {
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
        (None, None) => match (rejects.orphan(), rejects.near_miss(KeyRole::Source), rejects.all.first()) {
            (Some(index), ..) => {
                let key = first(keys::csv_sources(dataset, user_id));
                format!(
                    "there is no row: there is {}, but no {key}",
                    with_article(&dataset.files()[index].name)
                )
            }
            (None, Some(reason), _) => format!("there is no row: {reason}"),
            (None, None, Some(open)) => format!("there is no row: {}", open.reason(dataset).found),
            (None, None, None) => format!("there is no row, and the {} has no source", dataset.entity()),
        },
    }
}

/// Whether the row links the file of this index.
fn file_status(user_id: &RowId, row: Option<&Row>, index: usize, rejects: &RowRejects<'_>) -> ImageStatusDocument {
    let dataset = rejects.dataset;
    let Some(file) = dataset.files().get(index) else {
        return ImageStatusDocument {
            state: "missing",
            reason: "the declaration has no files".to_owned(),
        };
    };
    let linked = row.and_then(|row| row.file(index));
    let rejected = rejects.rejected(KeyRole::File(index));
    let key = first(keys::file_sources(file, user_id));
    let (name, is_copied) = (&file.name, file.copy_to.is_some());
    let (state, reason) = match (linked, rejected) {
        (Some(_), None) => ("linked", format!("the {name} is valid")),
        (Some(linked), Some(reject)) => (
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
                linked.etag,
                if is_copied { "kept" } else { "not served, because it was replaced" }
            ),
        ),
        (None, Some(reject)) => ("rejected", format!("{} is rejected ({})", reject.key, reject.exclusion.code())),
        (None, None) if rejects.orphans().any(|orphan| orphan == index) || rejects.has_valid_file(index) => {
            ("unused", format!("{key} will be linked when the {} has a row", dataset.entity()))
        }
        (None, None) => match rejects.near_miss(KeyRole::File(index)) {
            Some(reason) => ("missing", format!("there is no {key}: {reason}")),
            None => ("missing", format!("the last run found no {key}")),
        },
    };
    ImageStatusDocument { state, reason }
}

fn values<'a>(dataset: &'a Dataset, row: Option<&Row>) -> Vec<ValueDocument<'a>> {
    let Some(row) = row else { return Vec::new() };
    let rule = |column: Column| match column {
        Column::KEY if column.is_whole_id(dataset) => "the name of the CSV without its extension, unchanged".to_owned(),
        column if column.is_of_id(dataset) => format!("the part of the key of the CSV where its pattern has {{{}}}", column.name(dataset)),
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
    match (role_of(dataset, open), row) {
        _ if !is_rejected => Served::WithoutObject,
        (Some(KeyRole::Source), Some(_)) => Served::LastRow,
        (Some(KeyRole::Source), None) => Served::NoRow,
        (Some(KeyRole::File(index)), Some(row)) if row.has_file(index) => Served::LastFile(&dataset.files()[index].name),
        (Some(KeyRole::File(index)), _) => Served::NoFile(&dataset.files()[index].name),
        (None, _) => Served::NoFile("file"),
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
