//! Rows as Parquet bytes and back. Functions of their arguments; they take CPU time and belong on a blocking thread.

use std::io::Cursor;

use bytes::Bytes;
use datalake_core::{
    keys,
    report::RunId,
    row::{Provenance, Row},
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
        rows::RecordedSources,
        schema::{
            BIRTHTS, COLUMNS, CSV_ETAG, CSV_MODIFIED, CSV_SIZE, ColumnType, FIRST_NAME, IMAGE_ETAG, IMAGE_MODIFIED, IMAGE_SIZE, IMG_PATH,
            LAST_NAME, RUN_ID, USER_ID, named,
        },
    },
    error::TableError,
};

/// A data file that is not written yet.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) stats: Stats,
}

/// The rows as one Parquet file. `rows` are sorted and not empty. Equal rows give equal bytes.
pub(crate) fn encode(rows: &[Row]) -> Result<Encoded, TableError> {
    simulation::remembered("parquet_rows::encode", rows, || encode_now(rows))
}

fn encode_now(rows: &[Row]) -> Result<Encoded, TableError> {
    let columns = vec![
        texts(USER_ID, rows.iter().map(|row| Some(row.user_id.as_str()))),
        texts(FIRST_NAME, rows.iter().map(|row| Some(&*row.record.first_name))),
        texts(LAST_NAME, rows.iter().map(|row| Some(&*row.record.last_name))),
        longs(BIRTHTS, rows.iter().map(|row| Some(row.record.birth.as_ms()))),
        PolarsColumn::new(
            IMG_PATH.into(),
            rows.iter()
                .map(|row| row.image.as_ref().map(|_| keys::image(row.user_id.as_str())))
                .collect::<Vec<_>>(),
        ),
        texts(CSV_ETAG, rows.iter().map(|row| Some(&*row.csv.etag))),
        longs(CSV_SIZE, rows.iter().map(|row| Some(signed(row.csv.size)))),
        times(CSV_MODIFIED, rows.iter().map(|row| Some(row.csv.modified))),
        texts(IMAGE_ETAG, rows.iter().map(|row| row.image.as_ref().map(|image| &*image.etag))),
        longs(
            IMAGE_SIZE,
            rows.iter().map(|row| row.image.as_ref().map(|image| signed(image.size))),
        ),
        times(
            IMAGE_MODIFIED,
            rows.iter().map(|row| row.image.as_ref().map(|image| image.modified)),
        ),
        texts(RUN_ID, rows.iter().map(|row| Some(row.run_id.as_str()))),
    ];
    Ok(Encoded {
        bytes: write(columns)?,
        stats: stats(rows),
    })
}

/// Columns as one Parquet file with zstd and statistics.
pub(crate) fn write(columns: Vec<PolarsColumn>) -> Result<Bytes, TableError> {
    let failed = |error: PolarsError| TableError::undecodable("a new file", "its rows cannot be encoded", error);
    let mut frame = DataFrame::new_infer_height(columns).map_err(failed)?;
    let mut bytes = Vec::new();
    let schema = frame.schema().clone();
    parquet_writer(&mut bytes, &schema).finish(&mut frame).map_err(failed)?;
    Ok(bytes.into())
}

/// A column of texts.
pub(crate) fn texts<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> PolarsColumn {
    PolarsColumn::new(name.into(), values.collect::<Vec<_>>())
}

/// A column of numbers.
pub(crate) fn longs(name: &str, values: impl Iterator<Item = Option<i64>>) -> PolarsColumn {
    PolarsColumn::new(name.into(), values.collect::<Vec<_>>())
}

/// A column of instants, cut to microseconds.
pub(crate) fn times(name: &str, values: impl Iterator<Item = Option<Timestamp>>) -> PolarsColumn {
    let values: Int64Chunked = values.map(|time| time.map(Timestamp::as_microsecond)).collect();
    values
        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        .into_column()
        .with_name(name.into())
}

/// Sizes of objects: a store holds none of 2^63 bytes.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn stats(rows: &[Row]) -> Stats {
    let births = || rows.iter().map(|row| row.record.birth.as_ms());
    let without_image = rows.iter().filter(|row| row.image.is_none()).count();
    let nulls = |of_image| if of_image { json!(without_image) } else { json!(0) };
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
            .map(|column| (column.name.to_owned(), nulls(column.of_image)))
            .collect(),
    }
}

