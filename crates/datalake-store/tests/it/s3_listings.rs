//! Listings of S3: how pages become objects.

use datalake_store::{
    bucket::{Bucket, ObjectMeta},
    error::StoreError,
};
use futures_util::TryStreamExt;

use crate::s3_canned::{Respond, Response, canned, status};

async fn list(pages: Vec<Respond>) -> Result<Vec<ObjectMeta>, StoreError> {
    canned(pages).0.list("", None).try_collect().await
}

fn page(entries: &str, next: &str) -> Response {
    let next = if next.is_empty() {
        String::new()
    } else {
        format!("<NextContinuationToken>{next}</NextContinuationToken>")
    };
    let is_truncated = !next.is_empty() || entries.contains("<cut/>");
    status(
        200,
        format!(
            "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{is_truncated}</IsTruncated>{next}{}</ListBucketResult>",
            entries.replace("<cut/>", "")
        ),
    )
}

fn entry(key: &str, modified: &str) -> String {
    format!("<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>&quot;t&quot;</ETag><Size>1</Size></Contents>")
}

fn entries(keys: &[&str]) -> String {
    keys.iter().map(|key| entry(key, "2026-11-24T00:00:00.123Z")).collect()
}

#[tokio::test]
async fn listed_keys_are_decoded() {
    let found = list(vec![|| page(&entries(&["a+b%2Bc", "b%01%0A"]), "more"), || {
        page(&entries(&["%E6%9D%8E%2F", "%FE", "%FF"]), "")
    }]);
    let keys: Vec<_> = found.await.unwrap().into_iter().map(|meta| meta.key).collect();
    assert_eq!(
        keys,
        ["a b+c", "b\u{1}\n", "李/", "%FE", "%FF"],
        "names that are not UTF-8 are not an error, and stay distinct"
    );
}

#[track_caller]
fn check_unexpected(result: &Result<Vec<ObjectMeta>, StoreError>, word: &str) {
    let Err(StoreError::Invalid { reason, .. }) = result else {
        panic!("{word}: {result:?}")
    };
    assert!(reason.contains(word), "{reason}");
}

#[tokio::test]
async fn inconsistent_listing_is_an_error() {
    check_unexpected(&list(vec![|| page(&entries(&["b", "a"]), "")]).await, "order");
    check_unexpected(
        &list(vec![|| page(&entries(&["a", "b"]), "more"), || page(&entries(&["b", "c"]), "")]).await,
        "order",
    );
    check_unexpected(&list(vec![|| page(&(entries(&["a"]) + "<cut/>"), "")]).await, "token");
    // The SDK's parser accepts the first half of a response.
    check_unexpected(&list(vec![|| status(200, "<ListBucketResult><Conte")]).await, "whether");
    check_unexpected(
        &list(vec![|| page(&(entries(&["a"]) + "<KeyCount>2</KeyCount>"), "")]).await,
        "number",
    );
    let untagged = || page(&entry("a", "2026-11-24T00:00:00Z").replace("&quot;t&quot;", "&quot;&quot;"), "");
    check_unexpected(&list(vec![untagged]).await, "empty ETag");
    // Neither the SDK nor `Timestamp` can represent this time.
    let result = list(vec![|| page(&entry("a", "9999999-01-01T00:00:00Z"), "")]).await;
    assert!(result.is_err(), "{result:?}");
}

#[tokio::test]
async fn failed_page_is_requested_again() {
    let found = list(vec![|| page(&entries(&["a"]), "more"), || status(500, ""), || {
        page(&entries(&["b"]), "")
    }])
    .await;
    assert_eq!(found.unwrap().len(), 2);
    let result = list(vec![|| page(&entries(&["a"]), "more"), || status(503, "")]).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}
