//! Opens a lake by its URL.

use std::{io, path::Path, sync::Arc};

use datalake_core::keys;

use crate::{
    bucket::Bucket, counter::RequestCounter, error::StoreError, folder::FolderBucket, lake_url::LakeUrl, open_options::OpenOptions, s3,
};

/// A lake that is ready for use.
#[derive(Clone, Debug)]
pub struct OpenLake {
    /// The lake's objects, with keys relative to the lake.
    pub bucket: Arc<dyn Bucket>,
    /// Counts what is asked of it.
    pub requests: Arc<RequestCounter>,
}

/// Opens a lake. Settings that can never work are rejected. No request is sent to the store yet: a missing bucket shows with the first
/// operation.
pub async fn open(url: &LakeUrl, options: &OpenOptions) -> Result<OpenLake, StoreError> {
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

/// Makes the bucket or the folder if there is none.
pub async fn create(url: &LakeUrl, options: &OpenOptions) -> Result<(), StoreError> {
    match url {
        LakeUrl::Folder(root) => {
            require_folders(root).await?;
            FolderBucket::create(root.clone()).await
        }
        LakeUrl::S3 { bucket, .. } => s3::create_bucket(bucket, options).await,
    }
}

/// Fails if a file is where a lake has a folder: the lake itself, or what is directly in it.
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
