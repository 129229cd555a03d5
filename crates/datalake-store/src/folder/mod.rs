//! A store in a folder. Each object is a file, which appears completely or not at all.
//!
//! `.datalake/`, which is never listed, contains staged files, the lock and user metadata. The metadata of an object is in a side file,
//! which is named by the part of the ETag that is final before the object's file gets its name.

mod beneath;
mod errors;
mod etags;
mod files;
mod lock;
mod stable_read;
mod staging;
mod walk;

use std::{fs, ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode, clip},
    error::StoreError,
    folder::{
        errors::store_error,
        etags::require,
        files::Files,
        stable_read::{describe_within, read_stable},
        staging::Fence,
    },
    key_encoding::key_text,
    request_counter::{PAGE_OBJECTS, RequestCounter},
};

/// A store in a folder. Clones share its files.
#[derive(Clone, Debug)]
pub struct FolderBucket {
    files: Arc<Files>,
    counter: Arc<RequestCounter>,
}

impl FolderBucket {
    /// The store in `root`, which need not exist before the first operation.
    pub fn new(root: PathBuf) -> Self {
        Self::with_counter(root, Arc::default())
    }

    /// The store in `root`, whose operations are counted in `counter`.
    pub fn with_counter(root: PathBuf, counter: Arc<RequestCounter>) -> Self {
        Self {
            files: Arc::new(Files::new(root)),
            counter,
        }
    }

    /// Creates the folder if it does not exist.
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
                // If the whole lake is missing, the object may exist.
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
                // An object of an invalid key cannot exist.
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
            let meta = describe_within(files.root(), &key)?;
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
                // The fence was swept before it was complete.
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
        // A relative path names another folder in another working directory.
        let path = fs::canonicalize(root).or_else(|_| std::path::absolute(root));
        key_text(path.as_deref().unwrap_or(root).as_os_str().as_encoded_bytes())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    // The work does not panic, so this is an error of a runtime that is shutting down.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(StoreError::Unavailable {
            key: String::new(),
            reason: "the process is shutting down".to_owned(),
            attempts: 1,
            cause: Some(Box::new(error)),
        })
    })
}
