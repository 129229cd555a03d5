//! The columns of the table in the log and in Parquet files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    delta::actions::{Format, Metadata, Protocol, TextMap},
    error::TableError,
};

pub(crate) const USER_ID: &str = "user_id";
pub(crate) const FIRST_NAME: &str = "first_name";
pub(crate) const LAST_NAME: &str = "last_name";
pub(crate) const BIRTHTS: &str = "birthts";
pub(crate) const IMG_PATH: &str = "img_path";
pub(crate) const CSV_ETAG: &str = "csv_etag";
pub(crate) const CSV_SIZE: &str = "csv_size";
pub(crate) const CSV_MODIFIED: &str = "csv_modified";
pub(crate) const IMAGE_ETAG: &str = "image_etag";
pub(crate) const IMAGE_SIZE: &str = "image_size";
pub(crate) const IMAGE_MODIFIED: &str = "image_modified";
pub(crate) const RUN_ID: &str = "run_id";

/// The property with the path of the rejects file, relative to the table's root. Missing if there are no rejects.
///
/// It is in `metaData.configuration`, because every checkpoint contains that and other engines preserve it. Nothing else of reader version
/// 1 has both properties: `commitInfo` is in no checkpoint.
pub(crate) const REJECTS_PROPERTY: &str = "datalake.rejects";

/// The property with the number of ignored objects, if the rejects file does not contain all of them.
const IGNORED_PROPERTY: &str = "datalake.ignored";

/// The property with the format of what this product records in addition to the columns: the base digest of each entry, rejects files,
/// image intents. Tables without it have format 0, whose entries record no base digest.
pub(crate) const FORMAT_PROPERTY: &str = "datalake.format";

/// The format that this program writes, and the newest format that it reads.
pub(crate) const FORMAT: u64 = 2;

/// The property with the retention of removed data files, which readers of older versions need.
pub(crate) const DELETED_FILE_RETENTION_PROPERTY: &str = "delta.deletedFileRetentionDuration";

/// The property with the retention of log entries.
pub(crate) const LOG_RETENTION_PROPERTY: &str = "delta.logRetentionDuration";

/// The property with the columns whose bounds are recorded for each file. Without it, delta-rs (1.6) treats a missing bound of any column
/// as a bound that excludes all values, and `to_pyarrow_table(filters=…)` finds nothing.
const STATISTICS_COLUMNS: (&str, &str) = ("delta.dataSkippingStatsColumns", "user_id,birthts");

/// The types of columns, with their names in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnType {
    /// UTF-8.
    String,
    /// Signed 64-bit integers.
    Long,
    /// Microseconds in UTC.
    Timestamp,
}

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: ColumnType,
    /// Whether rows without an image have a null.
    pub(crate) is_of_image: bool,
}

const fn column(name: &'static str, kind: ColumnType) -> Column {
    Column {
        name,
        kind,
        is_of_image: false,
    }
}

const fn image_column(name: &'static str, kind: ColumnType) -> Column {
    Column {
        name,
        kind,
        is_of_image: true,
    }
}

/// All columns, in the order of the files.
pub(crate) const COLUMNS: [Column; 12] = [
    column(USER_ID, ColumnType::String),
    column(FIRST_NAME, ColumnType::String),
    column(LAST_NAME, ColumnType::String),
    column(BIRTHTS, ColumnType::Long),
    image_column(IMG_PATH, ColumnType::String),
    column(CSV_ETAG, ColumnType::String),
    column(CSV_SIZE, ColumnType::Long),
    column(CSV_MODIFIED, ColumnType::Timestamp),
    image_column(IMAGE_ETAG, ColumnType::String),
    image_column(IMAGE_SIZE, ColumnType::Long),
    image_column(IMAGE_MODIFIED, ColumnType::Timestamp),
    column(RUN_ID, ColumnType::String),
];

/// The column with this name.
pub(crate) fn find_column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

/// The protocol that the table declares.
pub(crate) fn protocol() -> Protocol {
    Protocol {
        min_reader_version: 1,
        min_writer_version: 2,
        reader_features: None,
        writer_features: None,
    }
}

/// The metadata of a new table.
pub(crate) fn metadata(id: String, created_ms: i64, rejects: &RejectsState) -> Metadata {
    // Other engines clean up as well, and should keep what this product's cleanup keeps.
    let kept = [LOG_RETENTION_PROPERTY, DELETED_FILE_RETENTION_PROPERTY];
    let mut configuration: TextMap = kept
        .into_iter()
        .map(|name| (name.to_owned(), Some("interval 7 days".to_owned())))
        .collect();
    configuration.insert(FORMAT_PROPERTY.to_owned(), Some(FORMAT.to_string()));
    configuration.insert(STATISTICS_COLUMNS.0.to_owned(), Some(STATISTICS_COLUMNS.1.to_owned()));
    rejects.configure(&mut configuration);
    Metadata {
        id,
        name: Some("users".to_owned()),
        description: None,
        format: Format {
            provider: "parquet".to_owned(),
            options: Some(BTreeMap::new()),
        },
        schema_string: schema_string(),
        partition_columns: Some(Vec::new()),
        configuration: Some(configuration),
        created_time: Some(created_ms),
    }
}

fn schema_string() -> String {
    let field = |column: &Column| json!({"name": column.name, "type": column.kind, "nullable": column.name != USER_ID, "metadata": {}});
    json!({"type": "struct", "fields": COLUMNS.iter().map(field).collect::<Vec<_>>()}).to_string()
}

