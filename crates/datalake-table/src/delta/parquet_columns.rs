//! Columns of Parquet files: encoded from values, and decoded to typed columns. All functions are pure and CPU-bound, and run on blocking threads.

use std::{borrow::Cow, io::Cursor};

use bytes::Bytes;
use datalake_core::{
    calendar::Day,
    dataset::{self, Value, ValueRef},
    row_id::RowId,
};
use datalake_store::simulation;
use jiff::Timestamp;
use polars::prelude::{
    BooleanChunked, Column as PolarsColumn, DataFrame, DataType, Float64Chunked, Int32Chunked, Int64Chunked, IntoColumn, ParquetReader,
    PolarsError, SerReader, Series, StringChunked, TimeUnit, TimeZone,
};

use crate::{
    delta::{
        parquet_writer::parquet_writer,
        schema::{Column, ColumnType, TableSchema},
    },
    error::TableError,
};

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
    timestamps(name, values.map(|time| time.map(Timestamp::as_microsecond)).collect())
}

fn timestamps(name: &str, microseconds: Int64Chunked) -> PolarsColumn {
    microseconds
        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        .into_column()
        .with_name(name.into())
}

/// A column of a dataset's values.
pub(crate) fn value_column<'a>(column: &Column, values: impl Iterator<Item = Option<&'a Value>>) -> PolarsColumn {
    let (name, values) = (&*column.name, values.map(|value| value.map(Value::as_ref)));
    let long = |value| match value {
        ValueRef::Integer(number) | ValueRef::DateTime(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number) => Some(number),
        _ => None,
    };
    match column.kind {
        ColumnType::String => string_column(
            name,
            values.map(|value| match value? {
                ValueRef::Text(text) => Some(text),
                _ => None,
            }),
        ),
        ColumnType::Long => long_column(name, values.map(|value| value.and_then(long))),
        ColumnType::Timestamp => timestamps(name, values.map(|value| value.and_then(long)).collect()),
        ColumnType::Double => {
            let double = |value| match value {
                ValueRef::Number(number) => Some(number),
                _ => None,
            };
            PolarsColumn::new(name.into(), values.map(|value| value.and_then(double)).collect::<Vec<_>>())
        }
        ColumnType::Boolean => {
            let boolean = |value| match value {
                ValueRef::Boolean(value) => Some(value),
                _ => None,
            };
            PolarsColumn::new(name.into(), values.map(|value| value.and_then(boolean)).collect::<Vec<_>>())
        }
        ColumnType::Date => {
            let day = |value: ValueRef<'_>| value.day().map(Day::number);
            let days: Int32Chunked = values.map(|value| value.and_then(day)).collect();
            days.into_date().into_column().with_name(name.into())
        }
    }
}

/// The columns of a Parquet file in the types of the table. A missing column has only nulls, as in the protocol.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a decoder owns the bytes; only simulations decode them twice"
)]
pub(crate) fn read(key: &str, bytes: Bytes, wanted: &[RequestedColumn<'_>]) -> Result<DataFrame, TableError> {
    simulation::memoize("parquet_columns::read", (&bytes, wanted), || read_now(key, bytes.clone(), wanted))
}

/// A column that is read, and its type; none if it is read in the type that it has.
pub(crate) type RequestedColumn<'a> = (&'a str, Option<ColumnType>);

