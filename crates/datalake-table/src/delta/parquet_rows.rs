//! Encodes and decodes rows as Parquet. All functions are pure and CPU-bound, and run on blocking threads.

use std::borrow::Cow;

use bytes::Bytes;
use datalake_core::{
    calendar::Day,
    count::count,
    dataset::{Value, ValueRef},
    row::{Provenance, Row},
    run::RunId,
};
use datalake_store::simulation;
use jiff::Timestamp;
use polars::prelude::{Column as PolarsColumn, DataFrame, IdxCa, IdxSize, Int64Chunked, StringChunked};
use serde_json::{Value as Json, json};

use crate::{
    delta::{
        actions::{Bounds, Stats, TextMap},
        id_bounds::{self, RowsAndBounds},
        parquet_columns::{self, Columns, RequestedColumn, long_column, string_column, timestamp_column, value_column},
        recorded_sources::RecordedSources,
        schema::{Column, ColumnType, ObjectColumns, RUN_ID, TableSchema},
    },
    error::TableError,
};

/// An encoded data file.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) stats: Stats,
    pub(crate) tags: Option<TextMap>,
}

/// Encodes rows as one Parquet file. `rows` are sorted and not empty. Equal rows give equal bytes.
pub(crate) fn encode(schema: &TableSchema, rows: &[Row]) -> Result<Encoded, TableError> {
    simulation::memoize("parquet_rows::encode", (schema.text(), rows), || encode_now(schema, rows))
}

fn encode_now(schema: &TableSchema, rows: &[Row]) -> Result<Encoded, TableError> {
    let dataset = schema.dataset();
    let mut columns = Vec::with_capacity(schema.columns().len());
    for (index, column) in schema.columns().iter().enumerate().take(dataset.columns().len()) {
        columns.push(match dataset.stored_index(index) {
            Some(stored) => value_column(column, rows.iter().map(|row| row.values[stored].as_ref())),
            None => string_column(&column.name, rows.iter().map(|row| row.row_id.values().nth(index))),
        });
    }
    for (file, file_column) in schema.dataset().files().iter().enumerate() {
        let path = |row: &Row| row.files[file].is_some().then(|| file_column.path(row.row_id.as_str()).concat());
        columns.push(PolarsColumn::new(
            schema.path(file).into(),
            rows.iter().map(path).collect::<Vec<_>>(),
        ));
    }
    columns.extend(object_columns(schema.source(), rows, |row| Some(&row.csv)));
    for file in 0..schema.dataset().files().len() {
        columns.extend(object_columns(schema.file(file), rows, |row| row.files[file].as_ref()));
    }
    columns.push(string_column(RUN_ID, rows.iter().map(|row| Some(row.run_id.as_str()))));
    Ok(Encoded {
        bytes: parquet_columns::write(columns)?,
        stats: stats(schema, rows),
        tags: id_bounds::tags(schema, rows),
    })
}

fn object_columns(names: ObjectColumns<'_>, rows: &[Row], of: impl Fn(&Row) -> Option<&Provenance>) -> [PolarsColumn; 3] {
    let objects = || rows.iter().map(&of);
    [
        string_column(names.etag, objects().map(|object| object.map(|object| &*object.etag))),
        long_column(names.size, objects().map(|object| object.map(|object| signed(object.size)))),
        timestamp_column(names.modified, objects().map(|object| object.map(|object| object.modified))),
    ]
}

/// The size of an object, which never reaches 2^63 bytes.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn stats(schema: &TableSchema, rows: &[Row]) -> Stats {
    let bounds = |is_least: bool| {
        let of_column = |index: usize| Some((schema.value(index).to_owned(), bound(schema, rows, index, is_least)?));
        Bounds(schema.bounded().filter_map(of_column).collect())
    };
    let dataset = schema.dataset();
    let (values, files) = (dataset.columns().len(), dataset.files().len());
    let nulls_of_value = |index: usize| rows.iter().filter(|row| row.values[index].is_none()).count();
    let nulls_of_file = |file: usize| rows.iter().filter(|row| row.files[file].is_none()).count();
    let nulls = |index: usize| match index {
        _ if index < values => dataset.stored_index(index).map_or(0, nulls_of_value),
        _ if index < values + files => nulls_of_file(index - values),
        // The provenance of the source, that of each file, and the run.
        _ => (index - values - files)
            .checked_sub(3)
            .filter(|after| *after < 3 * files)
            .map_or(0, |after| nulls_of_file(after / 3)),
    };
    let columns = schema.columns().iter().enumerate();
    Stats {
        num_records: u64::try_from(rows.len()).ok(),
        min_values: bounds(true),
        max_values: bounds(false),
        null_count: columns
            .map(|(index, column)| (column.name.to_string(), json!(nulls(index))))
            .collect(),
    }
}

