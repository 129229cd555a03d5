//! Encodes and decodes rows as Parquet. All functions are pure and CPU-bound, and run on blocking threads.

use std::io::Cursor;

use bytes::Bytes;
use datalake_core::{
    keys,
    row::{Provenance, Row},
    run::RunId,
    user::{BirthTimestamp, UserId, UserRecord},
};
use datalake_store::simulation;
use jiff::Timestamp;
use polars::prelude::{
    Column as PolarsColumn, DataFrame, DataType, Int64Chunked, IntoColumn, ParquetReader, PolarsError, SerReader, Series, StringChunked,
    TimeUnit, TimeZone,
};
use serde_json::json;

use crate::{
    delta::{
        actions::{Bounds, Stats},
        parquet_writer::parquet_writer,
        recorded_sources::RecordedSources,
        schema::{
            BIRTHTS, COLUMNS, CSV_ETAG, CSV_MODIFIED, CSV_SIZE, ColumnType, FIRST_NAME, IMAGE_ETAG, IMAGE_MODIFIED, IMAGE_SIZE, IMG_PATH,
            LAST_NAME, RUN_ID, USER_ID, find_column,
        },
    },
    error::TableError,
};

/// An encoded data file.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) stats: Stats,
}

/// Encodes rows as one Parquet file. `rows` are sorted and not empty. Equal rows give equal bytes.
pub(crate) fn encode(rows: &[Row]) -> Result<Encoded, TableError> {
    simulation::memoize("parquet_rows::encode", rows, || encode_now(rows))
}

fn encode_now(rows: &[Row]) -> Result<Encoded, TableError> {
    let columns = vec![
        string_column(USER_ID, rows.iter().map(|row| Some(row.user_id.as_str()))),
        string_column(FIRST_NAME, rows.iter().map(|row| Some(&*row.record.first_name))),
        string_column(LAST_NAME, rows.iter().map(|row| Some(&*row.record.last_name))),
        long_column(BIRTHTS, rows.iter().map(|row| Some(row.record.birth.as_ms()))),
        PolarsColumn::new(
            IMG_PATH.into(),
            rows.iter()
                .map(|row| row.image.as_ref().map(|_| keys::image(row.user_id.as_str())))
                .collect::<Vec<_>>(),
        ),
        string_column(CSV_ETAG, rows.iter().map(|row| Some(&*row.csv.etag))),
        long_column(CSV_SIZE, rows.iter().map(|row| Some(signed(row.csv.size)))),
        timestamp_column(CSV_MODIFIED, rows.iter().map(|row| Some(row.csv.modified))),
        string_column(IMAGE_ETAG, rows.iter().map(|row| row.image.as_ref().map(|image| &*image.etag))),
        long_column(
            IMAGE_SIZE,
            rows.iter().map(|row| row.image.as_ref().map(|image| signed(image.size))),
        ),
        timestamp_column(
            IMAGE_MODIFIED,
            rows.iter().map(|row| row.image.as_ref().map(|image| image.modified)),
        ),
        string_column(RUN_ID, rows.iter().map(|row| Some(row.run_id.as_str()))),
    ];
    Ok(Encoded {
        bytes: write(columns)?,
        stats: stats(rows),
    })
}

/// Encodes columns as one Parquet file with zstd and statistics.
pub(crate) fn write(columns: Vec<PolarsColumn>) -> Result<Bytes, TableError> {
    let failed = |error: PolarsError| TableError::undecodable("a new data file", "its rows cannot be encoded", error);
    let mut frame = DataFrame::new_infer_height(columns).map_err(failed)?;
    let mut bytes = Vec::new();
    let schema = frame.schema().clone();
    parquet_writer(&mut bytes, &schema).finish(&mut frame).map_err(failed)?;
    Ok(bytes.into())
}

/// A column of strings.
pub(crate) fn string_column<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> PolarsColumn {
    PolarsColumn::new(name.into(), values.collect::<Vec<_>>())
}

/// A column of integers.
pub(crate) fn long_column(name: &str, values: impl Iterator<Item = Option<i64>>) -> PolarsColumn {
    PolarsColumn::new(name.into(), values.collect::<Vec<_>>())
}

