//! Opens a lake by its URL.

use std::{io, path::Path, sync::Arc};

use datalake_core::keys;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    bucket::Bucket, error::StoreError, folder::FolderBucket, lake_url::LakeUrl, open_options::OpenOptions, request_counter::RequestCounter,
    s3,
};

/// A lake that was opened.
#[derive(Clone, Debug)]
pub struct OpenLake {
    /// The lake's objects, with keys relative to the lake.
    pub bucket: Arc<dyn Bucket>,
    /// Counts the requests to the store.
    pub requests: Arc<RequestCounter>,
}

/// Opens a lake. Rejects settings that can never work. Sends no request to the store, so a missing bucket is reported by the first
/// operation.
///
/// The future is boxed, so that this crate compiles the code for the AWS SDK, and not each crate that awaits it.
pub fn open<'a>(url: &'a LakeUrl, options: &'a OpenOptions) -> BoxFuture<'a, Result<OpenLake, StoreError>> {
    open_bucket(url, options).boxed()
}

async fn open_bucket(url: &LakeUrl, options: &OpenOptions) -> Result<OpenLake, StoreError> {
    let requests = Arc::new(RequestCounter::default());
    let bucket: Arc<dyn Bucket> = match url {
        LakeUrl::Folder(root) => {
            require_folders(root).await?;
            Arc::new(FolderBucket::with_counter(root.clone(), Arc::clone(&requests)))
        }
        LakeUrl::S3 { bucket, prefix } => Arc::new(s3::S3Bucket::open(bucket, prefix, options, Arc::clone(&requests)).await?),
    };
    Ok(OpenLake { bucket, requests })
}

/// Whether the bucket or the folder exists. The future is boxed, so that this crate compiles the code for the AWS SDK.
pub fn exists<'a>(url: &'a LakeUrl, options: &'a OpenOptions) -> BoxFuture<'a, Result<bool, StoreError>> {
    match url {
        LakeUrl::Folder(root) => async move {
            require_folders(root).await?;
            Ok(root.is_dir())
        }
        .boxed(),
        LakeUrl::S3 { bucket, .. } => s3::bucket_exists(bucket, options).boxed(),
    }
}

/// Creates the bucket or the folder if it does not exist. The future is boxed, so that this crate compiles the code for the AWS SDK.
pub fn create<'a>(url: &'a LakeUrl, options: &'a OpenOptions) -> BoxFuture<'a, Result<(), StoreError>> {
    create_bucket(url, options).boxed()
}

async fn create_bucket(url: &LakeUrl, options: &OpenOptions) -> Result<(), StoreError> {
    match url {
        LakeUrl::Folder(root) => {
            require_folders(root).await?;
            FolderBucket::create(root.clone()).await
        }
        LakeUrl::S3 { bucket, .. } => s3::create_bucket(bucket, options).await,
    }
}

/// Fails if the lake, or one of the folders directly in it, is a file.
async fn require_folders(root: &Path) -> Result<(), StoreError> {
    let processed = Path::new(keys::OUTPUT).parent().unwrap_or(root);
    for folder in [root, &root.join(keys::SOURCES.trim_end_matches('/')), &root.join(processed)] {
        match tokio::fs::metadata(folder).await {
            Ok(metadata) if !metadata.is_dir() => return Err(not_a_folder(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(not_a_folder(folder.parent().unwrap_or(folder))),
            // The first operation reports it.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn not_a_folder(path: &Path) -> StoreError {
    StoreError::Invalid {
        key: String::new(),
        reason: format!("`{}` is not a folder; move it away, or choose another lake", path.display()),
    }
}
