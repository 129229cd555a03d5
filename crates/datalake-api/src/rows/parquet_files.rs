//! Parquet files: their readers ask for the end first, and then for parts, so that each is made whole, once, in a nameless file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Body;
use bytes::Bytes;
use datalake_core::{query::column::Column, user::Ages};
use datalake_table::memory::export;
use futures_util::stream;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::{
    limits::{
        scan_pool::{apart, scan},
        sort_budget::RowsRoom,
    },
    problem::Problem,
    rows::{
        pagination::{Links, Page},
        stream::CHUNK_BYTES,
    },
};
use datalake_core::error_chain::error_chain;

/// Files that are kept for who comes back for another part. Of ten million rows one is some 200 MB on disk.
const KEPT_MAX: usize = 4;

/// Of all files together, those that slow readers hold as well: half of the room on disk that the chart gives a pod. A single one may be
/// larger.
const ROOM_BYTES: u64 = 1024 * 1024 * 1024;

/// Reads of files at once: each takes microseconds where the file is in memory, and a thread of its own where there are more costs more
/// than the bytes.
const READS_MAX: usize = 2;

static READS: Semaphore = Semaphore::const_new(READS_MAX);

/// What room is counted in.
const UNIT_BYTES: u64 = 64 * 1024;

/// The files that were made last. Cheap to clone; all clones share them.
#[derive(Clone, Debug)]
pub struct ParquetFiles {
    /// By the tag of the answer; the one used last is the last. Whoever asks for one that is being made waits for it.
    kept: Arc<Mutex<Vec<(String, Making)>>>,
    room: Arc<Semaphore>,
    /// Units of all the room there is.
    units: usize,
}

type Making = Arc<OnceCell<ParquetFile>>;

/// A file without a name: it is gone with its last user.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    file: Arc<(File, OwnedSemaphorePermit)>,
    bytes: u64,
    links: Links,
}

impl ParquetFiles {
    /// No file yet.
    pub fn new() -> Self {
        Self::with_room(ROOM_BYTES)
    }

    fn with_room(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            kept: Arc::default(),
            room: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// The file of an answer, made now where there is none. The rows come with the room that they take, if any.
    pub async fn get(
        &self,
        etag: &str,
        page: impl FnOnce() -> Result<(Page, Option<RowsRoom>), Problem> + Send + 'static,
        columns: Box<[Column]>,
        ages: Ages,
    ) -> Result<ParquetFile, Problem> {
        let making = self.take_up(etag);
        let file = making.get_or_try_init(|| self.make(page, columns, ages)).await;
        if file.is_err() {
            self.kept().retain(|(_, kept)| !Arc::ptr_eq(kept, &making) || kept.initialized());
        }
        file.cloned()
    }

    /// The file that is kept or being made, or the place of one that is to be made.
    fn take_up(&self, etag: &str) -> Making {
        let mut kept = self.kept();
        let making = match kept.iter().position(|(name, _)| name == etag) {
            Some(at) => kept.remove(at).1,
            None => Arc::default(),
        };
        kept.push((etag.to_owned(), Arc::clone(&making)));
        let made = |(_, making): &(String, Making)| making.initialized();
        let is_over = kept.iter().filter(|kept| made(kept)).count() > KEPT_MAX;
        let oldest = kept.iter().position(made).filter(|_| is_over);
        let forgotten = oldest.map(|at| kept.remove(at));
        // Not under the lock: to free a file takes a while.
        drop(kept);
        drop(forgotten);
        making
    }

    async fn make(
        &self,
        page: impl FnOnce() -> Result<(Page, Option<RowsRoom>), Problem> + Send + 'static,
        columns: Box<[Column]>,
        ages: Ages,
    ) -> Result<ParquetFile, Problem> {
        let files = self.clone();
        let made = scan(move || {
            let (Page { walk, links }, _rows_room) = page()?;
            let made = tempfile::tempfile().map_err(|error| failed("no file can be made in the folder for temporary ones", &error))?;
            let mut file = Counted::new(BufWriter::new(made), &files)?;
            if let Err(error) = export::write_parquet(walk, &columns, ages, &mut file) {
                let is_full = file.is_full;
                return Err(if is_full {
                    Problem::ResponseBudgetExhausted
                } else {
                    failed("it cannot be written", &error)
                });
            }
            let Counted { inner, room, bytes, .. } = file;
            let file = inner.into_inner().map_err(|error| failed("it cannot be written", error.error()))?;
            Ok(ParquetFile {
                file: Arc::new((file, room)),
                bytes,
                links,
            })
        });
        made.await.map_err(|panic| failed("the work broke off", &panic))?
    }

    /// Lets go of the file that was asked for least lately, of those that are made. Whether there was one.
    fn let_go_of_one(&self) -> bool {
        let mut kept = self.kept();
        let oldest = kept.iter().position(|(_, making)| making.initialized());
        let forgotten = oldest.map(|at| kept.remove(at));
        drop(kept);
        forgotten.is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(String, Making)>> {
        // A panic under the lock leaves the list whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of room, for which files that are kept are let go of.
    fn more_room(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(unit) = Arc::clone(&self.room).try_acquire_owned() {
                return Some(unit);
            }
            if !self.let_go_of_one() {
                return None;
            }
        }
    }
}

fn failed(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(reason = what, error = error_chain(error), "a Parquet file cannot be made");
    Problem::Internal
}

/// Takes room as bytes are written.
struct Counted<'a> {
    inner: BufWriter<File>,
    files: &'a ParquetFiles,
    room: OwnedSemaphorePermit,
    bytes: u64,
    /// Others hold the room that was needed.
    is_full: bool,
}

impl<'a> Counted<'a> {
    fn new(inner: BufWriter<File>, files: &'a ParquetFiles) -> Result<Self, Problem> {
        Ok(Self {
            inner,
            files,
            room: files.more_room().ok_or(Problem::ResponseBudgetExhausted)?,
            bytes: 0,
            is_full: false,
        })
    }