/// A column of timestamps, truncated to microseconds.
pub(crate) fn timestamp_column(name: &str, values: impl Iterator<Item = Option<Timestamp>>) -> PolarsColumn {
    let values: Int64Chunked = values.map(|time| time.map(Timestamp::as_microsecond)).collect();
    values
        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        .into_column()
        .with_name(name.into())
}

/// The size of an object, which never reaches 2^63 bytes.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn stats(rows: &[Row]) -> Stats {
    let births = || rows.iter().map(|row| row.record.birth.as_ms());
    let without_image = rows.iter().filter(|row| row.image.is_none()).count();
    let nulls = |is_of_image| if is_of_image { json!(without_image) } else { json!(0) };
    Stats {
        num_records: u64::try_from(rows.len()).ok(),
        min_values: Bounds {
            user_id: rows.first().map(|row| row.user_id.to_string()),
            birthts: births().min(),
        },
        max_values: Bounds {
            user_id: rows.last().map(|row| row.user_id.to_string()),
            birthts: births().max(),
        },
        null_count: COLUMNS
            .iter()
            .map(|column| (column.name.to_owned(), nulls(column.is_of_image)))
            .collect(),
    }
}

/// The rows of a data file, in the file's order.
pub(crate) fn rows(key: &str, bytes: Bytes) -> Result<Vec<Row>, TableError> {
    let frame = read(key, bytes, &COLUMNS.map(|column| column.name))?;
    let columns = Columns { key, frame: &frame };
    let (ids, first_names, last_names) = (columns.strings(USER_ID)?, columns.strings(FIRST_NAME)?, columns.strings(LAST_NAME)?);
    let (births, run_ids, images) = (columns.longs(BIRTHTS)?, columns.strings(RUN_ID)?, columns.strings(IMG_PATH)?);
    let (csv_etags, csv_sizes, csv_times) = (columns.strings(CSV_ETAG)?, columns.longs(CSV_SIZE)?, columns.longs(CSV_MODIFIED)?);
    let (image_etags, image_sizes, image_times) = (
        columns.strings(IMAGE_ETAG)?,
        columns.longs(IMAGE_SIZE)?,
        columns.longs(IMAGE_MODIFIED)?,
    );
    let provenance = |etag: &str, size: i64, micros: i64, column: &'static str| {
        let modified = Timestamp::from_microsecond(micros).map_err(|_| columns.invalid(column, "contains a time out of range"))?;
        let size = u64::try_from(size).map_err(|_| columns.invalid(column, "belongs to a negative size"))?;
        Ok::<_, TableError>(Provenance {
            etag: etag.into(),
            size,
            modified,
        })
    };
    // Consecutive rows mostly come from the same run, and share its ID.
    let mut last_run: Option<RunId> = None;
    (0..frame.height())
        .map(|row| {
            let birth = BirthTimestamp::from_ms(columns.long(births, row, BIRTHTS)?)
                .ok_or_else(|| columns.invalid(BIRTHTS, "contains a time outside the calendar"))?;
            let record = UserRecord {
                first_name: columns.string(first_names, row, FIRST_NAME)?.into(),
                last_name: columns.string(last_names, row, LAST_NAME)?.into(),
                birth,
            };
            let (csv_etag, csv_size) = (columns.string(csv_etags, row, CSV_ETAG)?, columns.long(csv_sizes, row, CSV_SIZE)?);
            let csv = provenance(csv_etag, csv_size, columns.long(csv_times, row, CSV_MODIFIED)?, CSV_MODIFIED)?;
            let image = images.get(row).map(|_| {
                let (etag, size) = (
                    columns.string(image_etags, row, IMAGE_ETAG)?,
                    columns.long(image_sizes, row, IMAGE_SIZE)?,
                );
                provenance(etag, size, columns.long(image_times, row, IMAGE_MODIFIED)?, IMAGE_MODIFIED)
            });
            let image = image.transpose()?;
            let run = columns.string(run_ids, row, RUN_ID)?;
            let run_id = match last_run.take().filter(|last| last.as_str() == run) {
                Some(last) => last,
                None => RunId::parse(run).map_err(|_| columns.invalid(RUN_ID, "contains an invalid run ID"))?,
            };
            last_run = Some(run_id.clone());
            Ok(Row {
                user_id: columns.user_id(ids, row)?,
                record,
                csv,
                image,
                run_id,
            })
        })
        .collect()
}

