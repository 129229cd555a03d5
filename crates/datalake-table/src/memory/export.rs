//! Exports rows as Parquet and Arrow, in batches: only one batch is in memory, whatever the number of rows.

use std::{
    io::{self, Write},
    sync::Arc,
};

use datalake_core::{
    calendar::{Ages, Day},
    dataset::{ColumnType, Dataset, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
};
use parking_lot::Mutex;
use polars::prelude::{
    Column as PolarsColumn, CompatLevel, DataFrame, DataType, Field, Int32Chunked, Int64Chunked, IntoColumn, PolarsError, Schema,
    SchemaExt, TimeUnit, TimeZone,
};
use polars_arrow::io::ipc::write::{StreamWriter, WriteOptions};

use crate::{delta::parquet_writer::parquet_writer, error::TableError, memory::row_cursor::RowCursor};

/// The rows of a row group: some 3 MB of text, which is enough for compression, and small enough that a reader of a range reads little
/// more.
const GROUP_ROWS: usize = 65_536;

/// The rows of a batch of a stream: some 1 MB, so that the first batch is available quickly.
const BATCH_ROWS: usize = 8_192;

/// Writes the rows of a cursor as one Parquet file. Equal rows give equal bytes.
pub fn write_parquet(mut cursor: RowCursor, columns: &[Column], ages: Ages, file: impl Write) -> Result<(), TableError> {
    let schema = schema(cursor.dataset(), columns);
    let mut writer = parquet_writer(file, &schema).batched(&schema).map_err(failed)?;
    let mut is_first = true;
    loop {
        let batch = Batch::take(&mut cursor, columns, ages, GROUP_ROWS);
        // Some readers find no schema in a file without a row group.
        if batch.height == 0 && !is_first {
            break;
        }
        is_first = false;
        writer.write_batch(&batch.frame()?).map_err(failed)?;
    }
    writer.finish().map_err(failed).map(drop)
}

/// The rows of a cursor as an Arrow stream. Each item is a chunk of its bytes.
pub struct ArrowStream {
    cursor: RowCursor,
    columns: Box<[Column]>,
    ages: Ages,
    writer: StreamWriter<SharedBuffer>,
    buffer: SharedBuffer,
    next_part: Part,
}

/// The next part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Schema,
    Rows,
    Ended,
}

impl std::fmt::Debug for ArrowStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrowStream")
            .field("columns", &self.columns)
            .field("next_part", &self.next_part)
            .finish_non_exhaustive()
    }
}

impl ArrowStream {
    /// Starts a stream, which reads rows as it is polled.
    pub fn new(cursor: RowCursor, columns: &[Column], ages: Ages) -> Self {
        let buffer = SharedBuffer::default();
        Self {
            cursor,
            columns: columns.into(),
            ages,
            writer: StreamWriter::new(buffer.clone(), WriteOptions { compression: None }),
            buffer,
            next_part: Part::Schema,
        }
    }

    fn advance(&mut self) -> Result<(), PolarsError> {
        if self.next_part == Part::Schema {
            self.next_part = Part::Rows;
            return self
                .writer
                .start(&schema(self.cursor.dataset(), &self.columns).to_arrow(CompatLevel::oldest()), None);
        }
        let batch = Batch::take(&mut self.cursor, &self.columns, self.ages, BATCH_ROWS);
        if batch.height == 0 {
            self.next_part = Part::Ended;
            return self.writer.finish();
        }
        let frame = batch.into_frame()?;
        for chunk in frame.iter_chunks(CompatLevel::oldest(), false) {
            self.writer.write(&chunk, None)?;
        }
        Ok(())
    }
}

impl Iterator for ArrowStream {
    type Item = Result<Vec<u8>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_part == Part::Ended {
            return None;
        }
        let advanced = self.advance().map_err(failed);
        if advanced.is_err() {
            self.next_part = Part::Ended;
        }
        Some(advanced.map(|()| self.buffer.take()))
    }
}

/// A buffer of the bytes that were written since the last chunk. Clones share it.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The values of one column of a batch.
enum Values {
    Strings(Vec<Option<String>>),
    Longs(Vec<Option<i64>>),
    /// Derived integers.
    Ints(Vec<Option<i32>>),
    Doubles(Vec<Option<f64>>),
    Booleans(Vec<Option<bool>>),
    Days(Vec<Option<i32>>),
    Times(Vec<Option<i64>>),
}

/// A batch of rows, by column.
struct Batch {
    columns: Vec<(Column, String, Values)>,
    height: usize,
}

