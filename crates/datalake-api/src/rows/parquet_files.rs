//! Parquet files. Their readers request the end first and then other ranges, so each file is written once, completely, to an unnamed
//! temporary file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use axum::body::Body;
use bytes::Bytes;
use datalake_core::{
    calendar::Ages,
    count::{count, to_usize},
    query::column::Column,
};
use datalake_table::memory::export;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::{
    limits::{
        scan_pool::{ScanPool, detached},
        sort_budget::SortPermit,
    },
    problem::{Problem, from::internal_error},
    rows::{
        pagination::{PageHeaders, RowPage},
        stream::CHUNK_BYTES,
    },
};

/// Cached files, for clients that request several ranges. A file with ten million rows has about 200 MB.
const FILES_MAX: usize = 4;

/// The size of all files, including those that are evicted but still being sent: half of the disk space that the chart gives a pod. A
/// single file may be larger.
const DISK_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Concurrent reads of files. A read takes microseconds if the page cache has the data; more threads would cost more than the reads.
const READS_MAX: usize = 2;

/// The unit in which disk space is reserved.
const UNIT_BYTES: u64 = 64 * 1024;

/// The files that were used last. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct ParquetFiles {
    /// By the ETag of the response; the most recently used file is the last. Requests for a file that is being written wait for it.
    files: Arc<Mutex<Vec<(String, PendingFile)>>>,
    disk_space: Arc<Semaphore>,
    /// All units of disk space.
    units_max: usize,
    reads: Arc<Semaphore>,
    scan_pool: ScanPool,
}

type PendingFile = Arc<OnceCell<ParquetFile>>;

/// An unnamed file. The operating system deletes it when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    file: Arc<(File, OwnedSemaphorePermit)>,
    bytes: u64,
    page_headers: PageHeaders,
    reads: Arc<Semaphore>,
}

impl ParquetFiles {
    /// An empty cache, which writes files in the pool.
    pub fn new(scan_pool: ScanPool) -> Self {
        Self::with_disk_space(DISK_BYTES_MAX, scan_pool)
    }

    fn with_disk_space(bytes: u64, scan_pool: ScanPool) -> Self {
        let units_max = usize::try_from(bytes / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            files: Arc::default(),
            disk_space: Arc::new(Semaphore::new(units_max)),
            units_max,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            scan_pool,
        }
    }

    /// The file with this ETag. If it is not cached, it is written now.
    pub async fn get(
        &self,
        etag: &str,
        page: impl FnOnce() -> Result<(RowPage, Option<SortPermit>), Problem> + Send + 'static,
        columns: Box<[Column]>,
        ages: Ages,
    ) -> Result<ParquetFile, Problem> {
        let pending = self.entry(etag);
        let file = pending.get_or_try_init(|| self.write(page, columns, ages)).await;
        if file.is_err() {
            self.files
                .lock()
                .retain(|(_, entry)| !Arc::ptr_eq(entry, &pending) || entry.initialized());
        }
        file.cloned()
    }

    /// The entry of this ETag, which is added if there is none, and becomes the most recently used one.
    fn entry(&self, etag: &str) -> PendingFile {
        let mut files = self.files.lock();
        let pending = match files.iter().position(|(name, _)| name == etag) {
            Some(at) => files.remove(at).1,
            None => Arc::default(),
        };
        files.push((etag.to_owned(), Arc::clone(&pending)));
        let is_written = |(_, entry): &(String, PendingFile)| entry.initialized();
        let is_over_limit = files.iter().filter(|entry| is_written(entry)).count() > FILES_MAX;
        let oldest = files.iter().position(is_written).filter(|_| is_over_limit);
        let evicted = oldest.map(|at| files.remove(at));
        // Freeing a file takes a while, so it happens outside of the lock.
        drop(files);
        drop(evicted);
        pending
    }

    async fn write(
        &self,
        page: impl FnOnce() -> Result<(RowPage, Option<SortPermit>), Problem> + Send + 'static,
        columns: Box<[Column]>,
        ages: Ages,
    ) -> Result<ParquetFile, Problem> {
        let files = self.clone();
        let written = self.scan_pool.scan(move || {
            let (page, _permit) = page()?;
            let page_headers = page.headers();
            let file = tempfile::tempfile().map_err(|error| internal_error("cannot create temporary file", &error))?;
            let mut file = BudgetedFile::new(BufWriter::new(file), &files)?;
            if let Err(error) = export::write_parquet(page.rows, &columns, ages, &mut file) {
                let is_full = file.is_full;
                return Err(if is_full {
                    Problem::ResponseBudgetExhausted
                } else {
                    internal_error("cannot write Parquet file", &error)
                });
            }
            file.finish(page_headers)
                .map_err(|error| internal_error("cannot write Parquet file", &error))
        });
        written.await?
    }

