//! A store in a folder: each object a file, which appears whole or not at all.
//!
//! What is not an object is in `.datalake/`, which is never listed: files being written, the lock, and user metadata. The metadata of an
//! object is in a side file, which is named by a part of its ETag that is final before the object's file gets its name.

mod beneath;
mod etags;
mod files;
mod staging;
mod walk;

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode, clip},
    counter::{PAGE_OBJECTS, RequestCounter},
    error::StoreError,
    folder::{
        files::{Files, read_stable},
        staging::Fence,
    },
    spelling::spelled,
};

/// A folder as a store.
#[derive(Clone, Debug)]
pub struct FolderBucket {
    files: Arc<Files>,
    counter: Arc<RequestCounter>,
}

impl FolderBucket {
    /// The store in `root`, which need not exist until something is read.
    pub fn new(root: PathBuf) -> Self {
        Self::with_counter(root, Arc::default())
    }

    /// The same, counting its operations in `counter`.
    pub fn with_counter(root: PathBuf, counter: Arc<RequestCounter>) -> Self {
        Self {
            files: Arc::new(Files::new(root)),
            counter,
        }
    }

    /// Makes the folder if there is none.
    pub async fn create(root: PathBuf) -> Result<(), StoreError> {
        blocking(move || fs::create_dir_all(&root).map_err(|error| store_error(&root.display().to_string(), error))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let files = Arc::clone(&self.files);
        blocking(move || {
            let located = |error| files.located(error);
            work(&files).map_err(|error| match error {
                // What is missing may be all of the lake, and then this says nothing of the object.
                StoreError::NotFound { key } => files.require_root(&key).err().unwrap_or(StoreError::NotFound { key }),
                StoreError::Expired { key } => files.require_root(&key).err().unwrap_or(StoreError::Expired { key }),
                error => located(error),
            })
        })
        .await
    }
}

#[async_trait]
impl Bucket for FolderBucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        let (this, prefix, start_after) = (self.clone(), prefix.to_owned(), start_after.map(ToOwned::to_owned));
        async move {
            let found = this
                .blocking(move |files| walk::walk(files, &prefix, start_after.as_deref()))
                .await?;
            for _ in 0..found.len().div_ceil(PAGE_OBJECTS).max(1) {
                this.counter.count_list();
            }
            Ok::<_, StoreError>(stream::iter(found).map(Ok))
        }
        .into_stream()
        .try_flatten()
        .boxed()
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        self.counter.count_get();
        let (key, if_match) = (key.to_owned(), if_match.cloned());
        self.blocking(move |files| {
            files.path_of(&key).map_err(|_| StoreError::NotFound { key: key.clone() })?;
            let (meta, bytes) = read_stable(files.root(), &key, |meta| {
                require(meta, if_match.as_ref())?;
                range.as_ref().map(|range| clip(range, meta.size, &key)).transpose()
            })?;
            let metadata = files.metadata_of(&meta.etag);
            Ok(Object { meta, metadata, bytes })
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.counter.count_put();
        let (key, metadata) = (key.to_owned(), metadata.clone());
        self.blocking(move |files| {
            let path = files.path_of(&key)?;
            let written = files.write_temporary(&key, &bytes, &metadata)?;
            match mode {
                PutMode::Create => files.publish_new(&written, &path, &key),
                PutMode::Replace => files.replace(&written, &path, &key, |_| Ok(())),
                PutMode::Update(etag) => files.replace(&written, &path, &key, |present| match present {
                    Some(meta) => require(meta, Some(&etag)),
                    None => Err(StoreError::NotFound { key: key.clone() }),
                }),
            }
        })
        .await
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.counter.count_copy();
        let (from, source_if_match, to, metadata) = (from.to_owned(), source_if_match.clone(), to.to_owned(), metadata.clone());
        self.blocking(move |files| {
            files.path_of(&from).map_err(|_| StoreError::NotFound { key: from.clone() })?;
            let target = files.path_of(&to)?;
            let (_, bytes) = read_stable(files.root(), &from, |meta| require(meta, Some(&source_if_match)).map(|()| None))?;
            let written = files.write_temporary(&to, &bytes, &metadata)?;
            files.replace(&written, &target, &to, |_| Ok(()))
        })
        .await
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        self.counter.count_delete();
        let (key, if_match) = (key.to_owned(), if_match.cloned());
        self.blocking(move |files| {
            match (files.path_of(&key), &if_match) {
                (Ok(path), _) => files.remove(&path, &key, if_match.as_ref()),
                // What cannot be there is gone.
                (Err(_), None) => Ok(()),
                (Err(_), Some(_)) => Err(StoreError::NotFound { key }),
            }
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.counter.count_head();
        let key = key.to_owned();
        self.blocking(move |files| {
            files.path_of(&key).map_err(|_| StoreError::NotFound { key: key.clone() })?;
            let meta = files::describe_within(files.root(), &key)?;
            let metadata = files.metadata_of(&meta.etag);
            Ok(Head { meta, metadata })
        })
        .await
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        self.counter.count_put();
        let counter = Arc::clone(&self.counter);
        self.blocking(move |files| {
            files.require_root("")?;
            let (fence, store_time) = Fence::new(files.root()).map_err(|error| match store_error("", error) {
                // It was swept before it was complete.
                StoreError::NotFound { key } => StoreError::Expired { key },
                error => error,
            })?;
            let files = Arc::new(files.fenced(fence));
            Ok(Fenced {
                bucket: Arc::new(Self { files, counter }),
                store_time,
            })
        })
        .await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.counter.count_delete();
        self.blocking(|files| {
            files.require_root("")?;
            staging::sweep(files.root()).map_err(|error| store_error("", error))
        })
        .await
    }

    fn identity(&self) -> String {
        let root = self.files.root();
        // A relative path means another folder in another working directory. A folder that does not exist holds no objects to confuse.
        let path = fs::canonicalize(root).or_else(|_| std::path::absolute(root));
        spelled(path.as_deref().unwrap_or(root).as_os_str().as_encoded_bytes())
    }
}

fn require(meta: &ObjectMeta, if_match: Option<&Etag>) -> Result<(), StoreError> {
    match if_match {
        Some(etag) if *etag != meta.etag => Err(StoreError::Conflict { key: meta.key.clone() }),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    // The work does not panic; if the runtime is shutting down, the store is as good as gone.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(StoreError::Unavailable {
            key: String::new(),
            reason: "the process is shutting down".to_owned(),
            attempts: 1,
            source: Some(Box::new(error)),
        })
    })
}

