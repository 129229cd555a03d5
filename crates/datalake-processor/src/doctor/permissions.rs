//! Checks of what the credentials permit: list, read, write and delete.

use datalake_core::keys;
use datalake_store::{
    bucket::{ObjectKind, PutMode},
    error::StoreError,
};
use futures_util::TryStreamExt;

use super::{
    check::{Finding, Outcome},
    probe::Probe,
};

/// The object that shows whether objects can be written and read.
const WRITTEN: &str = "written";

/// The text of that object.
const TEXT: &str = "datalake doctor";

/// Lists the first object of each folder.
pub(super) async fn list(probe: &Probe<'_>) -> Outcome {
    let mut found = Vec::new();
    for folder in probe.source_folders().await {
        found.push(match first_object(probe, &folder).await? {
            Some(_) => format!("objects under {folder} can be listed"),
            None => format!("the folder {folder} can be listed and is empty"),
        });
    }
    Ok(found.join("; "))
}

/// Writes an object.
pub(super) async fn write(probe: &Probe<'_>) -> Outcome {
    probe.put(WRITTEN, TEXT, PutMode::Replace).await?;
    Ok("objects under processed_data/ can be written".to_owned())
}

/// Reads the first object of each folder; the written one if there is none.
pub(super) async fn read(probe: &Probe<'_>) -> Outcome {
    let mut readable = Vec::new();
    for folder in probe.source_folders().await {
        // A failure to list was reported.
        if let Some(key) = first_object(probe, &folder).await.ok().flatten() {
            probe.bucket.get(&key, None, Some(0..1)).await?;
            readable.push(folder);
        }
    }
    if readable.is_empty() {
        probe.bucket.get(&probe.key(WRITTEN), None, Some(0..1)).await?;
        readable.push(keys::PUBLISHED.to_owned());
    }
    Ok(format!("objects under {} can be read", readable.join(" and ")))
}

/// The key of the first object that is not empty.
async fn first_object(probe: &Probe<'_>, folder: &str) -> Result<Option<String>, StoreError> {
    let mut objects = probe.bucket.list(folder, None);
    while let Some(object) = objects.try_next().await? {
        if object.kind == ObjectKind::Object && object.size > 0 {
            return Ok(Some(object.key));
        }
    }
    Ok(None)
}

/// Removes everything that the checks wrote.
pub(super) async fn delete(probe: &Probe<'_>) -> Outcome {
    probe.remove().await?;
    match probe.bucket.head(&probe.key(WRITTEN)).await {
        Err(StoreError::NotFound { .. }) => Ok("objects under processed_data/ can be deleted".to_owned()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Finding::failed(
            "an object still exists after its deletion",
            format!("check retention rules of the bucket, and delete {}", probe.key("*")),
        )),
    }
}
