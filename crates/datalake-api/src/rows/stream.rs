//! Response bodies that are encoded while they are sent: memory holds one chunk, whatever the number of rows.

use axum::body::Body;
use bytes::Bytes;
use datalake_table::{error::TableError, memory::export::ArrowStream};
use futures_util::{StreamExt, stream};

use crate::{
    limits::{scan_pool::ScanPool, sort_budget::SortPermit},
    rows::{columns::ColumnsText, text::RowsText},
};

/// Large enough to make the overhead of a chunk negligible, small enough that a slow client occupies little memory.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// Encodes a response chunk by chunk.
#[derive(Debug)]
pub enum Writer {
    /// Row by row.
    Rows(RowsText),
    /// Column by column.
    Columns(ColumnsText),
    /// As an Arrow stream. Boxed, because its schemas and buffers are larger than the other variants.
    Arrow(Box<ArrowStream>),
}

/// The first chunk of a response.
#[derive(Debug)]
pub enum FirstChunk {
    /// The whole response.
    Complete(Bytes),
    /// The beginning of the response, and the writer of the rest.
    Partial(Bytes, Box<Writer>),
}

impl Writer {
    /// Whether a chunk takes at most about 50 µs, because every row that is read is written.
    fn is_quick(&self) -> bool {
        match self {
            Self::Rows(rows) => rows.returns_every_row(),
            Self::Columns(columns) => columns.returns_every_row(),
            Self::Arrow(_) => false,
        }
    }

    /// The first chunk, of at least `bytes_min` bytes or the whole response.
    pub fn first_chunk(mut self, bytes_min: usize) -> Result<FirstChunk, TableError> {
        let (bytes, is_ended) = self.chunk(bytes_min)?;
        Ok(if is_ended {
            FirstChunk::Complete(bytes)
        } else {
            FirstChunk::Partial(bytes, Box::new(self))
        })
    }

    /// The next chunk, of at least `bytes_min` bytes, and whether it is the last.
    fn chunk(&mut self, bytes_min: usize) -> Result<(Bytes, bool), TableError> {
        // A row has less than 3 KiB, unless much of it is escaped.
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
            // A cache or a slow client may keep the chunk for a long time.
            text.shrink_to_fit();
        }
        Ok((text.into(), is_ended))
    }
}

/// The body with this first chunk and the chunks of the writer. The permit is released at the end.
pub fn body(first: Bytes, writer: Box<Writer>, permit: Option<SortPermit>, scan_pool: ScanPool) -> Body {
    let rest = stream::unfold(Some((writer, permit, scan_pool)), async |state| {
        let (mut writer, permit, scan_pool) = state?;
        let written = if writer.is_quick() {
            // Handing it to another thread would take as long.
            Ok((writer.chunk(CHUNK_BYTES), writer))
        } else {
            // Millions of rows may be scanned before the next match.
            scan_pool.scan_detached(move || (writer.chunk(CHUNK_BYTES), writer)).await
        };
        match written {
            Ok((Ok((bytes, is_ended)), writer)) => Some((Ok(bytes), (!is_ended).then_some((writer, permit, scan_pool)))),
            Ok((Err(error), _)) => Some((Err(axum::Error::new(error)), None)),
            Err(panic) => Some((Err(axum::Error::new(panic)), None)),
        }
    });
    let first = stream::once(std::future::ready(Ok(first)));
    // The compression polls once more after the end.
    Body::from_stream(first.chain(rest).fuse())
}
