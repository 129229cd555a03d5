use std::{fs, ops::Deref, sync::Arc};

use datalake_store::{
    bucket::{Bucket, GET_BYTES_MAX, Metadata, PutMode},
    error::StoreError,
    folder::FolderBucket,
    store_contract,
};
use futures_util::TryStreamExt;
use tempfile::TempDir;

#[expect(clippy::unused_async, reason = "the suite takes a future")]
async fn open() -> Arc<dyn Bucket> {
    // The folder must outlive this function. `cargo clean` removes it.
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
    Arc::new(FolderBucket::new(root))
}

store_contract!(open());

struct Folder {
    root: TempDir,
    bucket: FolderBucket,
}

impl Deref for Folder {
    type Target = FolderBucket;

    fn deref(&self) -> &FolderBucket {
        &self.bucket
    }
}

fn folder() -> Folder {
    let root = TempDir::new().unwrap();
    let bucket = FolderBucket::new(root.path().join("lake"));
    fs::create_dir(root.path().join("lake")).unwrap();
    Folder { root, bucket }
}

#[tokio::test]
async fn keys_outside_the_root_are_invalid() {
    let folder = folder();
    fs::write(folder.root.path().join("secret"), "x").unwrap();
    for key in [
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "./a",
        "a//b",
        "a/",
        "",
        "..",
        ".datalake/lock",
        "a\0b",
    ] {
        let read = folder.get(key, None, None).await;
        assert!(matches!(read, Err(StoreError::NotFound { .. })), "{key:?}: {read:?}");
        folder
            .delete(key, None)
            .await
            .expect("deleting an object that cannot exist succeeds");
        let written = folder.put(key, "x".into(), PutMode::Replace, &Metadata::new()).await;
        assert!(matches!(written, Err(StoreError::Invalid { .. })), "{key:?}: {written:?}");
    }
    assert_eq!(fs::read_to_string(folder.root.path().join("secret")).unwrap(), "x");
}

#[tokio::test]
async fn edit_in_place_changes_the_etag() {
    let folder = folder();
    let etag = folder.put("a", "one".into(), PutMode::Replace, &Metadata::new()).await.unwrap();
    fs::write(folder.root.path().join("lake/a"), "longer").unwrap();
    assert!(matches!(folder.get("a", Some(&etag), None).await, Err(StoreError::Conflict { .. })));
    assert_eq!(&folder.get("a", None, None).await.unwrap().bytes[..], b"longer");
}

#[tokio::test]
async fn writes_leave_no_staged_files_or_metadata() {
    let folder = folder();
    let metadata = Metadata::from([("a".to_owned(), "b".to_owned())]);
    for round in 0..5 {
        folder
            .put("a", format!("{round}").into(), PutMode::Replace, &metadata)
            .await
            .unwrap();
        folder.put("a", "lost".into(), PutMode::Create, &metadata).await.unwrap_err();
    }
    let left = |name: &str| fs::read_dir(folder.root.path().join("lake/.datalake").join(name)).unwrap().count();
    assert_eq!((left("tmp"), left("metadata")), (0, 1));
    folder.delete("a", None).await.unwrap();
    assert_eq!(left("metadata"), 0);
    let listed: Vec<_> = folder.list("", None).try_collect().await.unwrap();
    assert!(listed.is_empty(), "the private folder is not listed: {listed:?}");
}

