//! Fences of a folder.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    contract,
    error::StoreError,
    folder::FolderBucket,
};
use tempfile::TempDir;

struct Lake {
    _folder: TempDir,
    root: PathBuf,
    bucket: Arc<dyn Bucket>,
}

const DAY: Duration = Duration::from_hours(24);

fn lake() -> Lake {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("lake");
    fs::create_dir(&root).unwrap();
    Lake {
        bucket: Arc::new(FolderBucket::new(root.clone())),
        root,
        _folder: folder,
    }
}

impl Lake {
    fn fences(&self) -> Vec<PathBuf> {
        let fences = fs::read_dir(self.root.join(".datalake/fences"));
        fences.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    fn staged(&self) -> usize {
        fs::read_dir(self.root.join(".datalake/tmp")).map_or(0, Iterator::count)
    }

    /// Changes the time of every fence.
    fn date_fences(&self, change: impl Fn(SystemTime) -> SystemTime) {
        for fence in self.fences() {
            let marker = fs::File::options().write(true).open(fence.join("made")).unwrap();
            marker.set_modified(change(marker.metadata().unwrap().modified().unwrap())).unwrap();
        }
    }

    async fn create(&self, key: &str) -> Result<(), StoreError> {
        self.bucket.put(key, "x".into(), PutMode::Create, &Metadata::new()).await.map(drop)
    }
}

#[tokio::test]
async fn writes_through_a_swept_fence_have_no_effect() {
    let lake = lake();
    contract::expired_writes_have_no_effect(Arc::clone(&lake.bucket), async || {
        lake.date_fences(|made| made - DAY - Duration::from_secs(1));
        assert_eq!(lake.bucket.sweep().await.unwrap(), 2);
    })
    .await;
    assert_eq!(lake.fences().len(), 0);
}

#[tokio::test]
async fn new_fence_sweeps_old_fences() {
    let lake = lake();
    contract::expired_writes_have_no_effect(Arc::clone(&lake.bucket), async || {
        lake.date_fences(|made| made - DAY - Duration::from_secs(1));
        lake.bucket.fenced().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn recent_fence_is_not_swept() {
    let lake = lake();
    let fenced = lake.bucket.fenced().await.unwrap();
    lake.date_fences(|made| made - DAY + Duration::from_mins(1));
    assert_eq!(lake.bucket.sweep().await.unwrap(), 0);
    let created = fenced.bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await;
    created.expect("the fence is valid");
}

#[tokio::test]
async fn fence_dated_in_the_future_expires_a_day_after_the_first_sweep() {
    let lake = lake();
    let fenced = lake.bucket.fenced().await.unwrap();
    lake.date_fences(|made| made + 365 * DAY);
    assert_eq!(lake.bucket.sweep().await.unwrap(), 0);
    fenced
        .bucket
        .put("a", "x".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("the fence is not old");
    // The sweep set the time of the fence.
    lake.date_fences(|made| made - DAY - Duration::from_secs(1));
    assert_eq!(lake.bucket.sweep().await.unwrap(), 1);
    let late = fenced.bucket.put("b", "x".into(), PutMode::Create, &Metadata::new()).await;
    assert!(matches!(late, Err(StoreError::Expired { .. })), "{late:?}");
}

#[tokio::test]
async fn dropping_the_last_clone_of_a_view_removes_its_folder() {
    let lake = lake();
    let fenced = lake.bucket.fenced().await.unwrap();
    let clone = fenced.clone();
    fenced.bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    drop(fenced);
    assert_eq!(lake.fences().len(), 1);
    drop(clone);
    assert_eq!(lake.fences().len(), 0);
}

#[tokio::test]
async fn sweep_removes_files_of_dead_processes() {
    let lake = lake();
    let private = lake.root.join(".datalake");
    // A fence whose owner died before it had a marker, one whose sweep was interrupted, and staged files.
    fs::create_dir_all(private.join("fences/unmarked")).unwrap();
    fs::create_dir_all(private.join("fences/interrupted.swept")).unwrap();
    fs::create_dir_all(private.join("tmp")).unwrap();
    for file in ["fences/interrupted.swept/staged", "tmp/old", "tmp/young"] {
        fs::write(private.join(file), "x").unwrap();
    }
    let now = fs::metadata(private.join("tmp/young")).unwrap().modified().unwrap();
    for path in ["fences/unmarked", "tmp/old"] {
        fs::File::open(private.join(path)).unwrap().set_modified(now - 2 * DAY).unwrap();
    }
    assert_eq!(lake.bucket.sweep().await.unwrap(), 2);
    assert_eq!((lake.fences().len(), lake.staged()), (0, 1));
    assert_eq!(lake.bucket.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn removed_lake_is_not_an_expired_fence() {
    let lake = lake();
    let fenced = lake.bucket.fenced().await.unwrap();
    lake.create("a").await.unwrap();
    fs::remove_dir_all(&lake.root).unwrap();
    for result in [
        fenced
            .bucket
            .put("b", "x".into(), PutMode::Create, &Metadata::new())
            .await
            .map(drop),
        fenced.bucket.delete("a", None).await,
        lake.bucket.fenced().await.map(drop),
        lake.bucket.sweep().await.map(drop),
    ] {
        assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
    }
}
