//! Bytes, names and listings of objects.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};

use super::{put, text};
use crate::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
};

/// Bytes in which no two parts of the same length are equal.
pub(super) fn pattern(length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut number: u64 = 0;
    while bytes.len() < length {
        bytes.extend_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        number += 1;
    }
    bytes.truncate(length);
    bytes.into()
}

async fn keys(bucket: &dyn Bucket, prefix: &str, start_after: Option<&str>) -> Vec<String> {
    let listed = bucket.list(prefix, start_after).map_ok(|meta| meta.key).try_collect();
    listed.await.expect("listing succeeds")
}

/// Get and head return user metadata as it was put, and an update replaces it.
pub async fn metadata_round_trips(bucket: Arc<dyn Bucket>) {
    let metadata = Metadata::from([("datalake-version".to_owned(), "7".to_owned()), ("a".to_owned(), "b c".to_owned())]);
    let etag = bucket
        .put("metadata/1", "a".into(), PutMode::Create, &metadata)
        .await
        .expect("there is no object yet");
    assert_eq!(bucket.head("metadata/1").await.expect("the object exists").metadata, metadata);
    assert_eq!(
        bucket.get("metadata/1", None, None).await.expect("the object exists").metadata,
        metadata
    );
    bucket
        .put("metadata/1", "b".into(), PutMode::Update(etag), &Metadata::new())
        .await
        .expect("the ETag is current");
    assert_eq!(
        bucket.head("metadata/1").await.expect("the object exists").metadata,
        Metadata::new()
    );
}

/// Get, head and list return the ETag, size and bytes of the last put.
pub async fn reads_see_what_was_written(bucket: Arc<dyn Bucket>) {
    for (round, bytes) in ["a", "bb", "ccc", "bb"].into_iter().enumerate() {
        let etag = put(bucket.as_ref(), "written/1", bytes).await;
        let head = bucket.head("written/1").await.expect("the object exists");
        let object = bucket.get("written/1", None, None).await.expect("the object exists");
        let listed: Vec<_> = bucket.list("written/", None).try_collect().await.expect("listing succeeds");
        assert_eq!((&head.meta.etag, &object.bytes[..]), (&etag, bytes.as_bytes()), "round {round}");
        // Times are not compared: S3's listings have fractions of a second, and its headers do not.
        for meta in listed.iter().chain([&head.meta, &object.meta]) {
            let size = u64::try_from(bytes.len()).unwrap_or_default();
            assert_eq!(
                (meta.key.as_str(), &meta.etag, meta.size),
                ("written/1", &etag, size),
                "round {round}"
            );
        }
        assert_eq!(listed.len(), 1, "round {round}");
    }
    bucket.delete("written/1", None).await.expect("the object exists");
    assert!(keys(bucket.as_ref(), "written/", None).await.is_empty());
}

/// While an object is being replaced, a reader sees the old or the new bytes.
pub async fn readers_never_see_a_part_of_an_object(bucket: Arc<dyn Bucket>) {
    const SIZE: usize = 256 * 1024;
    let states = [Bytes::from(vec![b'a'; SIZE]), Bytes::from(vec![b'b'; SIZE / 2])];
    let write = async |state: Bytes| bucket.put("half/1", state, PutMode::Replace, &Metadata::new()).await;
    write(states[0].clone()).await.expect("a plain put succeeds");
    let writer = async {
        for round in 0..40 {
            write(states[round % 2].clone()).await.expect("a plain put succeeds");
        }
    };
    let reader = async {
        for _ in 0..80 {
            let object = bucket.get("half/1", None, None).await.expect("the object exists");
            assert!(states.contains(&object.bytes), "{} bytes", object.bytes.len());
            assert_eq!(Ok(object.meta.size), u64::try_from(object.bytes.len()));
        }
    };
    tokio::join!(writer, reader);
}

/// A listing has exactly the keys with the prefix, in byte order of the whole keys.
pub async fn listing_is_in_key_order(bucket: Arc<dyn Bucket>) {
    let names = ["a-b", "a.csv", "a/x", "a/y/z", "aa", "A", "b", "é"];
    for name in names {
        put(bucket.as_ref(), &format!("order/{name}"), "x").await;
    }
    put(bucket.as_ref(), "order.not", "x").await;
    let mut expected: Vec<_> = names.iter().map(|name| format!("order/{name}")).collect();
    expected.sort_unstable();
    let bucket = bucket.as_ref();
    assert_eq!(keys(bucket, "order/", None).await, expected);
    assert_eq!(
        keys(bucket, "order/a", None).await,
        ["order/a-b", "order/a.csv", "order/a/x", "order/a/y/z", "order/aa"]
    );
    assert_eq!(keys(bucket, "order/a/", None).await, ["order/a/x", "order/a/y/z"]);
    assert_eq!(
        keys(bucket, "order/", Some("order/a/x")).await,
        ["order/a/y/z", "order/aa", "order/b", "order/é"]
    );
    assert_eq!(keys(bucket, "order/a", Some("order/a/xx")).await, ["order/a/y/z", "order/aa"]);
    assert!(keys(bucket, "order/nothing", None).await.is_empty());
    assert!(keys(bucket, "order/", Some("order/\u{10ffff}")).await.is_empty());
}

