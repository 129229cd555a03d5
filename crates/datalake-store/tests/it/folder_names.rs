//! Entries of a folder that a bucket cannot have: links, folders in the place of objects, private files.

#![expect(clippy::unwrap_used, reason = "the fixture is part of the tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use datalake_store::{
    bucket::{Bucket, Etag, Metadata, ObjectKind, PutMode},
    error::StoreError,
    folder::FolderBucket,
};
use futures_util::TryStreamExt;
use tempfile::TempDir;

struct Lake {
    _folder: TempDir,
    root: PathBuf,
    bucket: FolderBucket,
}

fn lake(files: &[&str]) -> Lake {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("lake");
    for file in files {
        write(&root, file);
    }
    fs::create_dir_all(&root).unwrap();
    Lake {
        bucket: FolderBucket::new(root.clone()),
        root,
        _folder: folder,
    }
}

fn write(root: &Path, file: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

#[track_caller]
fn link(target: &str, at: &Path) {
    std::os::unix::fs::symlink(target, at).unwrap();
}

/// The keys of objects that are files.
async fn files(lake: &Lake, prefix: &str) -> Vec<String> {
    let listed: Vec<_> = lake.bucket.list(prefix, None).try_collect().await.unwrap();
    let files = listed.into_iter().filter(|meta| meta.kind == ObjectKind::Object);
    files.map(|meta| meta.key).collect()
}

async fn keys(lake: &Lake, prefix: &str) -> Vec<String> {
    lake.bucket
        .list(prefix, None)
        .map_ok(|meta| meta.key)
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{prefix:?}: {error:?}"))
}

#[tokio::test]
async fn prefixes_outside_the_root_list_nothing() {
    let lake = lake(&["src-data/1.csv", ".datalake/lock"]);
    write(lake.root.parent().unwrap(), "secret");
    let outside = format!("{}/", lake.root.parent().unwrap().display());
    for prefix in [
        outside.as_str(),
        "/",
        "//",
        "../",
        "src-data/../../",
        "./",
        ".datalake",
        ".datalake/",
        "src-data//",
        "src-data\0/",
    ] {
        assert_eq!(keys(&lake, prefix).await, [""; 0], "{prefix:?}");
    }
    assert_eq!(keys(&lake, "").await, ["src-data/1.csv"]);
}

#[tokio::test]
async fn links_to_files_are_listed_and_loops_end() {
    let lake = lake(&["a/1", "b/2", "c"]);
    link("../c", &lake.root.join("a/linked"));
    link("dangling", &lake.root.join("a/nothing"));
    link("itself", &lake.root.join("a/itself"));
    link("../b", &lake.root.join("a/b"));
    link("../a", &lake.root.join("b/a"));
    // Two links to parents: if loops were not detected, the number of paths would double at each level.
    link(".", &lake.root.join("here"));
    link("..", &lake.root.join("b/up"));
    let expected = ["a/1", "a/b/2", "a/linked", "b/2", "b/a/1", "b/a/linked", "c"];
    assert_eq!(files(&lake, "").await, expected);
    // The other links lead nowhere, or to a folder that contains them.
    let others = [
        "a/b/a",
        "a/b/up",
        "a/itself",
        "a/nothing",
        "b/a/b",
        "b/a/itself",
        "b/a/nothing",
        "b/up",
    ];
    assert_eq!(keys(&lake, "").await.len(), expected.len() + others.len());
    assert!(
        keys(&lake, "")
            .await
            .iter()
            .all(|key| expected.contains(&&**key) || others.contains(&&**key))
    );
    assert_eq!(
        files(&lake, "b/").await,
        expected[3..6],
        "the listing of a prefix is the same part of the whole listing"
    );
}

#[tokio::test]
async fn link_to_itself_does_not_stop_the_listing() {
    let lake = lake(&["1.csv"]);
    link("itself", &lake.root.join("itself"));
    assert_eq!(keys(&lake, "").await, ["1.csv"]);
}

#[tokio::test]
async fn link_to_the_parent_does_not_list_objects_twice() {
    let lake = lake(&["1.csv"]);
    link(".", &lake.root.join("here"));
    assert_eq!(keys(&lake, "").await, ["1.csv"]);
}

/// `caf\xE9.csv` and `caf\xE8.csv` are two files whose names are not UTF-8.
#[tokio::test]
async fn names_that_are_not_utf8_stay_distinct() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let lake = lake(&["src-data/cafz.csv"]);
    for name in [b"caf\xE9.csv", b"caf\xE8.csv"] {
        fs::write(lake.root.join("src-data").join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let expected = ["src-data/caf%E8.csv", "src-data/caf%E9.csv", "src-data/cafz.csv"];
    assert_eq!(keys(&lake, "src-data/").await, expected);
}

#[tokio::test]
async fn first_write_removes_old_staged_files() {
    let lake = lake(&[".datalake/tmp/old", ".datalake/tmp/young"]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let old = fs::File::options().write(true).open(lake.root.join(".datalake/tmp/old")).unwrap();
    old.set_modified(long_ago).unwrap();
    lake.bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    let left: Vec<_> = fs::read_dir(lake.root.join(".datalake/tmp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["young"]);
}

/// A named pipe replaced a source that was listed. Opening it must not wait for a writer.
#[tokio::test]
async fn reading_a_named_pipe_does_not_block() {
    let lake = lake(&["src-data/1.csv"]);
    let made = std::process::Command::new("mkfifo")
        .arg(lake.root.join("src-data/2.csv"))
        .status()
        .unwrap();
    assert!(made.success());
    let get = lake.bucket.get("src-data/2.csv", None, None);
    let got = tokio::time::timeout(Duration::from_mins(1), get).await.expect("it does not block");
    assert!(matches!(got, Err(StoreError::NotFound { .. })), "{got:?}");
    let head = lake.bucket.head("src-data/2.csv").await;
    assert!(matches!(head, Err(StoreError::NotFound { .. })), "{head:?}");
}

#[tokio::test]
async fn key_that_is_an_object_and_a_folder_is_invalid() {
    // A file is in the place of a folder, or a folder in the place of a file: neither a retry nor another ETag helps.
    let lake = lake(&["file", "folder/file"]);
    for mode in [PutMode::Create, PutMode::Replace] {
        for key in ["file/1", "file/1/2", "folder"] {
            let result = lake.bucket.put(key, "x".into(), mode.clone(), &Metadata::new()).await;
            assert!(matches!(result, Err(StoreError::Invalid { .. })), "{mode:?} {key}: {result:?}");
        }
    }
    let etag = lake.bucket.head("file").await.unwrap().meta.etag;
    let result = lake.bucket.copy("file", &etag, "folder", &Metadata::new()).await;
    assert!(matches!(result, Err(StoreError::Invalid { .. })), "{result:?}");
    assert_eq!(keys(&lake, "").await, ["file", "folder/file"]);
}

/// The listed sources with their kinds.
async fn kinds(lake: &Lake) -> Vec<(String, ObjectKind)> {
    let listed = lake.bucket.list("src-data/", None).map_ok(|meta| (meta.key, meta.kind));
    listed.try_collect().await.unwrap()
}

#[tokio::test]
async fn entries_below_the_sources_that_are_not_files_are_listed_but_not_read() {
    use ObjectKind::{NotAFile, Object};

    let lake = lake(&["src-data/1.csv", "src-data/folder.csv/1.csv", "elsewhere/2.csv"]);
    let sources = lake.root.join("src-data");
    write(lake.root.parent().unwrap(), "secret");
    write(lake.root.parent().unwrap(), "secrets/3.csv");
    let outside = lake.root.parent().unwrap().join("secret");
    link("nothing", &sources.join("dangling.csv"));
    link("itself.csv", &sources.join("itself.csv"));
    link("../../secret", &sources.join("out.csv"));
    link(outside.to_str().unwrap(), &sources.join("out-absolute.csv"));
    link("../../secrets", &sources.join("out-folder"));
    link("..", &sources.join("up"));
    link("../elsewhere/2.csv", &sources.join("2.csv"));
    link("../elsewhere", &sources.join("within"));
    let made = std::process::Command::new("mkfifo").arg(sources.join("fifo.csv")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(sources.join("socket")).unwrap();

    let expected = [
        ("1.csv", Object),
        ("2.csv", Object),
        ("dangling.csv", NotAFile),
        ("fifo.csv", NotAFile),
        ("folder.csv", NotAFile),
        ("folder.csv/1.csv", Object),
        ("itself.csv", NotAFile),
        ("out-absolute.csv", NotAFile),
        ("out-folder", NotAFile),
        ("out.csv", NotAFile),
        ("socket", NotAFile),
        ("up", NotAFile),
        ("within/2.csv", Object),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(name, kind)| (format!("src-data/{name}"), kind))
        .collect();
    let found = kinds(&lake).await;
    assert_eq!(found, expected);
    for (key, kind) in found {
        let got = tokio::time::timeout(Duration::from_mins(1), lake.bucket.get(&key, None, None)).await;
        let got = got.expect("it does not block");
        let head = lake.bucket.head(&key).await;
        match kind {
            Object => assert!(got.is_ok() && head.is_ok(), "{key}: {got:?}, {head:?}"),
            NotAFile => assert!(
                matches!((&got, &head), (Err(StoreError::NotFound { .. }), Err(StoreError::NotFound { .. }))),
                "{key}: {got:?}, {head:?}"
            ),
        }
    }
}

/// A link is checked when it is read, not only when it is listed.
#[tokio::test]
async fn source_replaced_by_a_link_out_of_the_lake_is_not_read() {
    let lake = lake(&["src-data/1.csv"]);
    write(lake.root.parent().unwrap(), "secret");
    fs::remove_file(lake.root.join("src-data/1.csv")).unwrap();
    link("../../secret", &lake.root.join("src-data/1.csv"));
    let got = lake.bucket.get("src-data/1.csv", None, None).await;
    assert!(matches!(got, Err(StoreError::NotFound { .. })), "{got:?}");
    let etag = Etag::new("any");
    let copied = lake.bucket.copy("src-data/1.csv", &etag, "copy", &Metadata::new()).await;
    assert!(matches!(copied, Err(StoreError::NotFound { .. })), "{copied:?}");
}

#[tokio::test]
async fn file_instead_of_the_sources_folder_is_an_error() {
    let lake = lake(&["src-data"]);
    let listed: Result<Vec<_>, _> = lake.bucket.list("src-data/", None).try_collect().await;
    let error = listed.unwrap_err().to_string();
    assert!(error.contains("src-data is a file, not a folder"), "{error}");
}

/// The source is the target of a copy that has not ended.
#[tokio::test]
async fn source_that_is_being_written_is_a_conflict() {
    use std::{
        io::Write,
        sync::atomic::{AtomicBool, Ordering},
    };
    let lake = lake(&["src-data/1.csv"]);
    let path = lake.root.join("src-data/2.csv");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"first_name,last_name,birthts\nAda,Byrne,61230240000").unwrap();
    let stops = std::sync::Arc::new(AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stops);
    let writer = std::thread::spawn(move || {
        while !stopped.load(Ordering::SeqCst) {
            file.write_all(b"0").unwrap();
            std::thread::yield_now();
        }
    });
    let got = lake.bucket.get("src-data/2.csv", None, None).await;
    assert!(matches!(got, Err(StoreError::Conflict { .. })), "{got:?}");
    stops.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    let got = lake.bucket.get("src-data/2.csv", None, None).await.unwrap();
    assert_eq!(got.bytes, fs::read(path).unwrap());
}

#[tokio::test]
async fn absolute_links_within_the_lake_are_followed() {
    let lake = lake(&["elsewhere/1.csv", "src-data/0.csv"]);
    let target = fs::canonicalize(&lake.root).unwrap().join("elsewhere/1.csv");
    link(target.to_str().unwrap(), &lake.root.join("src-data/1.csv"));
    let expected = ["0.csv", "1.csv"].map(|name| (format!("src-data/{name}"), ObjectKind::Object));
    assert_eq!(kinds(&lake).await, expected);
    assert_eq!(&lake.bucket.get("src-data/1.csv", None, None).await.unwrap().bytes[..], b"x");
}

/// An operator may keep the sources or the table on another file system.
#[tokio::test]
async fn folder_of_the_lake_can_be_a_link() {
    for relative in [true, false] {
        let lake = lake(&["other"]);
        let outside = lake.root.parent().unwrap().join("sources");
        write(&outside, "1.csv");
        write(&outside, "below/2.csv");
        write(lake.root.parent().unwrap(), "secret");
        link("1.csv", &outside.join("3.csv"));
        link("../secret", &outside.join("4.csv"));
        let target = if relative { "../sources" } else { outside.to_str().unwrap() };
        link(target, &lake.root.join("src-data"));
        let expected = [
            ("1.csv", ObjectKind::Object),
            ("3.csv", ObjectKind::Object),
            ("4.csv", ObjectKind::NotAFile),
            ("below/2.csv", ObjectKind::Object),
        ];
        let found = kinds(&lake).await;
        assert_eq!(found, expected.map(|(name, kind)| (format!("src-data/{name}"), kind)));
        for (key, kind) in found {
            let got = lake.bucket.get(&key, None, None).await;
            assert_eq!(got.is_ok(), kind == ObjectKind::Object, "{key}: {got:?}");
        }
        let put = lake
            .bucket
            .put("src-data/5.csv", "y".into(), PutMode::Create, &Metadata::new())
            .await;
        assert!(put.is_ok(), "{put:?}");
    }
}