    /// Evicts the least recently used file. Returns false if there is none.
    fn evict_oldest(&self) -> bool {
        let mut files = self.files.lock();
        let oldest = files.iter().position(|(_, entry)| entry.initialized());
        let evicted = oldest.map(|at| files.remove(at));
        // Freeing a file takes a while, so it happens outside of the lock.
        drop(files);
        evicted.is_some()
    }

    /// Reserves another unit of disk space, and evicts files for it.
    fn reserve_unit(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(unit) = Arc::clone(&self.disk_space).try_acquire_owned() {
                return Some(unit);
            }
            if !self.evict_oldest() {
                return None;
            }
        }
    }
}

/// Reserves disk space as bytes are written.
struct BudgetedFile<'a> {
    inner: BufWriter<File>,
    files: &'a ParquetFiles,
    reserved: OwnedSemaphorePermit,
    bytes: u64,
    /// Whether a write failed because other files use the disk space.
    is_full: bool,
}

impl<'a> BudgetedFile<'a> {
    fn new(inner: BufWriter<File>, files: &'a ParquetFiles) -> Result<Self, Problem> {
        Ok(Self {
            inner,
            files,
            reserved: files.reserve_unit().ok_or(Problem::ResponseBudgetExhausted)?,
            bytes: 0,
            is_full: false,
        })
    }

    /// Reserves space for the bytes that are written. A file that has reserved all space may exceed it, because no other file exists.
    fn reserve(&mut self) -> bool {
        let needed = to_usize(self.bytes / UNIT_BYTES).saturating_add(1).min(self.files.units_max);
        while self.reserved.num_permits() < needed {
            match self.files.reserve_unit() {
                Some(unit) => self.reserved.merge(unit),
                None => return false,
            }
        }
        true
    }

    fn finish(self, page_headers: PageHeaders) -> io::Result<ParquetFile> {
        let file = self.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(ParquetFile {
            file: Arc::new((file, self.reserved)),
            bytes: self.bytes,
            page_headers,
            reads: Arc::clone(&self.files.reads),
        })
    }
}

impl Write for BudgetedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += count(written);
        if self.reserve() {
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
    /// The length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The headers about the other pages.
    pub fn page_headers(&self) -> &PageHeaders {
        &self.page_headers
    }

    /// The body of a range, which is read chunk by chunk.
    pub fn body(self, range: Range<u64>) -> Body {
        let chunks = stream::unfold(range, move |range| {
            let (file, reads) = (Arc::clone(&self.file), Arc::clone(&self.reads));
            async move {
                if range.is_empty() {
                    return None;
                }
                let read = detached(async move {
                    let permit = reads.acquire_owned().await.expect("the semaphore is never closed");
                    let read = tokio::task::spawn_blocking(move || {
                        let _permit = permit;
                        read(&file.0, &range).map(|bytes| (bytes, range))
                    });
                    read.await.map_err(io::Error::other).flatten()
                });
                match read.await.map_err(io::Error::other).flatten() {
                    Ok((bytes, range)) => {
                        let rest = range.start.saturating_add(count(bytes.len()))..range.end;
                        Some((Ok(bytes), rest))
                    }
                    Err(error) => Some((Err(error), 0..0)),
                }
            }
        });
        // The compression polls once more after the end.
        Body::from_stream(chunks.fuse())
    }
}

fn read(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = to_usize(range.end - range.start).min(CHUNK_BYTES);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a file of this number of units.
    fn write(files: &ParquetFiles, units: usize) -> Option<ParquetFile> {
        let mut file = BudgetedFile::new(BufWriter::new(tempfile::tempfile().unwrap()), files).ok()?;
        let unit = vec![0; to_usize(UNIT_BYTES)];
        for _ in 0..units {
            file.write_all(&unit).ok()?;
        }
        Some(file.finish(PageHeaders::default()).unwrap())
    }

    async fn insert(files: &ParquetFiles, etag: &str, file: &ParquetFile) {
        let file = async || Ok::<_, Problem>(file.clone());
        files.entry(etag).get_or_try_init(file).await.unwrap();
    }

    #[tokio::test]
    async fn files_share_the_disk_space() {
        let files = ParquetFiles::with_disk_space(10 * UNIT_BYTES, ScanPool::new());
        let first = write(&files, 5).unwrap();
        assert_eq!(first.bytes(), 5 * UNIT_BYTES);
        assert!(write(&files, 6).is_none(), "the first file is in use");
        insert(&files, "first", &first).await;
        assert!(write(&files, 6).is_none(), "an evicted file in use frees no space");
        assert!(!files.evict_oldest(), "the first file is evicted");
        insert(&files, "first", &first).await;
        drop(first);
        let second = write(&files, 6).unwrap();
        assert!(!files.evict_oldest(), "the first file was evicted for the second");
        drop(second);
        let large = write(&files, 30).unwrap();
        assert!(write(&files, 1).is_none(), "a file larger than the disk space is alone");
        drop(large);
        assert!(write(&files, 1).is_some());
    }
}
