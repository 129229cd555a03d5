//! The columns of the table in the log and in Parquet files.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::dataset::{self, Dataset};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    delta::actions::{Format, Metadata, Protocol, TextMap},
    error::TableError,
};

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

/// The property with the declaration of the dataset, in canonical form. Without it, the table contains users.
const DATASET_PROPERTY: &str = "datalake.dataset";

/// The format that this program writes, and the newest format that it reads.
pub(crate) const FORMAT: u64 = 2;

/// The property with the retention of removed data files, which readers of older versions need.
pub(crate) const DELETED_FILE_RETENTION_PROPERTY: &str = "delta.deletedFileRetentionDuration";

/// The property with the retention of log entries.
pub(crate) const LOG_RETENTION_PROPERTY: &str = "delta.logRetentionDuration";

/// The property with the columns whose bounds are recorded for each file. Without it, delta-rs (1.6) treats a missing bound of any column
/// as a bound that excludes all values, and `to_pyarrow_table(filters=…)` finds nothing.
const STATISTICS_COLUMNS: &str = "delta.dataSkippingStatsColumns";

/// The types of columns, with their names in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnType {
    /// UTF-8.
    String,
    /// Signed 64-bit integers.
    Long,
    /// 64-bit floats.
    Double,
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Microseconds in UTC.
    Timestamp,
}

impl ColumnType {
    /// The type in the table of the values of a dataset's column.
    pub(crate) fn of(column_type: dataset::ColumnType) -> Self {
        match column_type {
            dataset::ColumnType::String => Self::String,
            dataset::ColumnType::Integer | dataset::ColumnType::EpochMs | dataset::ColumnType::EpochS => Self::Long,
            dataset::ColumnType::Number => Self::Double,
            dataset::ColumnType::Boolean => Self::Boolean,
            dataset::ColumnType::Date => Self::Date,
            dataset::ColumnType::DateTime => Self::Timestamp,
        }
    }
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: Box<str>,
    pub(crate) kind: ColumnType,
}

/// The columns with the provenance of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectColumns<'a> {
    pub(crate) etag: &'a str,
    pub(crate) size: &'a str,
    pub(crate) modified: &'a str,
}

/// The columns of the table of a dataset, in the order of the files: those of `output.csv`, the provenance of the source and of each file, and
/// the run that changed the row last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableSchema {
    dataset: Arc<Dataset>,
    columns: Box<[Column]>,
    /// As in `metaData`.
    text: Box<str>,
    /// The canonical declaration. None for the users, which a table without declaration contains.
    declaration: Option<Box<str>>,
}

impl TableSchema {
    /// The columns of a dataset.
    pub(crate) fn of(dataset: Arc<Dataset>) -> Self {
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let object = |name: &str| {
            [
                column(&format!("{name}_etag"), ColumnType::String),
                column(&format!("{name}_size"), ColumnType::Long),
                column(&format!("{name}_modified"), ColumnType::Timestamp),
            ]
        };
        let values = dataset.columns().iter();
        let values = values.map(|value| column(&value.name, ColumnType::of(value.column_type)));
        let paths = dataset.files().iter().map(|file| column(&file.column, ColumnType::String));
        let objects = [object(SOURCE)]
            .into_iter()
            .chain(dataset.files().iter().map(|file| object(&file.name)));
        let columns: Box<[Column]> = values
            .chain(paths)
            .chain(objects.flatten())
            .chain([column(RUN_ID, ColumnType::String)])
            .collect();
        let field = |(index, column): (usize, &Column)| json!({"name": column.name, "type": column.kind, "nullable": index >= dataset.id_columns(), "metadata": {}});
        let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
        let is_declared = dataset != Dataset::shared_users();
        Self {
            text: json!({"type": "struct", "fields": fields}).to_string().into(),
            declaration: is_declared.then(|| dataset.canonical().into()),
            columns,
            dataset,
        }
    }

    /// The columns that the metadata of a version declares.
    pub(crate) fn of_metadata(metadata: &Metadata) -> Result<Self, TableError> {
        let Some(text) = metadata.configured(DATASET_PROPERTY) else {
            return Ok(Self::of(Dataset::shared_users()));
        };
        let dataset = Dataset::parse_stored(text)
            .map_err(|error| TableError::unsupported(format!("a declaration that cannot be parsed ({error}); update datalake")))?;
        Ok(Self::of(Arc::new(dataset)))
    }