/// Every row of a data file, in the file's order.
pub(crate) fn rows(key: &str, bytes: Bytes) -> Result<Vec<Row>, TableError> {
    let frame = read(key, bytes, &COLUMNS.map(|column| column.name))?;
    let columns = Columns { key, frame: &frame };
    let (ids, first_names, last_names) = (columns.texts(USER_ID)?, columns.texts(FIRST_NAME)?, columns.texts(LAST_NAME)?);
    let (births, run_ids, images) = (columns.longs(BIRTHTS)?, columns.texts(RUN_ID)?, columns.texts(IMG_PATH)?);
    let (csv_etags, csv_sizes, csv_times) = (columns.texts(CSV_ETAG)?, columns.longs(CSV_SIZE)?, columns.longs(CSV_MODIFIED)?);
    let (image_etags, image_sizes, image_times) = (
        columns.texts(IMAGE_ETAG)?,
        columns.longs(IMAGE_SIZE)?,
        columns.longs(IMAGE_MODIFIED)?,
    );
    let provenance = |etag: &str, size: i64, micros: i64, column: &'static str| {
        let modified = Timestamp::from_microsecond(micros).map_err(|_| columns.wrong(column, "a time out of range"))?;
        let size = u64::try_from(size).map_err(|_| columns.wrong(column, "a negative size beside it"))?;
        Ok::<_, TableError>(Provenance {
            etag: etag.into(),
            size,
            modified,
        })
    };
    // Neighbours mostly come from one run: they share its name.
    let mut last_run: Option<RunId> = None;
    (0..frame.height())
        .map(|row| {
            let birth = BirthTimestamp::from_ms(columns.long(births, row, BIRTHTS)?)
                .ok_or_else(|| columns.wrong(BIRTHTS, "a time outside the calendar"))?;
            let record = UserRecord {
                first_name: columns.text(first_names, row, FIRST_NAME)?.into(),
                last_name: columns.text(last_names, row, LAST_NAME)?.into(),
                birth,
            };
            let (csv_etag, csv_size) = (columns.text(csv_etags, row, CSV_ETAG)?, columns.long(csv_sizes, row, CSV_SIZE)?);
            let csv = provenance(csv_etag, csv_size, columns.long(csv_times, row, CSV_MODIFIED)?, CSV_MODIFIED)?;
            let image = images.get(row).map(|_| {
                let (etag, size) = (
                    columns.text(image_etags, row, IMAGE_ETAG)?,
                    columns.long(image_sizes, row, IMAGE_SIZE)?,
                );
                provenance(etag, size, columns.long(image_times, row, IMAGE_MODIFIED)?, IMAGE_MODIFIED)
            });
            let image = image.transpose()?;
            let run = columns.text(run_ids, row, RUN_ID)?;
            let run_id = match last_run.take().filter(|last| last.as_str() == run) {
                Some(last) => last,
                None => RunId::parse(run).map_err(|_| columns.wrong(RUN_ID, "no run id"))?,
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

/// What a data file records of the users' sources, in the file's order.
pub(crate) fn recorded_sources(key: &str, bytes: Bytes) -> Result<Vec<RecordedSources>, TableError> {
    let frame = read(key, bytes, &[USER_ID, CSV_ETAG, CSV_SIZE, IMAGE_ETAG, IMAGE_SIZE])?;
    let columns = Columns { key, frame: &frame };
    let (ids, csv_etags, csv_sizes) = (columns.texts(USER_ID)?, columns.texts(CSV_ETAG)?, columns.longs(CSV_SIZE)?);
    let (image_etags, image_sizes) = (columns.texts(IMAGE_ETAG)?, columns.longs(IMAGE_SIZE)?);
    let size = |value, column| u64::try_from(value).map_err(|_| columns.wrong(column, "a negative size"));
    (0..frame.height())
        .map(|row| {
            let image = match image_etags.get(row) {
                Some(etag) => Some((etag.into(), size(columns.long(image_sizes, row, IMAGE_SIZE)?, IMAGE_SIZE)?)),
                None => None,
            };
            let csv_size = size(columns.long(csv_sizes, row, CSV_SIZE)?, CSV_SIZE)?;
            Ok(RecordedSources {
                user_id: columns.user_id(ids, row)?,
                csv_etag: columns.text(csv_etags, row, CSV_ETAG)?.into(),
                csv_size,
                image,
            })
        })
        .collect()
}

/// What a reader shows, sorted by id.
pub(crate) fn display_columns(key: &str, bytes: Bytes) -> Result<DataFrame, TableError> {
    let frame = read(key, bytes, &[USER_ID, FIRST_NAME, LAST_NAME, BIRTHTS, IMG_PATH])?;
    let ids = Columns { key, frame: &frame }.texts(USER_ID)?;
    if ids.iter().is_sorted() {
        return Ok(frame);
    }
    let sorted = frame.sort([USER_ID], polars::prelude::SortMultipleOptions::default());
    sorted.map_err(|error| TableError::undecodable(key, format!("it cannot be sorted, column={USER_ID}"), error))
}

/// Rows, least and greatest id of a file whose adder did not say.
pub(crate) fn describe(key: &str, bytes: Bytes) -> Result<Stats, TableError> {
    let frame = read(key, bytes, &[USER_ID])?;
    let columns = Columns { key, frame: &frame };
    let ids = columns.texts(USER_ID)?;
    let (mut least, mut greatest) = (None, None);
    for row in 0..frame.height() {
        let id = columns.text(ids, row, USER_ID)?;
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

/// The columns of a Parquet file, in the types of the table. A column that the file lacks is all nulls, as the protocol says.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a decoder owns the bytes; only simulations decode them twice"
)]
pub(crate) fn read(key: &str, bytes: Bytes, names: &[&'static str]) -> Result<DataFrame, TableError> {
    simulation::remembered("parquet_rows::read", (&bytes, names), || read_now(key, bytes.clone(), names))
}

fn read_now(key: &str, bytes: Bytes, names: &[&'static str]) -> Result<DataFrame, TableError> {
    let failed = |error: PolarsError| TableError::undecodable(key, "it cannot be read as Parquet", error);
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
            // The cast's own error quotes values.
            Ok(column) => in_type_of_table(column, name)
                .map_err(|_| TableError::corrupt(key, format!("values do not have the type of the table, column={name}"))),
            Err(_) => Ok(Series::full_null((*name).into(), height, &polars_type(name)).into_column()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(height, columns).map_err(failed)
}

fn polars_type(name: &str) -> DataType {
    match named(name).map(|column| column.kind) {
        Some(ColumnType::Long) => DataType::Int64,
        Some(ColumnType::Timestamp) => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
        Some(ColumnType::String) | None => DataType::String,
    }
}

/// Other engines may write another unit of time or a dictionary; the values are the same.
fn in_type_of_table(column: &PolarsColumn, name: &str) -> Result<PolarsColumn, PolarsError> {
    if named(name).is_none() || column.dtype() == &polars_type(name) {
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

/// Typed access to the columns of one file, with errors that name file and column.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) key: &'a str,
    pub(crate) frame: &'a DataFrame,
}

impl<'a> Columns<'a> {
    pub(crate) fn texts(&self, name: &'static str) -> Result<&'a StringChunked, TableError> {
        self.frame
            .column(name)
            .and_then(PolarsColumn::str)
            .map_err(|error| self.mistyped(name, error))
    }

    /// Numbers, and instants as microseconds.
    pub(crate) fn longs(&self, name: &'static str) -> Result<&'a Int64Chunked, TableError> {
        let column = self.frame.column(name).map_err(|error| self.mistyped(name, error))?;
        match column.dtype() {
            DataType::Datetime(..) => column.datetime().map(polars::prelude::DatetimeChunked::physical),
            _ => column.i64(),
        }
        .map_err(|error| self.mistyped(name, error))
    }

    pub(crate) fn text(&self, values: &'a StringChunked, row: usize, name: &'static str) -> Result<&'a str, TableError> {
        values.get(row).ok_or_else(|| self.wrong(name, "a null"))
    }

    pub(crate) fn long(&self, values: &Int64Chunked, row: usize, name: &'static str) -> Result<i64, TableError> {
        values.get(row).ok_or_else(|| self.wrong(name, "a null"))
    }

    /// Every text of a column that holds no null.
    pub(crate) fn every_text(&self, name: &'static str) -> Result<impl ExactSizeIterator<Item = Result<&'a str, TableError>>, TableError> {
        let (columns, values) = (*self, self.texts(name)?);
        Ok(values.iter().map(move |value| value.ok_or_else(|| columns.wrong(name, "a null"))))
    }

    /// Every number of a column that holds no null.
    pub(crate) fn every_long(&self, name: &'static str) -> Result<impl ExactSizeIterator<Item = Result<i64, TableError>>, TableError> {
        let (columns, values) = (*self, self.longs(name)?);
        Ok(values.iter().map(move |value| value.ok_or_else(|| columns.wrong(name, "a null"))))
    }

    fn user_id(&self, ids: &'a StringChunked, row: usize) -> Result<UserId, TableError> {
        UserId::parse(self.text(ids, row, USER_ID)?).map_err(|_| self.wrong(USER_ID, "no user id"))
    }

    pub(crate) fn wrong(&self, name: &str, what: &str) -> TableError {
        TableError::corrupt(self.key, format!("{what}, column={name}"))
    }

    fn mistyped(&self, name: &str, error: PolarsError) -> TableError {
        TableError::undecodable(self.key, format!("another type than the table's, column={name}"), error)
    }
}
