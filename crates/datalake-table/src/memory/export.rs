//! Exports rows as Parquet and Arrow, in batches: only one batch is in memory, whatever the number of rows.

use std::{
    io::{self, Write},
    sync::Arc,
};

use datalake_core::{
    keys,
    query::column::{Column, ColumnKind},
    row::RowView,
    user::{Age, Ages},
};
use parking_lot::Mutex;
use polars::prelude::{Column as PolarsColumn, CompatLevel, DataFrame, DataType, Field, PolarsError, Schema, SchemaExt};
use polars_arrow::io::ipc::write::{StreamWriter, WriteOptions};

use crate::{delta::parquet_writer::parquet_writer, error::TableError, memory::row_cursor::RowCursor};

/// The rows of a row group: some 3 MB of text, which is enough for compression, and small enough that a reader of a range reads little
/// more.
const GROUP_ROWS: usize = 65_536;

/// The rows of a batch of a stream: some 1 MB, so that the first batch is available quickly.
const BATCH_ROWS: usize = 8_192;

/// Writes the rows of a cursor as one Parquet file. Equal rows give equal bytes.
pub fn write_parquet(mut cursor: RowCursor, columns: &[Column], ages: Ages, file: impl Write) -> Result<(), TableError> {
    let schema = schema(columns);
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
            return self.writer.start(&schema(&self.columns).to_arrow(CompatLevel::oldest()), None);
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
    Longs(Vec<i64>),
    Years(Vec<Option<i32>>),
}

/// A batch of rows, by column.
struct Batch {
    columns: Vec<(Column, Values)>,
    height: usize,
}

impl Batch {
    fn take(cursor: &mut RowCursor, columns: &[Column], ages: Ages, rows_max: usize) -> Self {
        let mut batch = Self {
            columns: columns.iter().map(|column| (*column, Values::none(*column))).collect(),
            height: 0,
        };
        while batch.height < rows_max {
            let Some(row) = cursor.next_row() else { break };
            for (column, values) in &mut batch.columns {
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
        let column = |(column, values): (Column, Values)| {
            let name = column.name().into();
            match values {
                Values::Strings(strings) => PolarsColumn::new(name, strings),
                Values::Longs(longs) => PolarsColumn::new(name, longs),
                Values::Years(years) => PolarsColumn::new(name, years),
            }
        };
        DataFrame::new(self.height, self.columns.into_iter().map(column).collect())
    }
}

impl Values {
    fn none(column: Column) -> Self {
        match column.kind() {
            ColumnKind::Text => Self::Strings(Vec::new()),
            ColumnKind::Number => Self::Years(Vec::new()),
            ColumnKind::Timestamp => Self::Longs(Vec::new()),
        }
    }

    fn push(&mut self, column: Column, row: &RowView<'_>, ages: Ages) {
        match self {
            Self::Strings(strings) => strings.push(match column {
                Column::UserId => Some(row.user_id.to_owned()),
                Column::FirstName => Some(row.first_name.to_owned()),
                Column::LastName => Some(row.last_name.to_owned()),
                Column::ImgPath => row.has_image.then(|| keys::image(row.user_id)),
                Column::Birthts | Column::Age => None,
            }),
            Self::Longs(longs) => longs.push(row.birth.as_ms()),
            Self::Years(years) => years.push(ages.of(row.birth.day()).map(|age| i32::from(Age::years(age)))),
        }
    }
}

fn schema(columns: &[Column]) -> Schema {
    let field = |column: &Column| {
        let kind = match column.kind() {
            ColumnKind::Text => DataType::String,
            ColumnKind::Number => DataType::Int32,
            ColumnKind::Timestamp => DataType::Int64,
        };
        Field::new(column.name().into(), kind)
    };
    columns.iter().map(field).collect()
}

fn failed(error: PolarsError) -> TableError {
    TableError::undecodable("an export", "its rows cannot be encoded", error)
}
