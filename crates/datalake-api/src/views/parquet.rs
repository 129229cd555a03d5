//! Parquet files: their readers ask for the end first, and then for parts, so that each is made whole, once, in a nameless file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use axum::body::Body;
use bytes::Bytes;
use datalake_core::{column::Column, user::Ages};
use datalake_table::export;
use futures_util::stream;
use tokio::sync::Mutex;

use crate::{
    links::{Links, Page},
    problem::Problem,
    scan::scan,
    table_watch::chain,
    views::stream::CHUNK_BYTES,
};

/// Files that are kept for who comes back for another part. Of ten million rows one is some 200 MB on disk.
const KEPT_MAX: usize = 4;

/// The files that were made last. Cheap to clone; all clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParquetFiles {
    /// By the tag of the answer; the one used last is the last. Whoever makes one holds the lock: two at once would only be slower.
    kept: Arc<Mutex<Vec<(String, ParquetFile)>>>,
}

/// A file without a name: it is gone with its last user.
#[derive(Clone, Debug)]
pub(crate) struct ParquetFile {
    file: Arc<File>,
    bytes: u64,
    links: Links,
}

impl ParquetFiles {
    /// The file of an answer, made now where there is none.
    pub(crate) async fn get(
        &self,
        etag: &str,
        page: impl FnOnce() -> Page + Send + 'static,
        columns: Box<[Column]>,
        ages: Ages,
    ) -> Result<ParquetFile, Problem> {
        let mut kept = self.kept.lock().await;
        let file = match kept.iter().position(|(name, _)| name == etag) {
            Some(at) => kept.remove(at).1,
            None => make(page, columns, ages).await?,
        };
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((etag.to_owned(), file.clone()));
        Ok(file)
    }
}

async fn make(page: impl FnOnce() -> Page + Send + 'static, columns: Box<[Column]>, ages: Ages) -> Result<ParquetFile, Problem> {
    let made = scan(move || {
        let made = tempfile::tempfile().map_err(|error| format!("no file can be made in the folder for temporary ones: {error}"))?;
        let mut file = BufWriter::new(made);
        let Page { walk, links } = page();
        export::write_parquet(walk, &columns, ages, &mut file).map_err(|error| chain(&error))?;
        file.flush().map_err(|error| error.to_string())?;
        let file = file.into_inner().map_err(|error| error.to_string())?;
        let bytes = file.metadata().map_err(|error| error.to_string())?.len();
        Ok::<_, String>(ParquetFile {
            file: Arc::new(file),
            bytes,
            links,
        })
    });
    let failed = |reason: String| {
        tracing::error!(reason, "a Parquet file cannot be made");
        Problem::Internal
    };
    made.await.map_err(|panic| failed(panic.to_string()))?.map_err(failed)
}

impl ParquetFile {
    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What headers say of rows that are not in it.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// A part of the file as it is taken.
    pub(crate) fn body(self, range: Range<u64>) -> Body {
        let parts = stream::unfold(range, move |range| {
            let file = Arc::clone(&self.file);
            async move {
                if range.is_empty() {
                    return None;
                }
                let read = tokio::task::spawn_blocking(move || read(&file, &range).map(|bytes| (bytes, range)));
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