impl Batch {
    fn take(cursor: &mut RowCursor, columns: &[Column], ages: Ages, rows_max: usize) -> Self {
        let dataset = cursor.dataset();
        let empty = |column: &Column| (*column, column.name(dataset).to_string(), Values::none(dataset, *column));
        let mut batch = Self {
            columns: columns.iter().map(empty).collect(),
            height: 0,
        };
        while batch.height < rows_max {
            let Some(row) = cursor.next_row() else { break };
            for (column, _, values) in &mut batch.columns {
                values.push(*column, &row, ages);
            }
            batch.height += 1;
        }
        batch
    }

    fn frame(self) -> Result<DataFrame, TableError> {
        self.into_frame().map_err(failed)
    }

    fn into_frame(self) -> Result<DataFrame, PolarsError> {
        let column = |(_, name, values): (Column, String, Values)| {
            let name = name.into();
            match values {
                Values::Strings(strings) => PolarsColumn::new(name, strings),
                Values::Longs(longs) => PolarsColumn::new(name, longs),
                Values::Ints(ints) => PolarsColumn::new(name, ints),
                Values::Doubles(doubles) => PolarsColumn::new(name, doubles),
                Values::Booleans(booleans) => PolarsColumn::new(name, booleans),
                Values::Days(days) => {
                    let days: Int32Chunked = days.into_iter().collect();
                    days.into_date().into_column().with_name(name)
                }
                Values::Times(times) => {
                    let times: Int64Chunked = times.into_iter().collect();
                    times
                        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
                        .into_column()
                        .with_name(name)
                }
            }
        };
        DataFrame::new(self.height, self.columns.into_iter().map(column).collect())
    }
}

impl Values {
    fn none(dataset: &Dataset, column: Column) -> Self {
        match (column, column.column_type(dataset)) {
            (_, ColumnType::String) => Self::Strings(Vec::new()),
            (Column::Derived(_), ColumnType::Integer) => Self::Ints(Vec::new()),
            (_, ColumnType::Integer | ColumnType::EpochMs | ColumnType::EpochS) => Self::Longs(Vec::new()),
            (_, ColumnType::Number) => Self::Doubles(Vec::new()),
            (_, ColumnType::Boolean) => Self::Booleans(Vec::new()),
            (_, ColumnType::Date) => Self::Days(Vec::new()),
            (_, ColumnType::DateTime) => Self::Times(Vec::new()),
        }
    }

    fn push(&mut self, column: Column, row: &RowView<'_>, ages: Ages) {
        let cell = row.cell(column, ages);
        let integer = || match cell {
            Some(Cell::Value(
                ValueRef::Integer(number) | ValueRef::DateTime(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number),
            )) => Some(number),
            _ => None,
        };
        match self {
            Self::Strings(strings) => strings.push(match cell {
                Some(Cell::Value(ValueRef::Text(text))) => Some(text.to_owned()),
                Some(Cell::Path(parts)) => Some(parts.concat()),
                _ => None,
            }),
            Self::Longs(longs) | Self::Times(longs) => longs.push(integer()),
            Self::Ints(ints) => ints.push(integer().and_then(|number| i32::try_from(number).ok())),
            Self::Doubles(doubles) => doubles.push(match cell {
                Some(Cell::Value(ValueRef::Number(number))) => Some(number),
                _ => None,
            }),
            Self::Booleans(booleans) => booleans.push(match cell {
                Some(Cell::Value(ValueRef::Boolean(value))) => Some(value),
                _ => None,
            }),
            Self::Days(days) => days.push(match cell {
                Some(Cell::Value(ValueRef::Date(day))) => Some(Day::number(day)),
                _ => None,
            }),
        }
    }
}

fn schema(dataset: &Dataset, columns: &[Column]) -> Schema {
    let field = |column: &Column| {
        let data_type = match Values::none(dataset, *column) {
            Values::Strings(_) => DataType::String,
            Values::Longs(_) => DataType::Int64,
            Values::Ints(_) => DataType::Int32,
            Values::Doubles(_) => DataType::Float64,
            Values::Booleans(_) => DataType::Boolean,
            Values::Days(_) => DataType::Date,
            Values::Times(_) => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
        };
        Field::new(column.name(dataset).as_str().into(), data_type)
    };
    columns.iter().map(field).collect()
}

fn failed(error: PolarsError) -> TableError {
    TableError::undecodable("an export", "its rows cannot be encoded", error)
}
