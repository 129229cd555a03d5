//! Parts of rows as text. Readers that know files ask for the length first, and then for ranges: the text is written once for its length, and
//! kept are the places of some rows in it, from which a part is written again.

use std::{fmt, io, ops::Range, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use datalake_table::memory::row_cursor::CursorPosition;
use futures_util::{StreamExt, stream};
use quick_cache::{Weighter, sync::Cache};

use crate::{
    limits::{
        scan_pool::{scan, scan_apart},
        sort_budget::RowsRoom,
    },
    problem::Problem,
    rows::{pagination::Links, stream::CHUNK_BYTES, text::RowsText},
};
use datalake_core::error_chain::error_chain;

/// Bytes between two places at first: what is written in vain for a part takes less than a millisecond.
const SPACING_BYTES: u64 = 256 * 1024;

/// Places of one text, a quarter of a MiB. Of a text with more of them, every other one is let go of: of 10 GiB they are 4 MiB apart.
const MARKS_MAX: usize = 4_096;

/// Bytes of all places that are kept: those of sixteen of the largest texts.
const KEPT_BYTES: u64 = 4 * 1024 * 1024;

/// What an entry takes beside its places: key, links and the map's own.
const ENTRY_BYTES: u64 = 512;

/// The length of a text, and the places of some of its rows.
#[derive(Debug)]
pub struct TextIndex {
    bytes: u64,
    marks: Vec<Mark>,
    /// The headers about the rows of other pages.
    pub links: Links,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u64,
    place: CursorPosition,
}

/// The indexes that were asked for last, by the ETag of the text: it names the bytes. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct TextIndexes(Arc<Cache<String, Arc<TextIndex>, ByMarks>>);

#[derive(Clone)]
struct ByMarks;

impl Weighter<String, Arc<TextIndex>> for ByMarks {
    fn weight(&self, _: &String, index: &Arc<TextIndex>) -> u64 {
        let marks = index.marks.len() * size_of::<Mark>();
        ENTRY_BYTES + u64::try_from(marks).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for TextIndexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextIndexes").field("len", &self.0.len()).finish()
    }
}

impl TextIndexes {
    /// No index yet.
    pub fn new() -> Self {
        /// For the map's first size alone.
        const ENTRIES: usize = 100;
        Self(Arc::new(Cache::with_weighter(ENTRIES, KEPT_BYTES, ByMarks)))
    }

    /// The index of a text, made now where there is none; others that ask for it meanwhile wait.
    pub async fn get(
        &self,
        etag: &str,
        text: impl FnOnce() -> Result<(Links, RowsText, Option<RowsRoom>), Problem> + Send + 'static,
    ) -> Result<Arc<TextIndex>, Problem> {
        let made = async {
            let made = scan(move || {
                let (links, text, _rows_room) = text()?;
                Ok(Arc::new(TextIndex::of(text, links, SPACING_BYTES, MARKS_MAX)))
            });
            made.await.map_err(|panic| {
                tracing::error!(error = error_chain(&panic), "the length of rows as text cannot be found");
                Problem::Internal
            })?
        };
        self.0.get_or_insert_async(etag, made).await
    }
}

impl TextIndex {
    /// Writes the text in vain.
    fn of(mut text: RowsText, links: Links, mut spacing: u64, marks_max: usize) -> Self {
        let mut marks: Vec<Mark> = Vec::new();
        let (mut bytes, mut chunk) = (0, Vec::with_capacity(CHUNK_BYTES + 4 * 1024));
        while !text.is_ended() {
            chunk.clear();
            text.write(&mut chunk, CHUNK_BYTES);
            bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let last = marks.last().map_or(0, |mark| mark.at);
            if bytes - last >= spacing && !text.is_ended() {
                marks.push(Mark {
                    at: bytes,
                    place: text.mark(),
                });
            }
            if marks.len() > marks_max {
                spacing *= 2;
                let mut number = 0;
                marks.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
            }
        }
        marks.shrink_to_fit();
        Self { bytes, marks, links }
    }

    /// Bytes of the text.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A part of the text as it is taken. `text` is the whole, from its start. Room that the rows take is held until the end.
    pub fn body(&self, mut text: RowsText, range: &Range<u64>, room: Option<RowsRoom>) -> Body {
        if range.is_empty() {
            return Body::empty();
        }
        let before = self.marks.partition_point(|mark| mark.at <= range.start);
        let mark = before.checked_sub(1).and_then(|last| self.marks.get(last));
        let mut skipped = 0;
        if let Some(mark) = mark {
            text.move_to(mark.place);
            skipped = mark.at;
        }
        let part = Part {
            text,
            skip: range.start - skipped,
            left: range.end - range.start,
        };
        let pieces = stream::unfold(Some((part, room)), async |state| {
            let (mut part, room) = state?;
            let made = if part.text.returns_every_row() {
                // To hand it to another thread and back would take as long again.
                Ok((part.next(), part))
            } else {
                scan_apart(move || (part.next(), part)).await
            };
            match made {
                Ok((piece, part)) => {
                    let rest = (piece.is_ok() && part.left > 0).then_some((part, room));
                    Some((piece.map_err(axum::Error::new), rest))
                }
                Err(panic) => Some((Err(axum::Error::new(panic)), None)),
            }
        });
        Body::from_stream(pieces.fuse())
    }
}

/// What is left of a part.
struct Part {
    text: RowsText,
    /// Bytes before it.
    skip: u64,
    left: u64,
}

impl Part {
    /// The next bytes of it, at least one.
    fn next(&mut self) -> io::Result<Bytes> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4 * 1024);
        while !self.text.is_ended() {
            chunk.clear();
            self.text.write(&mut chunk, CHUNK_BYTES);
            let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if self.skip >= bytes {
                self.skip -= bytes;
                continue;
            }
            let taken = self.left.min(bytes - self.skip);
            let within = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
            let piece = Bytes::from(chunk).slice(within(self.skip)..within(self.skip + taken));
            (self.skip, self.left) = (0, self.left - taken);
            return Ok(piece);
        }
        // The index is that of another text.
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