fn read_now(key: &str, bytes: Bytes, wanted: &[RequestedColumn<'_>]) -> Result<DataFrame, TableError> {
    let failed = |error: PolarsError| TableError::undecodable(key, "the file is not valid Parquet", error);
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let schema = reader.schema().map_err(failed)?;
    let names = wanted.iter().map(|(name, _)| *name);
    let present: Vec<String> = names.filter(|name| schema.contains(name)).map(str::to_owned).collect();
    let height = reader.num_rows().map_err(failed)?;
    let mut frame = reader.with_columns(Some(present)).finish().map_err(failed)?;
    frame.rechunk_mut();
    let columns = wanted
        .iter()
        .map(|(name, kind)| match (frame.column(name), kind) {
            (Ok(column), None) => Ok(column.clone()),
            // The error of the cast contains values, which must not be logged.
            (Ok(column), Some(kind)) => in_type_of_table(column, name, *kind)
                .map_err(|_| TableError::corrupt(key, format!("column {name} does not have the type of the table"))),
            (Err(_), kind) => {
                let data_type = polars_type(kind.unwrap_or(ColumnType::String));
                Ok(Series::full_null((*name).into(), height, &data_type).into_column())
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(height, columns).map_err(failed)
}

fn polars_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::String,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date,
        ColumnType::Timestamp => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
    }
}

/// Converts a column to the type of the table: other engines may use another unit of time or a dictionary.
fn in_type_of_table(column: &PolarsColumn, name: &str, kind: ColumnType) -> Result<PolarsColumn, PolarsError> {
    let data_type = polars_type(kind);
    if column.dtype() == &data_type {
        return Ok(column.clone());
    }
    match column.dtype() {
        DataType::Datetime(unit, _) => {
            let divisor = if *unit == TimeUnit::Nanoseconds { 1_000 } else { 1 };
            let factor = if *unit == TimeUnit::Milliseconds { 1_000 } else { 1 };
            let physical = column.to_physical_repr();
            let micros = physical
                .i64()?
                .iter()
                .map(|value| value.map(|value| (value * factor).div_euclid(divisor)));
            Ok(timestamps(name, micros.collect()))
        }
        _ => column.strict_cast(&data_type),
    }
}

/// Typed access to the columns of one file, with errors that name the file and the column.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) key: &'a str,
    pub(crate) frame: &'a DataFrame,
}

impl<'a> Columns<'a> {
    pub(crate) fn strings(&self, name: &str) -> Result<&'a StringChunked, TableError> {
        self.frame
            .column(name)
            .and_then(PolarsColumn::str)
            .map_err(|error| self.wrong_type(name, error))
    }

    /// A column of integers, or of timestamps as microseconds.
    pub(crate) fn longs(&self, name: &str) -> Result<&'a Int64Chunked, TableError> {
        let column = self.frame.column(name).map_err(|error| self.wrong_type(name, error))?;
        match column.dtype() {
            DataType::Datetime(..) => column.datetime().map(polars::prelude::DatetimeChunked::physical),
            _ => column.i64(),
        }
        .map_err(|error| self.wrong_type(name, error))
    }

    pub(crate) fn string(&self, values: &'a StringChunked, row: usize, name: &str) -> Result<&'a str, TableError> {
        values.get(row).ok_or_else(|| self.invalid(name, "contains a null"))
    }

    pub(crate) fn long(&self, values: &Int64Chunked, row: usize, name: &str) -> Result<i64, TableError> {
        values.get(row).ok_or_else(|| self.invalid(name, "contains a null"))
    }

    /// The IDs of the rows.
    pub(crate) fn ids(&self, schema: &'a TableSchema) -> Result<Ids<'a>, TableError> {
        let columns = schema.ids().iter().zip(schema.dataset().columns());
        let values = columns.map(|(id, column)| self.values(&id.name, column));
        Ok(Ids {
            columns: *self,
            schema,
            values: values.collect::<Result<_, TableError>>()?,
        })
    }

    /// The values of a column of a dataset.
    pub(crate) fn values(&self, name: &'a str, column: &'a dataset::Column) -> Result<ValueColumn<'a>, TableError> {
        let frame_column = self.frame.column(name).map_err(|error| self.wrong_type(name, error))?;
        let cells = match ColumnType::of(column.column_type) {
            ColumnType::String => frame_column.str().map(Cells::Strings),
            ColumnType::Long => frame_column.i64().map(Cells::Longs),
            ColumnType::Double => frame_column.f64().map(Cells::Doubles),
            ColumnType::Boolean => frame_column.bool().map(Cells::Booleans),
            ColumnType::Date => frame_column.date().map(|dates| Cells::Dates(dates.physical())),
            ColumnType::Timestamp => frame_column.datetime().map(|times| Cells::Longs(times.physical())),
        };
        Ok(ValueColumn {
            columns: *self,
            name,
            column,
            cells: cells.map_err(|error| self.wrong_type(name, error))?,
        })
    }

    pub(crate) fn invalid(&self, name: &str, what: &str) -> TableError {
        TableError::corrupt(self.key, format!("column {name} {what}"))
    }

    fn wrong_type(&self, name: &str, error: PolarsError) -> TableError {
        TableError::undecodable(self.key, format!("column {name} has another type than in the table"), error)
    }
}