/// What the metadata records about the rejects of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RejectsState {
    /// The path of the rejects file, relative to the table's root. None if there are no rejects.
    pub(crate) path: Option<String>,
    /// The number of ignored objects, if the file does not contain all of them.
    pub(crate) ignored: Option<u64>,
}

impl RejectsState {
    fn configure(&self, configuration: &mut TextMap) {
        let mut set = |property: &str, value: Option<String>| match value {
            Some(value) => drop(configuration.insert(property.to_owned(), Some(value))),
            None => drop(configuration.remove(property)),
        };
        set(REJECTS_PROPERTY, self.path.clone());
        set(IGNORED_PROPERTY, self.ignored.map(|count| count.to_string()));
    }
}

impl Metadata {
    /// The path of the rejects file, relative to the table's root.
    pub(crate) fn rejects_path(&self) -> Option<&str> {
        self.configured(REJECTS_PROPERTY)
    }

    /// The number of ignored objects, if the rejects file does not contain all of them.
    pub(crate) fn ignored(&self) -> Option<u64> {
        self.configured(IGNORED_PROPERTY)?.parse().ok()
    }

    /// What is recorded about the rejects.
    pub(crate) fn rejects_state(&self) -> RejectsState {
        RejectsState {
            path: self.rejects_path().map(ToOwned::to_owned),
            ignored: self.ignored(),
        }
    }

    /// The metadata of the same table with these rejects, in the current format.
    pub(crate) fn with_rejects(&self, rejects: &RejectsState) -> Self {
        let mut changed = self.clone();
        let configuration = changed.configuration.get_or_insert_default();
        configuration.insert(FORMAT_PROPERTY.to_owned(), Some(FORMAT.to_string()));
        rejects.configure(configuration);
        changed
    }

    pub(crate) fn configured(&self, property: &str) -> Option<&str> {
        self.configuration.as_ref()?.get(property)?.as_deref()
    }
}

/// Fails for tables that use unsupported parts of the protocol. Reading them would give wrong rows, and writing would break guarantees on
/// which other engines rely.
pub(crate) fn check_supported(protocol: &Protocol, metadata: &Metadata) -> Result<(), TableError> {
    let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
    if reader > 1 || writer > 2 {
        let features = [protocol.reader_features.as_deref(), protocol.writer_features.as_deref()];
        let features = features
            .into_iter()
            .flatten()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let reason = format!(
            "the protocol with reader version {reader}, writer version {writer} and features [{features}]; reader version 1 and writer version 2 are supported; another engine upgraded the table"
        );
        return Err(TableError::unsupported(reason));
    }
    if metadata.format.provider != "parquet" {
        return Err(TableError::unsupported(format!(
            "data files of format {}",
            metadata.format.provider
        )));
    }
    if metadata.partition_columns.as_ref().is_some_and(|columns| !columns.is_empty()) {
        return Err(TableError::unsupported("partition columns"));
    }
    if metadata.configured("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return Err(TableError::unsupported("column mapping"));
    }
    if metadata
        .configured("delta.appendOnly")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return Err(TableError::unsupported(
            "append-only tables; unset delta.appendOnly, because rows change",
        ));
    }
    check_format(metadata)?;
    check_columns(&metadata.schema_string)
}

fn check_format(metadata: &Metadata) -> Result<(), TableError> {
    let Some(format) = metadata.configured(FORMAT_PROPERTY) else {
        return Ok(());
    };
    match format.parse::<u64>() {
        Ok(format) if format <= FORMAT => Ok(()),
        _ => Err(TableError::unsupported(format!(
            "{FORMAT_PROPERTY} is {format}, but formats up to {FORMAT} are supported; update datalake"
        ))),
    }
}

/// Fails for a column of another engine that is not nullable or is computed. Rewritten data files do not contain such a column, so that
/// readers see nulls.
fn require_optional(name: &str, field: &Value) -> Result<(), TableError> {
    let is_nullable = field.get("nullable").and_then(Value::as_bool) == Some(true);
    let is_computed = field
        .get("metadata")
        .and_then(Value::as_object)
        .is_some_and(|metadata| metadata.keys().any(|key| key.starts_with("delta.")));
    match is_nullable && !is_computed {
        true => Ok(()),
        false => Err(TableError::unsupported(format!(
            "column {name} of another engine, which is computed or not nullable; drop it, or restore the version before it"
        ))),
    }
}

fn check_columns(schema_string: &str) -> Result<(), TableError> {
    let unreadable = || TableError::unsupported("a schema that is not a struct");
    let schema: Value = serde_json::from_str(schema_string).map_err(|_| unreadable())?;
    let fields = schema.get("fields").and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut missing: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    for field in fields {
        let name = field.get("name").and_then(Value::as_str).ok_or_else(unreadable)?;
        let Some(column) = find_column(name) else {
            require_optional(name, field)?;
            continue;
        };
        let kind = field.get("type").and_then(|kind| ColumnType::deserialize(kind).ok());
        if kind != Some(column.kind) {
            return Err(TableError::unsupported(format!("a schema in which column {name} has another type")));
        }
        if field
            .get("metadata")
            .is_some_and(|metadata| metadata.get("delta.invariants").is_some())
        {
            return Err(TableError::unsupported(format!("an invariant of column {name}")));
        }
        missing.retain(|candidate| *candidate != name);
    }
    match missing.first() {
        Some(name) => Err(TableError::unsupported(format!("a schema without column {name}"))),
        None => Ok(()),
    }
}