#[tokio::test]
async fn missing_folder_is_reported_with_a_remedy() {
    let bucket = FolderBucket::new("/nowhere/at/all".into());
    let error = bucket
        .list("src-data/", None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/at/all") && error.contains("datalake init"), "{error}");
    // The object may exist when the folder is available again, so it is not reported as missing.
    let denied = [bucket.get("a", None, None).await.err(), bucket.head("a").await.err()];
    assert!(
        denied.iter().all(|error| matches!(error, Some(StoreError::Denied { .. }))),
        "{denied:?}"
    );
}

#[tokio::test]
async fn two_handles_update_the_same_store() {
    let folder = folder();
    let other = FolderBucket::new(folder.root.path().join("lake"));
    let mut etag = folder.put("counter", "0".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    for round in 1..20_u32 {
        let write = |bucket: FolderBucket, etag| async move {
            bucket
                .put("counter", round.to_string().into(), PutMode::Update(etag), &Metadata::new())
                .await
        };
        let (mine, theirs) = tokio::join!(write(folder.bucket.clone(), etag.clone()), write(other.clone(), etag.clone()));
        assert_ne!(mine.is_ok(), theirs.is_ok(), "one of them wins: {mine:?}, {theirs:?}");
        etag = mine.or(theirs).unwrap();
    }
}

/// `rsync -a`, `tar -x` and `cp -p` can write a file with the inode, size and modification time of the file before.
#[tokio::test]
async fn source_replaced_with_equal_size_and_time_has_another_etag() {
    use std::os::unix::fs::MetadataExt;
    let folder = folder();
    let path = folder.root.path().join("lake/src-data/1.csv");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "one").unwrap();
    let before = fs::metadata(&path).unwrap();
    let first = folder.head("src-data/1.csv").await.unwrap().meta.etag;
    loop {
        fs::write(&path, "two").unwrap();
        fs::File::open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        let after = fs::metadata(&path).unwrap();
        let is_same =
            |after: &fs::Metadata| (after.ino(), after.len(), after.mtime_nsec()) == (before.ino(), before.len(), before.mtime_nsec());
        assert!(is_same(&after));
        // The clock of the file system may not advance for milliseconds.
        if after.ctime_nsec() != before.ctime_nsec() {
            break;
        }
    }
    let head = folder.head("src-data/1.csv").await.unwrap();
    assert_ne!(head.meta.etag, first);
    let listed: Vec<_> = folder.list("src-data/", None).try_collect().await.unwrap();
    assert_eq!(listed, [head.meta]);
    let stale = folder.get("src-data/1.csv", Some(&first), None).await;
    assert!(matches!(stale, Err(StoreError::Conflict { .. })), "{stale:?}");
}

/// A link and a rename set the change time of a source, so its ETag is known only after them.
#[tokio::test]
async fn put_of_a_source_returns_the_listed_etag() {
    let folder = folder();
    let (key, metadata) = ("src-data/1.csv", Metadata::from([("a".to_owned(), "b".to_owned())]));
    let mut etags = Vec::new();
    let mut mode = PutMode::Create;
    for view in [Arc::new(folder.bucket.clone()), folder.fenced().await.unwrap().bucket] {
        for _ in 0..3 {
            let etag = view.put(key, "one".into(), mode, &metadata).await.unwrap();
            let listed: Vec<_> = folder.list("src-data/", None).try_collect().await.unwrap();
            assert_eq!(listed[0].etag, etag);
            let object = folder.get(key, Some(&etag), None).await.unwrap();
            assert_eq!((&object.meta, &object.metadata), (&listed[0], &metadata));
            mode = PutMode::Update(etag.clone());
            etags.push(etag);
        }
        view.delete(key, etags.last()).await.unwrap();
        mode = PutMode::Create;
    }
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 6);
    assert_eq!(fs::read_dir(folder.root.path().join("lake/.datalake/metadata")).unwrap().count(), 0);
}

/// A sparse file takes no space on disk, but would exceed the memory of this process.
#[tokio::test]
async fn objects_over_the_size_limit_are_read_in_ranges_only() {
    let folder = folder();
    let file = fs::File::create(folder.root.path().join("lake/huge")).unwrap();
    file.set_len(1 << 43).unwrap();
    for range in [None, Some(0..GET_BYTES_MAX + 1)] {
        let whole = folder.get("huge", None, range).await;
        assert!(matches!(whole, Err(StoreError::Invalid { .. })), "{whole:?}");
    }
    let part = folder.get("huge", None, Some(1 << 42..(1 << 42) + 3)).await.unwrap();
    assert_eq!((&part.bytes[..], part.meta.size), (&[0; 3][..], 1 << 43));
}

/// The stack of a thread must not limit a listing. File systems limit paths to some 2,000 folders.
#[tokio::test]
async fn deep_folders_are_listed() {
    let folder = folder();
    let depth = 1_900;
    let key = format!("{}x", "d/".repeat(depth));
    let path = folder.root.path().join("lake").join(&key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "x").unwrap();
    let listed: Vec<_> = folder.list("", None).try_collect().await.unwrap();
    assert_eq!(listed[0].key, key);
}