/// What a failure of the file system means to a caller.
fn store_error(key: &str, error: io::Error) -> StoreError {
    /// EIO, ESTALE, and on Linux EBADMSG, EUCLEAN and ENOKEY: what is wrong with this file alone.
    const OF_ONE_FILE: &[i32] = if cfg!(target_os = "linux") {
        &[5, 116, 74, 117, 126]
    } else {
        &[5, 70]
    };
    let key = key.to_owned();
    match error.kind() {
        _ if error.raw_os_error().is_some_and(|code| OF_ONE_FILE.contains(&code)) => StoreError::Denied {
            reason: format!("cannot access {key}: {error}; check the disk and its file system"),
            key,
            source: Some(Box::new(error)),
        },
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => StoreError::NotFound { key },
        io::ErrorKind::AlreadyExists => StoreError::Conflict { key },
        io::ErrorKind::PermissionDenied => StoreError::Denied {
            reason: format!("cannot access {key}: {error}; check the owner and the mode of the file and its folders"),
            key,
            source: Some(Box::new(error)),
        },
        io::ErrorKind::ReadOnlyFilesystem => StoreError::Denied {
            reason: format!("cannot write {key}: {error}; mount the folder of the lake with write access"),
            key,
            source: Some(Box::new(error)),
        },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreError::Unavailable {
            reason: format!("cannot write {key}: {error}; free space on the file system of the lake's folder"),
            key,
            attempts: 1,
            source: Some(Box::new(error)),
        },
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => StoreError::Invalid {
            key,
            reason: format!("the file system cannot hold this name ({error})"),
        },
        _ => StoreError::Unavailable {
            reason: format!("cannot access {key}: {error}"),
            key,
            attempts: 1,
            source: Some(Box::new(error)),
        },
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use datalake_core::keys;

    use super::*;

    #[track_caller]
    fn check(kind: impl Into<io::Error>, is_retried: bool, words: &[&str]) {
        let error = store_error(keys::OUTPUT, kind.into());
        assert_eq!(matches!(error, StoreError::Unavailable { .. }), is_retried, "{error:?}");
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn errors_of_the_file_system_state_cause_and_remedy() {
        const NO_SPACE: i32 = 28;
        const QUOTA: i32 = 122;
        check(
            io::Error::from_raw_os_error(NO_SPACE),
            true,
            &["cannot write processed_data/output.csv: No space left on device", "free space"],
        );
        check(io::Error::from_raw_os_error(QUOTA), true, &["quota exceeded", "free space"]);
        check(
            io::ErrorKind::ReadOnlyFilesystem,
            false,
            &["mount the folder of the lake with write access"],
        );
        check(io::ErrorKind::PermissionDenied, false, &["permission denied", "owner and the mode"]);
        check(io::Error::from_raw_os_error(5), false, &["Input/output error", "check the disk"]);
    }
}
