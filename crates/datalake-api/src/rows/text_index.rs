//! Range requests for rows as text. Clients request the length first, and then ranges. The text is encoded once to find its length, and the
//! index keeps the positions of some rows, from which any range can be encoded again.

use std::{fmt, io, ops::Range, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use datalake_core::count::{count, to_usize};
use datalake_table::memory::row_cursor::CursorPosition;
use futures_util::{StreamExt, stream};
use quick_cache::{Weighter, sync::Cache};

use crate::{
    limits::{scan_pool::ScanPool, sort_budget::SortPermit},
    problem::Problem,
    rows::{pagination::PageHeaders, stream::CHUNK_BYTES, text::RowsText},
};

/// The initial distance between two marks. Encoding this many unneeded bytes takes less than a millisecond.
const SPACING_BYTES: u64 = 256 * 1024;

/// Marks of one text: a quarter of a MiB. If there are more, every second one is removed; in a text of 10 GiB they are 4 MiB apart.
const MARKS_MAX: usize = 4_096;

/// The maximum size of all indexes together: enough for about sixteen of the largest texts.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// The size of an index without its marks: key, headers, and the overhead of the map.
const ENTRY_BYTES: u64 = 512;

/// The length of a text, and the positions of some of its rows.
#[derive(Debug)]
pub struct TextIndex {
    bytes: u64,
    marks: Vec<Mark>,
    /// The headers about the other pages.
    pub page_headers: PageHeaders,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u64,
    place: CursorPosition,
}

/// The indexes that were used last, by the ETag of the text, which identifies its bytes. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct TextIndexes {
    cache: Arc<Cache<String, Arc<TextIndex>, ByMarks>>,
    scan_pool: ScanPool,
}

#[derive(Clone)]
struct ByMarks;

impl Weighter<String, Arc<TextIndex>> for ByMarks {
    fn weight(&self, _: &String, index: &Arc<TextIndex>) -> u64 {
        ENTRY_BYTES + count(index.marks.len() * size_of::<Mark>())
    }
}

impl fmt::Debug for TextIndexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextIndexes")
            .field("len", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl TextIndexes {
    /// An empty cache, which encodes texts in the pool.
    pub fn new(scan_pool: ScanPool) -> Self {
        /// Only the initial capacity of the map.
        const ENTRIES: usize = 100;
        Self {
            cache: Arc::new(Cache::with_weighter(ENTRIES, CACHE_BYTES, ByMarks)),
            scan_pool,
        }
    }

    /// The index of a text. If it is not cached, the text is encoded; concurrent requests share the result.
    pub async fn get(
        &self,
        etag: &str,
        text: impl FnOnce() -> Result<(PageHeaders, RowsText, Option<SortPermit>), Problem> + Send + 'static,
    ) -> Result<Arc<TextIndex>, Problem> {
        let index = async {
            let index = self.scan_pool.scan(move || {
                let (page_headers, text, _permit) = text()?;
                Ok(Arc::new(TextIndex::of(text, page_headers, SPACING_BYTES, MARKS_MAX)))
            });
            index.await?
        };
        self.cache.get_or_insert_async(etag, index).await
    }
}

impl TextIndex {
    /// Encodes the text, and discards its bytes.
    fn of(mut text: RowsText, page_headers: PageHeaders, mut spacing: u64, marks_max: usize) -> Self {
        let mut marks: Vec<Mark> = Vec::new();
        let (mut bytes, mut chunk) = (0, Vec::with_capacity(CHUNK_BYTES + 4 * 1024));
        while !text.is_ended() {
            chunk.clear();
            text.write(&mut chunk, CHUNK_BYTES);
            bytes += count(chunk.len());
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
        Self {
            bytes,
            marks,
            page_headers,
        }
    }

    /// The length of the text in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The body of a range. `text` is the whole text, from its start. The permit is released at the end.
    pub fn body(&self, mut text: RowsText, range: &Range<u64>, permit: Option<SortPermit>, scan_pool: ScanPool) -> Body {
        if range.is_empty() {
            return Body::empty();
        }
        let before = self.marks.partition_point(|mark| mark.at <= range.start);
        let mark = before.checked_sub(1).and_then(|last| self.marks.get(last));
        let mut start = 0;
        if let Some(mark) = mark {
            text.seek(mark.place);
            start = mark.at;
        }
        let part = TextPart {
            text,
            skip: range.start - start,
            left: range.end - range.start,
        };
        let chunks = stream::unfold(Some((part, permit, scan_pool)), async |state| {
            let (mut part, permit, scan_pool) = state?;
            let written = if part.text.returns_every_row() {
                // Handing it to another thread would take as long.
                Ok((part.next(), part))
            } else {
                scan_pool.scan_detached(move || (part.next(), part)).await
            };
            match written {
                Ok((chunk, part)) => {
                    let rest = (chunk.is_ok() && part.left > 0).then_some((part, permit, scan_pool));
                    Some((chunk.map_err(axum::Error::new), rest))
                }
                Err(panic) => Some((Err(axum::Error::new(panic)), None)),
            }
        });
        Body::from_stream(chunks.fuse())
    }
}

/// The rest of a range.
struct TextPart {
    text: RowsText,
    /// Bytes of the text before the range.
    skip: u64,
    /// Bytes of the range.
    left: u64,
}

impl TextPart {
    /// The next bytes, at least one.
    fn next(&mut self) -> io::Result<Bytes> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4 * 1024);
        while !self.text.is_ended() {
            chunk.clear();
            self.text.write(&mut chunk, CHUNK_BYTES);
            let bytes = count(chunk.len());
            if self.skip >= bytes {
                self.skip -= bytes;
                continue;
            }
            let length = self.left.min(bytes - self.skip);
            let bytes = Bytes::from(chunk).slice(to_usize(self.skip)..to_usize(self.skip + length));
            (self.skip, self.left) = (0, self.left - length);
            return Ok(bytes);
        }
        // The index belongs to another text.
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