    /// Whether the metadata of a version declares these columns.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        metadata.configured(DATASET_PROPERTY) == self.declaration.as_deref()
    }

    /// The declaration of the rows.
    pub(crate) fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The text of `metaData.schemaString`, which identifies the columns.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// All columns.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns that readers see: values and the keys of files.
    pub(crate) fn visible_columns(&self) -> &[Column] {
        &self.columns[..self.dataset.columns().len() + self.dataset.files().len()]
    }

    /// The columns that identify a row.
    pub(crate) fn ids(&self) -> &[Column] {
        &self.columns[..self.dataset.id_columns()]
    }

    /// The name of the only column that identifies a row, if it is one of texts.
    pub(crate) fn only_id(&self) -> Option<&str> {
        match self.ids() {
            [id] if id.kind == ColumnType::String => Some(&id.name),
            _ => None,
        }
    }

    /// What identifies a row, for errors: `column user_id`, `columns plate and well`.
    pub(crate) fn id_in_sentence(&self) -> String {
        let names: Vec<_> = self.ids().iter().map(|column| &*column.name).collect();
        match &*names {
            [id] => format!("column {id}"),
            names => format!("columns {}", names.join(" and ")),
        }
    }

    /// The name of a column of values.
    pub(crate) fn value(&self, index: usize) -> &str {
        &self.columns[index].name
    }

    /// The name of the column with the keys of a file.
    pub(crate) fn path(&self, file: usize) -> &str {
        &self.columns[self.dataset.columns().len() + file].name
    }

    /// The columns with the provenance of the source.
    pub(crate) fn source(&self) -> ObjectColumns<'_> {
        self.object(0)
    }

    /// The columns with the provenance of a file.
    pub(crate) fn file(&self, file: usize) -> ObjectColumns<'_> {
        self.object(file + 1)
    }

    fn object(&self, index: usize) -> ObjectColumns<'_> {
        let first = self.visible_columns().len() + 3 * index;
        ObjectColumns {
            etag: &self.columns[first].name,
            size: &self.columns[first + 1].name,
            modified: &self.columns[first + 2].name,
        }
    }

    /// The column with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| *column.name == *name)
    }

    /// The columns whose bounds each data file records, by their indices in the dataset: those of the ID, and values that are ordered. Bounds of times
    /// would have to be rounded to milliseconds.
    pub(crate) fn bounded(&self) -> impl Iterator<Item = usize> {
        let columns = self.dataset.columns().iter().enumerate();
        let has_bounds = |kind: dataset::ColumnType| kind.is_ordered() && kind != dataset::ColumnType::DateTime;
        columns
            .filter(move |(index, column)| *index < self.dataset.id_columns() || has_bounds(column.column_type))
            .map(|(index, _)| index)
    }

    fn configure(&self, configuration: &mut TextMap) {
        let bounded: Vec<_> = self.bounded().map(|index| self.value(index)).collect();
        configuration.insert(STATISTICS_COLUMNS.to_owned(), Some(bounded.join(",")));
        match &self.declaration {
            Some(declaration) => drop(configuration.insert(DATASET_PROPERTY.to_owned(), Some(declaration.to_string()))),
            None => drop(configuration.remove(DATASET_PROPERTY)),
        }
    }
}

/// The prefix of the columns with the provenance of the source.
const SOURCE: &str = "csv";

/// The column with the run that changed the row last.
pub(crate) const RUN_ID: &str = "run_id";

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
pub(crate) fn metadata(id: String, created_ms: i64, schema: &TableSchema, rejects: &RejectsState) -> Metadata {
    // Other engines clean up as well, and should keep what this product's cleanup keeps.
    let kept = [LOG_RETENTION_PROPERTY, DELETED_FILE_RETENTION_PROPERTY];
    let mut configuration: TextMap = kept
        .into_iter()
        .map(|name| (name.to_owned(), Some("interval 7 days".to_owned())))
        .collect();
    configuration.insert(FORMAT_PROPERTY.to_owned(), Some(FORMAT.to_string()));
    schema.configure(&mut configuration);
    rejects.configure(&mut configuration);
    Metadata {
        id,
        name: Some("users".to_owned()),
        description: None,
        format: Format {
            provider: "parquet".to_owned(),
            options: Some(BTreeMap::new()),
        },
        schema_string: schema.text().to_owned(),
        partition_columns: Some(Vec::new()),
        configuration: Some(configuration),
        created_time: Some(created_ms),
    }
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

    /// The metadata of the same table with these columns and rejects, in the current format.
    pub(crate) fn with(&self, schema: &TableSchema, rejects: &RejectsState) -> Self {
        let mut changed = self.clone();
        let is_other = !schema.is_of(self);
        if is_other {
            schema.text().clone_into(&mut changed.schema_string);
        }
        let configuration = changed.configuration.get_or_insert_default();
        configuration.insert(FORMAT_PROPERTY.to_owned(), Some(FORMAT.to_string()));
        if is_other {
            schema.configure(configuration);
        }
        rejects.configure(configuration);
        changed
    }

    pub(crate) fn configured(&self, property: &str) -> Option<&str> {
        self.configuration.as_ref()?.get(property)?.as_deref()
    }
}

/// Fails for tables that use unsupported parts of the protocol. Reading them would give wrong rows, and writing would break guarantees on
/// which other engines rely.
pub(crate) fn check_supported(protocol: &Protocol, metadata: &Metadata, own: &TableSchema) -> Result<(), TableError> {
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
    check_columns(&metadata.schema_string, own)
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

/// Fails for a column of another engine that is not nullable or is computed. Rewritten data files do not contain such a column, so
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

fn check_columns(schema_string: &str, own: &TableSchema) -> Result<(), TableError> {
    let unreadable = || TableError::unsupported("a schema that is not a struct");
    let schema: Value = serde_json::from_str(schema_string).map_err(|_| unreadable())?;
    let fields = schema.get("fields").and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut missing: Vec<&str> = own.columns().iter().map(|column| &*column.name).collect();
    for field in fields {
        let name = field.get("name").and_then(Value::as_str).ok_or_else(unreadable)?;
        let Some(column) = own.find(name) else {
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
