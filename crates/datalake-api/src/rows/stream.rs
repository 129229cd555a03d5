//! Answers that are made as they are taken: memory holds a chunk, whatever the number of rows.

use axum::body::Body;
use bytes::Bytes;
use datalake_table::{error::TableError, memory::export::ArrowStream};
use futures_util::stream;

use crate::{
    limits::{scan_pool::scan_apart, sort_budget::RowsRoom},
    rows::{columns::ColumnsText, text::RowsText},
};

/// Large enough that a chunk's overhead does not show, small enough that a slow client holds little memory.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// What writes an answer a chunk at a time.
#[derive(Debug)]
pub enum Writer {
    /// Row by row.
    Rows(RowsText),
    /// Column by column.
    Columns(ColumnsText),
    /// Boxed: it holds schemas and buffers, of which the others have none.
    Arrow(Box<ArrowStream>),
}

/// The beginning of an answer.
#[derive(Debug)]
pub enum Begun {
    /// It is all there is.
    Whole(Bytes),
    /// There is more.
    Part(Bytes, Box<Writer>),
}

impl Writer {
    /// Whether a chunk takes some 50 µs at most: no row is looked at that is not written.
    fn is_quick(&self) -> bool {
        match self {
            Self::Rows(rows) => rows.returns_every_row(),
            Self::Columns(columns) => columns.returns_every_row(),
            Self::Arrow(_) => false,
        }
    }

    /// As many bytes, or all there are.
    pub fn begin(mut self, bytes_min: usize) -> Result<Begun, TableError> {
        let (bytes, is_ended) = self.chunk(bytes_min)?;
        Ok(if is_ended {
            Begun::Whole(bytes)
        } else {
            Begun::Part(bytes, Box::new(self))
        })
    }

    /// The next chunk of at least so many bytes, and whether it is the last.
    fn chunk(&mut self, bytes_min: usize) -> Result<(Bytes, bool), TableError> {
        // A row is under 3 KiB, escapes aside.
        let mut text = Vec::with_capacity(match self {
            Self::Rows(_) | Self::Columns(_) => bytes_min.min(CHUNK_BYTES) + 4 * 1024,
            Self::Arrow(_) => 0,
        });
        let is_ended = match self {
            Self::Rows(rows) => {
                rows.write(&mut text, bytes_min);
                rows.is_ended()
            }
            Self::Columns(columns) => {
                columns.write(&mut text, bytes_min);
                columns.is_ended()
            }
            Self::Arrow(arrow) => loop {
                match arrow.next() {
                    Some(batch) => text.append(&mut batch?),
                    None => break true,
                }
                if text.len() >= bytes_min {
                    break false;
                }
            },
        };
        if text.capacity() > 2 * text.len() {
            // It may be kept for long: in a cache, or by a client that takes its time.
            text.shrink_to_fit();
        }
        Ok((text.into(), is_ended))
    }
}

/// What was begun, and the rest as it is asked for. Room that the rows take is held until the end.
pub fn body(first: Bytes, writer: Box<Writer>, room: Option<RowsRoom>) -> Body {
    let rest = stream::unfold(Some((writer, room)), async |state| {
        let (mut writer, room) = state?;
        let made = if writer.is_quick() {
            // To hand it to another thread and back would take as long again.
            Ok((writer.chunk(CHUNK_BYTES), writer))
        } else {
            // To find the next row may take a scan of millions.
            let made = scan_apart(move || (writer.chunk(CHUNK_BYTES), writer));
            made.await
        };
        match made {
            Ok((Ok((bytes, is_ended)), writer)) => Some((Ok(bytes), (!is_ended).then_some((writer, room)))),
            Ok((Err(error), _)) => Some((Err(axum::Error::new(error)), None)),
            Err(panic) => Some((Err(axum::Error::new(panic)), None)),
        }
    });
    let first = stream::once(std::future::ready(Ok(first)));
    // Compression asks once more after the end.
    Body::from_stream(futures_util::StreamExt::fuse(futures_util::StreamExt::chain(first, rest)))
}