/// The recorded sources in a data file, in the file's order.
pub(crate) fn recorded_sources(key: &str, bytes: Bytes) -> Result<Vec<RecordedSources>, TableError> {
    let frame = read(key, bytes, &[USER_ID, CSV_ETAG, CSV_SIZE, IMAGE_ETAG, IMAGE_SIZE])?;
    let columns = Columns { key, frame: &frame };
    let (ids, csv_etags, csv_sizes) = (columns.strings(USER_ID)?, columns.strings(CSV_ETAG)?, columns.longs(CSV_SIZE)?);
    let (image_etags, image_sizes) = (columns.strings(IMAGE_ETAG)?, columns.longs(IMAGE_SIZE)?);
    let size = |value, column| u64::try_from(value).map_err(|_| columns.invalid(column, "contains a negative size"));
    (0..frame.height())
        .map(|row| {
            let image = match image_etags.get(row) {
                Some(etag) => Some((etag.into(), size(columns.long(image_sizes, row, IMAGE_SIZE)?, IMAGE_SIZE)?)),
                None => None,
            };
            let csv_size = size(columns.long(csv_sizes, row, CSV_SIZE)?, CSV_SIZE)?;
            Ok(RecordedSources {
                user_id: columns.user_id(ids, row)?,
                csv_etag: columns.string(csv_etags, row, CSV_ETAG)?.into(),
                csv_size,
                image,
            })
        })
        .collect()
}

/// The columns that readers see, sorted by user ID.
pub(crate) fn display_columns(key: &str, bytes: Bytes) -> Result<DataFrame, TableError> {
    let frame = read(key, bytes, &[USER_ID, FIRST_NAME, LAST_NAME, BIRTHTS, IMG_PATH])?;
    let ids = Columns { key, frame: &frame }.strings(USER_ID)?;
    if ids.iter().is_sorted() {
        return Ok(frame);
    }
    let sorted = frame.sort([USER_ID], polars::prelude::SortMultipleOptions::default());
    sorted.map_err(|error| TableError::undecodable(key, format!("column {USER_ID} cannot be sorted"), error))
}

/// The number of rows and the bounds of the user IDs of a file without statistics.
pub(crate) fn stats_of_file(key: &str, bytes: Bytes) -> Result<Stats, TableError> {
    let frame = read(key, bytes, &[USER_ID])?;
    let columns = Columns { key, frame: &frame };
    let ids = columns.strings(USER_ID)?;
    let (mut least, mut greatest) = (None, None);
    for row in 0..frame.height() {
        let id = columns.string(ids, row, USER_ID)?;
        least = Some(least.map_or(id, |least: &str| least.min(id)));
        greatest = Some(greatest.map_or(id, |greatest: &str| greatest.max(id)));
    }
    let bounds = |user_id: Option<&str>| Bounds {
        user_id: user_id.map(str::to_owned),
        birthts: None,
    };
    let num_records = u64::try_from(frame.height()).ok();
    Ok(Stats {
        num_records,
        min_values: bounds(least),
        max_values: bounds(greatest),
        ..Stats::default()
    })
}

