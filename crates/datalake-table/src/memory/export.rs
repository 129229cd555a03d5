//! Rows as Parquet and Arrow bytes, batch by batch: memory holds a batch, whatever the number of rows.

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

/// Rows of a row group: some 3 MB of text, enough for compression, and small enough that a reader of a range reads little else.
const GROUP_ROWS: usize = 65_536;

/// Rows of a batch of a stream: some 1 MB, so that the first one is there at once.
const BATCH_ROWS: usize = 8_192;

/// Writes the rows of a walk as one Parquet file. The same rows make the same bytes.
pub fn write_parquet(mut walk: RowCursor, columns: &[Column], ages: Ages, file: impl Write) -> Result<(), TableError> {
    let schema = schema(columns);
    let mut writer = parquet_writer(file, &schema).batched(&schema).map_err(failed)?;
    let mut is_first = true;
    loop {
        let batch = Batch::take(&mut walk, columns, ages, GROUP_ROWS);
        // A file without a row group has no schema that every reader sees.
        if batch.height == 0 && !is_first {
            break;
        }
        is_first = false;
        writer.write_batch(&batch.frame()?).map_err(failed)?;
    }
    writer.finish().map_err(failed).map(drop)
}

/// The rows of a walk as an Arrow stream: each element is some bytes of it.
pub struct ArrowStream {
    walk: RowCursor,
    columns: Box<[Column]>,
    ages: Ages,
    writer: StreamWriter<Drain>,
    drain: Drain,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Schema,
    Rows,
    Ended,
}

impl std::fmt::Debug for ArrowStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrowStream")
            .field("columns", &self.columns)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl ArrowStream {
    /// Nothing is read before it is asked for.
    pub fn new(walk: RowCursor, columns: &[Column], ages: Ages) -> Self {
        let drain = Drain::default();
        Self {
            walk,
            columns: columns.into(),
            ages,
            writer: StreamWriter::new(drain.clone(), WriteOptions { compression: None }),
            drain,
            stage: Stage::Schema,
        }
    }

    fn advance(&mut self) -> Result<(), PolarsError> {
        if self.stage == Stage::Schema {
            self.stage = Stage::Rows;
            return self.writer.start(&schema(&self.columns).to_arrow(CompatLevel::oldest()), None);
        }
        let batch = Batch::take(&mut self.walk, &self.columns, self.ages, BATCH_ROWS);
        if batch.height == 0 {
            self.stage = Stage::Ended;
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
        if self.stage == Stage::Ended {
            return None;
        }
        let advanced = self.advance().map_err(failed);
        if advanced.is_err() {
            self.stage = Stage::Ended;
        }
        Some(advanced.map(|()| self.drain.take()))
    }
}

/// Bytes that were written and not yet taken.
#[derive(Clone, Default)]
struct Drain(Arc<Mutex<Vec<u8>>>);

impl Drain {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Values of one column of a batch.
enum Values {
    Texts(Vec<Option<String>>),
    Longs(Vec<i64>),
    Years(Vec<Option<i32>>),
}

/// Some rows, by column.
struct Batch {
    columns: Vec<(Column, Values)>,
    height: usize,
}

impl Batch {
    fn take(walk: &mut RowCursor, columns: &[Column], ages: Ages, rows_max: usize) -> Self {
        let mut batch = Self {
            columns: columns.iter().map(|column| (*column, Values::none(*column))).collect(),
            height: 0,
        };
        while batch.height < rows_max {
            let Some(row) = walk.next_row() else { break };
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
                Values::Texts(texts) => PolarsColumn::new(name, texts),
                Values::Longs(longs) => PolarsColumn::new(name, longs),
                Values::Years(years) => PolarsColumn::new(name, years),
            }
        };
        DataFrame::new(self.height, self.columns.into_iter().map(column).collect())
    }
}

impl Values {
    fn none(column: Column) -> Self {
        match (column.kind(), column) {
            (ColumnKind::Text, _) => Self::Texts(Vec::new()),
            (ColumnKind::Number, Column::Age) => Self::Years(Vec::new()),
            (ColumnKind::Number, _) => Self::Longs(Vec::new()),
        }
    }

    fn push(&mut self, column: Column, row: &RowView<'_>, ages: Ages) {
        match self {
            Self::Texts(texts) => texts.push(match column {
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
        let kind = match (column.kind(), column) {
            (ColumnKind::Text, _) => DataType::String,
            (ColumnKind::Number, Column::Age) => DataType::Int32,
            (ColumnKind::Number, _) => DataType::Int64,
        };
        Field::new(column.name().into(), kind)
    };
    columns.iter().map(field).collect()
}

fn failed(error: PolarsError) -> TableError {
    TableError::undecodable("an export", "its rows cannot be encoded", error)
}