    /// Whether there is room for the bytes that are written: a file that has taken all there is may go on, alone.
    fn has_room(&mut self) -> bool {
        let written = usize::try_from(self.bytes / UNIT_BYTES).unwrap_or(usize::MAX);
        let needed = written.saturating_add(1).min(self.files.units);
        while self.room.num_permits() < needed {
            match self.files.more_room() {
                Some(unit) => self.room.merge(unit),
                None => return false,
            }
        }
        true
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        if self.has_room() {
            return Ok(written);
        }
        self.is_full = true;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl ParquetFile {
    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What headers say of rows that are not in it.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// A part of the file as it is taken.
    pub fn body(self, range: Range<u64>) -> Body {
        let parts = stream::unfold(range, move |range| {
            let file = Arc::clone(&self.file);
            async move {
                if range.is_empty() {
                    return None;
                }
                let read = apart(async move {
                    let turn = READS.acquire().await.expect("the semaphore is never closed");
                    let read = tokio::task::spawn_blocking(move || {
                        let _turn = turn;
                        read(&file.0, &range).map(|bytes| (bytes, range))
                    });
                    read.await.map_err(io::Error::other).flatten()
                });
                match read.await.map_err(io::Error::other).flatten() {
                    Ok((bytes, range)) => {
                        let taken = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                        Some((Ok(bytes), range.start.saturating_add(taken)..range.end))
                    }
                    Err(error) => Some((Err(error), 0..0)),
                }
            }
        });
        // Compression asks once more after the end.
        Body::from_stream(futures_util::StreamExt::fuse(parts))
    }
}

fn read(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut bytes = vec![0; wanted];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes so many units.
    fn write(files: &ParquetFiles, units: usize) -> Option<ParquetFile> {
        let mut file = Counted::new(BufWriter::new(tempfile::tempfile().unwrap()), files).ok()?;
        let unit = vec![0; usize::try_from(UNIT_BYTES).unwrap()];
        for _ in 0..units {
            file.write_all(&unit).ok()?;
        }
        let Counted { inner, room, bytes, .. } = file;
        Some(ParquetFile {
            file: Arc::new((inner.into_inner().unwrap(), room)),
            bytes,
            links: Links::default(),
        })
    }

    async fn keep(files: &ParquetFiles, etag: &str, file: &ParquetFile) {
        let made = async || Ok::<_, Problem>(file.clone());
        files.take_up(etag).get_or_try_init(made).await.unwrap();
    }

    #[tokio::test]
    async fn files_share_the_room_on_disk() {
        let files = ParquetFiles::with_room(10 * UNIT_BYTES);
        let first = write(&files, 5).unwrap();
        assert_eq!(first.bytes(), 5 * UNIT_BYTES);
        assert!(write(&files, 6).is_none(), "others are read");
        keep(&files, "first", &first).await;
        // It is still read, and leaves no room by being forgotten.
        assert!(write(&files, 6).is_none());
        assert!(!files.let_go_of_one(), "it was let go of for that");
        keep(&files, "first", &first).await;
        drop(first);
        let second = write(&files, 6).unwrap();
        assert!(!files.let_go_of_one(), "the first has gone for the second");
        drop(second);
        // One that is larger than all the room is alone.
        let large = write(&files, 30).unwrap();
        assert!(write(&files, 1).is_none());
        drop(large);
        assert!(write(&files, 1).is_some());
    }
}