/// The columns of a Parquet file in the types of the table. A missing column has only nulls, as in the protocol.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a decoder owns the bytes; only simulations decode them twice"
)]
pub(crate) fn read(key: &str, bytes: Bytes, names: &[&'static str]) -> Result<DataFrame, TableError> {
    simulation::memoize("parquet_rows::read", (&bytes, names), || read_now(key, bytes.clone(), names))
}

fn read_now(key: &str, bytes: Bytes, names: &[&'static str]) -> Result<DataFrame, TableError> {
    let failed = |error: PolarsError| TableError::undecodable(key, "the file is not valid Parquet", error);
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let present = reader.schema().map_err(failed)?;
    let wanted: Vec<String> = names
        .iter()
        .filter(|name| present.contains(name))
        .map(|name| (*name).to_owned())
        .collect();
    let height = reader.num_rows().map_err(failed)?;
    let mut frame = reader.with_columns(Some(wanted)).finish().map_err(failed)?;
    frame.rechunk_mut();
    let columns = names
        .iter()
        .map(|name| match frame.column(name) {
            // The error of the cast contains values, which must not be logged.
            Ok(column) => in_type_of_table(column, name)
                .map_err(|_| TableError::corrupt(key, format!("column {name} does not have the type of the table"))),
            Err(_) => Ok(Series::full_null((*name).into(), height, &polars_type(name)).into_column()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(height, columns).map_err(failed)
}

fn polars_type(name: &str) -> DataType {
    match find_column(name).map(|column| column.kind) {
        Some(ColumnType::Long) => DataType::Int64,
        Some(ColumnType::Timestamp) => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
        Some(ColumnType::String) | None => DataType::String,
    }
}

/// Converts a column to the type of the table: other engines may use another unit of time or a dictionary.
fn in_type_of_table(column: &PolarsColumn, name: &str) -> Result<PolarsColumn, PolarsError> {
    if find_column(name).is_none() || column.dtype() == &polars_type(name) {
        return Ok(column.clone());
    }
    match column.dtype() {
        DataType::Datetime(unit, _) => {
            let divisor = if *unit == TimeUnit::Nanoseconds { 1_000 } else { 1 };
            let factor = if *unit == TimeUnit::Milliseconds { 1_000 } else { 1 };
            let physical = column.to_physical_repr();
            let micros: Int64Chunked = physical
                .i64()?
                .iter()
                .map(|value| value.map(|value| (value * factor).div_euclid(divisor)))
                .collect();
            Ok(micros
                .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
                .into_column()
                .with_name(name.into()))
        }
        _ => column.strict_cast(&polars_type(name)),
    }
}

/// Typed access to the columns of one file, with errors that name the file and the column.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) key: &'a str,
    pub(crate) frame: &'a DataFrame,
}

impl<'a> Columns<'a> {
    pub(crate) fn strings(&self, name: &'static str) -> Result<&'a StringChunked, TableError> {
        self.frame
            .column(name)
            .and_then(PolarsColumn::str)
            .map_err(|error| self.wrong_type(name, error))
    }

    /// A column of integers, or of timestamps as microseconds.
    pub(crate) fn longs(&self, name: &'static str) -> Result<&'a Int64Chunked, TableError> {
        let column = self.frame.column(name).map_err(|error| self.wrong_type(name, error))?;
        match column.dtype() {
            DataType::Datetime(..) => column.datetime().map(polars::prelude::DatetimeChunked::physical),
            _ => column.i64(),
        }
        .map_err(|error| self.wrong_type(name, error))
    }

    pub(crate) fn string(&self, values: &'a StringChunked, row: usize, name: &'static str) -> Result<&'a str, TableError> {
        values.get(row).ok_or_else(|| self.invalid(name, "contains a null"))
    }

    pub(crate) fn long(&self, values: &Int64Chunked, row: usize, name: &'static str) -> Result<i64, TableError> {
        values.get(row).ok_or_else(|| self.invalid(name, "contains a null"))
    }

    /// The values of a string column. A null is an error.
    pub(crate) fn all_strings(&self, name: &'static str) -> Result<impl ExactSizeIterator<Item = Result<&'a str, TableError>>, TableError> {
        let (columns, values) = (*self, self.strings(name)?);
        Ok(values
            .iter()
            .map(move |value| value.ok_or_else(|| columns.invalid(name, "contains a null"))))
    }

    /// The values of an integer column. A null is an error.
    pub(crate) fn all_longs(&self, name: &'static str) -> Result<impl ExactSizeIterator<Item = Result<i64, TableError>>, TableError> {
        let (columns, values) = (*self, self.longs(name)?);
        Ok(values
            .iter()
            .map(move |value| value.ok_or_else(|| columns.invalid(name, "contains a null"))))
    }

    fn user_id(&self, ids: &'a StringChunked, row: usize) -> Result<UserId, TableError> {
        UserId::parse(self.string(ids, row, USER_ID)?).map_err(|_| self.invalid(USER_ID, "contains an invalid user ID"))
    }

    pub(crate) fn invalid(&self, name: &str, what: &str) -> TableError {
        TableError::corrupt(self.key, format!("column {name} {what}"))
    }

    fn wrong_type(&self, name: &str, error: PolarsError) -> TableError {
        TableError::undecodable(self.key, format!("column {name} has another type than in the table"), error)
    }
}