/// Each of thousands of objects is listed once, on however many pages.
pub async fn listing_has_each_object_once(bucket: Arc<dyn Bucket>) {
    const OBJECTS: usize = 2_500;
    let expected: Vec<_> = (0..OBJECTS).map(|number| format!("pages/{number:05}.csv")).collect();
    let writes = expected.iter().map(|key| {
        let (bucket, key) = (Arc::clone(&bucket), key.clone());
        async move { put(bucket.as_ref(), &key, "x").await }
    });
    stream::iter(writes).buffer_unordered(32).for_each(async |_| {}).await;
    assert_eq!(keys(bucket.as_ref(), "pages/", None).await, expected);
    assert_eq!(keys(bucket.as_ref(), "pages/", Some(&expected[999])).await, expected[1_000..]);
}

async fn check_names(bucket: Arc<dyn Bucket>, prefix: &str, names: &[String]) {
    for name in names {
        let key = format!("{prefix}{name}");
        bucket
            .put(&key, Bytes::from(name.clone()), PutMode::Create, &Metadata::new())
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
        assert_eq!(text(bucket.as_ref(), &key).await, *name);
    }
    let mut expected: Vec<_> = names.iter().map(|name| format!("{prefix}{name}")).collect();
    expected.sort_unstable();
    assert_eq!(keys(bucket.as_ref(), prefix, None).await, expected);
    for key in expected {
        let copy = format!("{key}.copy");
        let etag = bucket
            .head(&key)
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"))
            .meta
            .etag;
        bucket
            .copy(&key, &etag, &copy, &Metadata::new())
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
        bucket
            .delete(&key, Some(&etag))
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
        bucket
            .delete(&copy, None)
            .await
            .unwrap_or_else(|error| panic!("{copy:?}: {error:?}"));
    }
    assert!(keys(bucket.as_ref(), prefix, None).await.is_empty());
}

/// Names are not decoded, normalized or interpreted as markup.
pub async fn unusual_names_are_not_interpreted(bucket: Arc<dyn Bucket>) {
    let names = [
        "a b",
        "a+b",
        "a%20b",
        "a%2Fb",
        "a&b",
        "a#b",
        "a?b=c",
        "a=b",
        "a;b",
        "a'b",
        "a\"b",
        "<a>&amp;",
        "[a]",
        "{a}",
        "a\\b",
        "a|b",
        "a^b",
        "a`b",
        "a~b",
        "a@b",
        "a:b",
        "a,b",
        "a$b",
        "a!b",
        "a*b",
        "(a)",
        "é",
        "e\u{301}",
        "李小龙",
        "🦀",
        " a",
        "a ",
        "...",
        ".a",
    ];
    let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.push("n".repeat(200));
    check_names(bucket, "awkward/", &names).await;
}

/// Names with control characters work. XML 1.0 cannot contain them, so a listing must be encoded.
pub async fn control_characters_in_names_are_listed(bucket: Arc<dyn Bucket>) {
    let names = ["a\u{1}b", "a\nb", "a\tb", "a\u{7f}b"].map(ToOwned::to_owned);
    check_names(bucket, "control/", &names).await;
}

/// Objects of tens of megabytes can be written and read.
pub async fn large_objects_are_written_and_read(bucket: Arc<dyn Bucket>) {
    let large = pattern(40 * 1024 * 1024 + 1);
    let metadata = Metadata::from([("datalake-version".to_owned(), "7".to_owned())]);
    let etag = bucket
        .put("large/1", large.clone(), PutMode::Replace, &metadata)
        .await
        .expect("a plain put succeeds");
    let object = bucket.get("large/1", Some(&etag), None).await.expect("the object exists");
    assert!(object.bytes == large, "the bytes differ");
    assert_eq!((object.meta.size, object.metadata), (40 * 1024 * 1024 + 1, metadata));
    let middle = bucket
        .get("large/1", None, Some(20_000_000..20_000_010))
        .await
        .expect("the object exists");
    assert_eq!(middle.bytes, large.slice(20_000_000..20_000_010));
    let smaller = pattern(17 * 1024 * 1024);
    let updated = bucket
        .put("large/1", smaller, PutMode::Update(etag.clone()), &Metadata::new())
        .await
        .expect("the ETag is current");
    assert_ne!(etag, updated);
}

/// A range is clipped at the object's end, and is invalid after it.
pub async fn ranges_are_clipped(bucket: Arc<dyn Bucket>) {
    put(bucket.as_ref(), "ranges/1", "0123456789").await;
    for (range, expected) in [(0..4, "0123"), (4..5, "4"), (8..100, "89"), (0..10, "0123456789")] {
        let object = bucket.get("ranges/1", None, Some(range.clone())).await.expect("the object exists");
        assert_eq!((&object.bytes[..], object.meta.size), (expected.as_bytes(), 10), "{range:?}");
    }
    for range in [10..11, 100..200] {
        let result = bucket.get("ranges/1", None, Some(range.clone())).await;
        assert!(matches!(result, Err(StoreError::Invalid { .. })), "{range:?}: {result:?}");
    }
}

/// An object may be empty.
pub async fn empty_objects_are_written_and_read(bucket: Arc<dyn Bucket>) {
    put(bucket.as_ref(), "empty/1", "").await;
    let object = bucket.get("empty/1", None, None).await.expect("the object exists");
    assert_eq!((object.meta.size, object.bytes.len()), (0, 0));
    let gets = join_all((0..8).map(|_| bucket.get("empty/1", None, Some(0..1)))).await;
    assert!(
        gets.iter().all(|result| matches!(result, Err(StoreError::Invalid { .. }))),
        "{gets:?}"
    );
}