/// The columns of one file that identify its rows.
#[derive(Clone)]
pub(crate) struct Ids<'a> {
    columns: Columns<'a>,
    schema: &'a TableSchema,
    values: Box<[ValueColumn<'a>]>,
}

impl<'a> Ids<'a> {
    /// The text of the ID of a row. A null is an error.
    pub(crate) fn text(&self, row: usize) -> Result<Cow<'a, str>, TableError> {
        let text_of = |values: &ValueColumn<'a>| match values.get(row)? {
            Some(ValueRef::Text(text)) => Ok(Cow::Borrowed(text)),
            // Placeholders are required.
            value => Ok::<_, TableError>(value.map_or(Cow::Borrowed(""), |value| values.column.key_text(value).into())),
        };
        let [first, others @ ..] = &*self.values else {
            return Ok(Cow::Borrowed(""));
        };
        let mut text = text_of(first)?;
        for values in others {
            let value = text_of(values)?;
            let text = text.to_mut();
            text.push(RowId::SEPARATOR);
            text.push_str(&value);
        }
        Ok(text)
    }

    /// The texts of all IDs.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Result<Cow<'a, str>, TableError>> {
        (0..self.columns.frame.height()).map(|row| self.text(row))
    }

    /// The ID of a row.
    pub(crate) fn row_id(&self, row: usize) -> Result<RowId, TableError> {
        let row_id = RowId::parse(&self.text(row)?).ok();
        // A value of another engine could contain the separator.
        let row_id = row_id.filter(|row_id| row_id.values().count() == self.values.len());
        row_id.ok_or_else(|| self.invalid("an invalid ID"))
    }

    /// An error about all columns.
    pub(crate) fn invalid(&self, what: &str) -> TableError {
        TableError::corrupt(self.columns.key, format!("{} contains {what}", self.schema.id_in_sentence()))
    }
}

/// A column of a dataset's values in one file.
#[derive(Clone, Copy)]
pub(crate) struct ValueColumn<'a> {
    columns: Columns<'a>,
    name: &'a str,
    column: &'a dataset::Column,
    cells: Cells<'a>,
}

#[derive(Clone, Copy)]
enum Cells<'a> {
    Strings(&'a StringChunked),
    Longs(&'a Int64Chunked),
    Doubles(&'a Float64Chunked),
    Booleans(&'a BooleanChunked),
    Dates(&'a Int32Chunked),
}

impl<'a> ValueColumn<'a> {
    /// The value of a row. A null of a required column, and a value that no source can have, are errors.
    pub(crate) fn get(&self, row: usize) -> Result<Option<ValueRef<'a>>, TableError> {
        let value = match self.cells {
            Cells::Strings(values) => values.get(row).map(ValueRef::Text),
            Cells::Longs(values) => values.get(row).map(|number| match self.column.column_type {
                dataset::ColumnType::EpochMs => ValueRef::EpochMs(number),
                dataset::ColumnType::EpochS => ValueRef::EpochS(number),
                dataset::ColumnType::DateTime => ValueRef::DateTime(number),
                _ => ValueRef::Integer(number),
            }),
            Cells::Doubles(values) => values.get(row).map(ValueRef::Number),
            Cells::Booleans(values) => values.get(row).map(ValueRef::Boolean),
            Cells::Dates(values) => match values.get(row) {
                Some(number) => Some(ValueRef::Date(self.day(number)?)),
                None => None,
            },
        };
        match value {
            None if self.column.constraints.is_required => Err(self.columns.invalid(self.name, "contains a null")),
            Some(value) if self.column.column_type.has_day() && value.day().is_none() => Err(self.outside_of_calendar()),
            value => Ok(value),
        }
    }

    /// The values of all rows.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Result<Option<ValueRef<'a>>, TableError>> + use<'a> {
        let column = *self;
        (0..self.columns.frame.height()).map(move |row| column.get(row))
    }

    fn day(&self, number: i32) -> Result<Day, TableError> {
        Day::from_number(number).ok_or_else(|| self.outside_of_calendar())
    }

    fn outside_of_calendar(&self) -> TableError {
        self.columns.invalid(self.name, "contains a time outside the calendar")
    }
}