/// The minimum or the maximum of a column, as statistics contain it. None without a value.
fn bound(schema: &TableSchema, rows: &[Row], index: usize, is_least: bool) -> Option<Json> {
    let Some(stored) = schema.dataset().stored_index(index) else {
        let texts = rows.iter().filter_map(|row| row.row_id.values().nth(index));
        return if is_least { texts.min() } else { texts.max() }.map(|text| json!(text));
    };
    let values = rows.iter().filter_map(|row| row.values[stored].as_ref().map(Value::as_ref));
    let extreme = values.reduce(|extreme, value| {
        let is_before = value
            .compare(extreme)
            .is_some_and(|order| if is_least { order.is_lt() } else { order.is_gt() });
        if is_before { value } else { extreme }
    })?;
    match extreme {
        ValueRef::Integer(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number) => Some(json!(number)),
        ValueRef::Number(number) => Some(json!(number)),
        ValueRef::Date(day) => Some(json!(Day::date(day).to_string())),
        ValueRef::Text(_) | ValueRef::Boolean(_) | ValueRef::DateTime(_) => None,
    }
}

/// The provenance of one kind of objects in a file.
struct Objects<'a> {
    columns: Columns<'a>,
    names: ObjectColumns<'a>,
    etags: &'a StringChunked,
    sizes: &'a Int64Chunked,
}

impl<'a> Objects<'a> {
    fn new(columns: Columns<'a>, names: ObjectColumns<'a>) -> Result<Self, TableError> {
        Ok(Self {
            columns,
            names,
            etags: columns.strings(names.etag)?,
            sizes: columns.longs(names.size)?,
        })
    }

    /// The ETag and the size of the object of a row, which has one.
    fn version(&self, row: usize) -> Result<(&'a str, u64), TableError> {
        let etag = self.columns.string(self.etags, row, self.names.etag)?;
        let size = self.columns.long(self.sizes, row, self.names.size)?;
        let size = u64::try_from(size).map_err(|_| self.columns.invalid(self.names.size, "contains a negative size"))?;
        Ok((etag, size))
    }

    /// The provenance of the object of a row, which has one.
    fn provenance(&self, times: &Int64Chunked, row: usize) -> Result<Provenance, TableError> {
        let (etag, size) = self.version(row)?;
        let micros = self.columns.long(times, row, self.names.modified)?;
        let modified =
            Timestamp::from_microsecond(micros).map_err(|_| self.columns.invalid(self.names.modified, "contains a time out of range"))?;
        Ok(Provenance {
            etag: etag.into(),
            size,
            modified,
        })
    }
}

fn wanted(columns: &[Column]) -> Vec<RequestedColumn<'_>> {
    columns.iter().map(|column| (&*column.name, Some(column.kind))).collect()
}

/// The rows of a data file, in the file's order.
pub(crate) fn rows(schema: &TableSchema, key: &str, bytes: Bytes) -> Result<Vec<Row>, TableError> {
    let frame = parquet_columns::read(key, bytes, &wanted(schema.columns()))?;
    let columns = Columns { key, frame: &frame };
    let (ids, run_ids) = (columns.ids(schema)?, columns.strings(RUN_ID)?);
    let dataset = schema.dataset();
    let values = dataset
        .stored_columns()
        .map(|(index, column)| columns.values(schema.value(index), column))
        .collect::<Result<Vec<_>, _>>()?;
    let object = |names: ObjectColumns<'_>| columns.longs(names.modified);
    let source = (Objects::new(columns, schema.source())?, object(schema.source())?);
    let files = (0..dataset.files().len())
        .map(|file| {
            let paths = columns.strings(schema.path(file))?;
            Ok((paths, Objects::new(columns, schema.file(file))?, object(schema.file(file))?))
        })
        .collect::<Result<Vec<_>, TableError>>()?;
    // Consecutive rows mostly come from the same run, and share its ID.
    let mut last_run: Option<RunId> = None;
    (0..frame.height())
        .map(|row| {
            let run = columns.string(run_ids, row, RUN_ID)?;
            let run_id = match last_run.take().filter(|last| last.as_str() == run) {
                Some(last) => last,
                None => RunId::parse(run).map_err(|_| columns.invalid(RUN_ID, "contains an invalid run ID"))?,
            };
            last_run = Some(run_id.clone());
            let value = |column: &parquet_columns::ValueColumn<'_>| Ok::<_, TableError>(column.get(row)?.map(ValueRef::to_value));
            let file = |(paths, objects, times): &(&StringChunked, Objects<'_>, &Int64Chunked)| {
                paths.get(row).map(|_| objects.provenance(times, row)).transpose()
            };
            Ok(Row {
                row_id: ids.row_id(row)?,
                values: values.iter().map(value).collect::<Result<_, _>>()?,
                csv: source.0.provenance(source.1, row)?,
                files: files.iter().map(file).collect::<Result<_, TableError>>()?,
                run_id,
            })
        })
        .collect()
}

/// The recorded sources in a data file, in the file's order.
pub(crate) fn recorded_sources(schema: &TableSchema, key: &str, bytes: Bytes) -> Result<Vec<RecordedSources>, TableError> {
    let objects = || {
        [schema.source()]
            .into_iter()
            .chain((0..schema.dataset().files().len()).map(|file| schema.file(file)))
    };
    let versions = objects().flat_map(|names| [(names.etag, Some(ColumnType::String)), (names.size, Some(ColumnType::Long))]);
    let wanted: Vec<_> = wanted(schema.ids()).into_iter().chain(versions).collect();
    let frame = parquet_columns::read(key, bytes, &wanted)?;
    let columns = Columns { key, frame: &frame };
    let ids = columns.ids(schema)?;
    let objects = objects().map(|names| Objects::new(columns, names)).collect::<Result<Vec<_>, _>>()?;
    let owned = |(etag, size): (&str, u64)| (Box::from(etag), size);
    (0..frame.height())
        .map(|row| {
            let file = |objects: &Objects<'_>| objects.etags.get(row).map(|_| objects.version(row).map(owned)).transpose();
            let (csv_etag, csv_size) = objects[0].version(row).map(owned)?;
            Ok(RecordedSources {
                row_id: ids.row_id(row)?,
                csv_etag,
                csv_size,
                files: objects[1..].iter().map(file).collect::<Result<_, TableError>>()?,
            })
        })
        .collect()
}

/// The columns that readers see, sorted by ID.
pub(crate) fn display_columns(schema: &TableSchema, key: &str, bytes: Bytes) -> Result<DataFrame, TableError> {
    let frame = parquet_columns::read(key, bytes, &wanted(schema.visible_columns()))?;
    let ids = Columns { key, frame: &frame }.ids(schema)?.texts().collect::<Result<Vec<_>, _>>()?;
    if ids.is_sorted() {
        return Ok(frame);
    }
    let mut rows: Vec<IdxSize> = (0..).take(ids.len()).collect();
    rows.sort_by_key(|row| usize::try_from(*row).map_or("", |row| &*ids[row]));
    let sorted = frame.take(&IdxCa::from_vec("row".into(), rows));
    sorted.map_err(|error| TableError::undecodable(key, format!("{} cannot be sorted", schema.id_in_sentence()), error))
}

/// The number of rows and the bounds of the IDs of a file whose log entry has none.
pub(crate) fn rows_and_bounds(schema: &TableSchema, key: &str, bytes: Bytes) -> Result<RowsAndBounds, TableError> {
    let frame = parquet_columns::read(key, bytes, &wanted(schema.ids()))?;
    let ids = Columns { key, frame: &frame }.ids(schema)?;
    let mut bounds: Option<(Cow<'_, str>, Cow<'_, str>)> = None;
    for text in ids.texts() {
        let text = text?;
        bounds = Some(match bounds {
            None => (text.clone(), text),
            Some((least, greatest)) => (least.min(text.clone()), greatest.max(text)),
        });
    }
    let (least, greatest) = bounds.unwrap_or_default();
    Ok(RowsAndBounds {
        rows: count(frame.height()),
        min_id: least.into(),
        max_id: greatest.into(),
    })
}
