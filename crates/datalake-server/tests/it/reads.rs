//! Rows, statistics, images and rejects.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    fixture::{Answer, Lake, copy_key, ids, now, put},
    version_cache::{check_parameter, check_problem},
};

async fn check(lake: &Lake, query: &str, expected: &[&str]) {
    let answer = lake.get(&format!("/data?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "query: {query}, {}", answer.body);
    assert_eq!(ids(&answer.json()), expected, "query: {query}");
    // The statistics are those of the same rows.
    let stats = lake.get(&format!("/stats?{query}")).await.json();
    assert_eq!(stats["count"], expected.len(), "query: {query}");
    let ages: Vec<_> = answer
        .json()
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["age"].as_u64())
        .collect();
    assert_eq!(stats["min_age"], json!(ages.iter().min()), "query: {query}");
    assert_eq!(stats["max_age"], json!(ages.iter().max()), "query: {query}");
}

#[tokio::test]
async fn filters() {
    let lake = Lake::of_users().await;
    check(&lake, "", &["0001", "1", "1000", "1001", "1002", "1003", "a"]).await;
    check(&lake, "is_image_exists=True", &["0001", "1000", "1002", "1003"]).await;
    check(&lake, "is_image_exists=fAlSe", &["1", "1001", "a"]).await;
    check(&lake, "min_age", &["1", "1002"]).await; // Ties; 1003 is not born yet.
    check(&lake, "min_age=", &["1", "1002"]).await;
    check(&lake, "max_age", &["0001"]).await;
    check(&lake, "min_age&max_age", &["0001", "1", "1002"]).await;
    check(&lake, "is_image_exists=False&max_age", &["a"]).await;
    check(&lake, "max_age&is_image_exists=False", &["a"]).await;
    check(&lake, "is_image_exists=True&min_age", &["1002"]).await;
    check(&lake, "is_image_exists=False&min_age&max_age", &["1", "a"]).await;
    check(&lake, "min_age=30", &["0001", "1000", "1001", "a"]).await;
    check(&lake, "max_age=30", &["1", "1001", "1002"]).await;
    check(&lake, "min_age=30&max_age=40", &["1000", "1001"]).await;
    check(&lake, "min_age=30&max_age", &["0001"]).await;
    check(&lake, "min_age&max_age=40", &["1", "1002"]).await;
    check(&lake, "min_age=46&max_age=46", &["0001"]).await;
    check(&lake, "min_age=40&max_age=30", &[]).await;
    check(&lake, "min_age=200", &[]).await;
    check(&lake, "min_age&max_age=21", &[]).await;
    check(&lake, "min_age=30&on=2026-02-28", &["0001", "1000", "a"]).await; // 1001 was born on 29 February.
    check(&lake, "min_age=30&on=2026-03-01", &["0001", "1000", "1001", "a"]).await;
    check(&lake, "min_age&on=2030-01-01", &["1003"]).await;
    check(&lake, "min_age&on=1970-01-01", &[]).await;
    check(&lake, "on=1970-01-01", &["0001", "1", "1000", "1001", "1002", "1003", "a"]).await;
    check(&lake, "max_age=22&on=2026-11-23", &["1", "1002"]).await;
    check(&lake, "min_age=22&max_age=22&on=2026-11-23", &["1"]).await; // 1002's birthday is the day after.
}

#[tokio::test]
async fn rows_have_all_columns() {
    let lake = Lake::of_users().await;
    let row = lake.get("/data/1").await;
    let expected = json!({
        "user_id": "1", "first_name": "Zoë \"Z\" \\", "last_name": "Last", "birthts": 1_090_022_400_000_i64, "img_path": null, "age": 22
    });
    assert_eq!(row.json(), expected);
    assert_eq!(row.header("datalake-version"), "0");
    assert_eq!(row.header("datalake-version-age"), "3600");
    assert_eq!(row.header("datalake-checked-age"), "0");
    assert_eq!(lake.get("/data/1?on=2004-07-16").await.json()["age"], Value::Null);
    assert_eq!(lake.get("/data/1000").await.json()["img_path"], "processed_data/images/1000.png");
    let rows = lake.get("/data").await;
    assert_eq!(rows.header("content-type"), "application/json");
    assert_eq!(rows.json()[1], expected);
}

/// The chunks of 64 KiB form one document.
#[tokio::test]
async fn large_lists_are_one_array() {
    let lake = Lake::empty();
    let names: Vec<String> = (0..3_000).map(|number| format!("{number:05}")).collect();
    lake.commit(
        names
            .iter()
            .map(|name| put(name, "\u{1F600} \"quoted\"", "1990-01-01", true))
            .collect(),
    )
    .await;
    lake.watch.refresh_now().await;
    assert_eq!(ids(&lake.get("/data").await.json()), names);
    assert_eq!(ids(&lake.get("/data?is_image_exists=False").await.json()), [""; 0]);
}

#[tokio::test]
async fn statistics() {
    let lake = Lake::of_users().await;
    let expected = json!({
        "version": 0, "on": "2026-11-24", "count": 7, "average_age": 33.5, "min_age": 22, "max_age": 46, "median_age": 33.0,
        "with_image": 4, "without_image": 3,
        "by_age": [
            {"age": 22, "count": 2}, {"age": 30, "count": 1}, {"age": 36, "count": 1}, {"age": 45, "count": 1}, {"age": 46, "count": 1}
        ],
    });
    assert_eq!(lake.get("/stats").await.json(), expected);
    let none = json!({
        "version": 0, "on": "2000-01-01", "count": 0, "average_age": null, "min_age": null, "max_age": null, "median_age": null,
        "with_image": 0, "without_image": 0, "by_age": [],
    });
    assert_eq!(lake.get("/stats?min_age=100&on=2000-01-01").await.json(), none);
}

#[tokio::test]
async fn images() {
    let lake = Lake::of_users().await;
    let picture = lake.get("/data/1000/image").await;
    assert_eq!((picture.status, picture.body.as_str()), (StatusCode::OK, "an image"));
    assert_eq!(picture.header("content-type"), "image/png");
    assert_eq!(picture.header("x-content-type-options"), "nosniff");
    // The row links an image that a newer version, not loaded yet, has removed.
    assert_eq!(lake.get("/data/0001/image").await.status, StatusCode::NOT_FOUND);
    lake.set_down(true);
    let unavailable = lake.get("/data/1000/image").await;
    assert_eq!(unavailable.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unavailable.json()["type"], "/docs/problems#store-unavailable");
    assert_eq!(lake.get("/data/1/image").await.status, StatusCode::NOT_FOUND);
    lake.set_down(false);
    lake.bucket.delete(&copy_key("1000"), None).await.unwrap();
    assert_eq!(lake.get("/data/1000/image").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rejects() {
    let lake = Lake::of_users().await;
    let expected = json!({
        "version": 0, "count": 2, "rejected": 1, "ignored": 1, "rejects": [
            {
                "key": "src-data/1004.csv", "user_id": "1004", "code": "quote", "kind": "rejected", "column_name": "last_name",
                "line": 2, "column": 5, "byte_offset": 40, "excerpt": "a\"b", "excerpt_offset": 1,
                "found": "there is a quote", "expected": "no quote", "remedy": "remove it",
                "message": "there is a quote; expected no quote; remove it", "help": "/docs/rejects#quote", "since": "2026-11-24T11:00:00Z", "run_id": "run-1"
            },
            {
                "key": "src-data/notes.txt", "user_id": null, "code": "unknown_kind", "kind": "ignored", "column_name": null,
                "line": null, "column": null, "byte_offset": null, "excerpt": null, "excerpt_offset": null,
                "found": "the name \"notes.txt\" ends with \".txt\"", "expected": "{user_id}.csv or {user_id}.png",
                "remedy": "rename the object if it is a source, else remove it",
                "message": "the name \"notes.txt\" ends with \".txt\"; expected {user_id}.csv or {user_id}.png; rename the object if it is a source, else remove it", "help": "/docs/rejects#unknown_kind", "since": "2026-11-24T11:00:00Z", "run_id": "run-1"
            },
        ],
    });
    assert_eq!(lake.get("/rejects").await.json(), expected);
}

#[tokio::test]
async fn head_is_supported_on_every_get_route() {
    let lake = Lake::of_users().await;
    for path in [
        "/",
        "/data",
        "/data/1",
        "/data/1000/image",
        "/stats",
        "/runs",
        "/rejects",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ] {
        let answer = lake.send(Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""), "path: {path}");
    }
}

/// A streamed response arrives complete when it is compressed: browsers, Go's client and the proxy of Kubernetes
/// request compression.
async fn check_compressed(lake: &Lake, path: &str, encoding: &str) {
    let request = Request::get(path).header("accept-encoding", encoding).body(Body::empty()).unwrap();
    let response = lake.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}, {encoding}");
    let told = response
        .headers()
        .get("content-encoding")
        .map(|value| value.to_str().unwrap().to_owned());
    let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
    let begin: &[u8] = match told.as_deref() {
        Some("gzip") => &[0x1f, 0x8b],
        Some("zstd") => &[0x28, 0xb5, 0x2f, 0xfd],
        // Formats that are compressed already, or that readers read in place.
        None if path.ends_with("parquet") => b"PAR1",
        None if path.ends_with("arrow") => &[0xff; 4],
        told => panic!("{path}, {encoding}: {told:?}"),
    };
    assert!(bytes.starts_with(begin), "{path}, {encoding}: {bytes:?}");
}

#[tokio::test]
async fn compressed_responses_have_the_same_content() {
    let lake = Lake::of_users().await;
    // Responses under 1 KiB are not compressed.
    let more = (0..100).map(|number| put(&format!("u{number}"), "Abe", "1990-01-01", false));
    lake.commit(more.collect()).await;
    lake.watch.refresh_now().await;
    for path in [
        "/data",
        "/data?min_age=30",
        "/data?format=ndjson",
        "/data?format=csv",
        "/data?format=arrow",
        "/data?format=parquet",
        "/changes?since=0",
        "/changes.csv?since=0",
        "/rejects.csv?version=0",
        "/openapi.json",
    ] {
        for encoding in ["gzip", "zstd"] {
            check_compressed(&lake, path, encoding).await;
        }
    }
}

#[tokio::test]
async fn rejects_are_paged() {
    let lake = Lake::of_users().await;
    let first = lake.get("/rejects?limit=1").await;
    assert_eq!(first.header("x-total-count"), "2");
    assert_eq!(keys(&first), ["src-data/1004.csv"]);
    let next = first
        .header("link")
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let next = next.unwrap().to_owned();
    // Later versions do not change it.
    lake.commit_as("run-2", now(), vec![put("7", "Gus", "1990-01-01", false)], &[])
        .await;
    lake.watch.refresh_now().await;
    assert_eq!(lake.get("/rejects").await.json()["count"], 0);
    let second = lake.get(&next).await;
    assert_eq!(keys(&second), ["src-data/notes.txt"]);
    assert_eq!((second.header("datalake-version"), second.headers.get("link")), ("0", None));

    let with_code = lake.get("/rejects?version=0&code=unknown_kind").await;
    assert_eq!(
        (keys(&with_code), with_code.header("x-total-count")),
        (vec!["src-data/notes.txt".to_owned()], "1")
    );
    check_parameter(&lake, "/rejects?code=typo", "code").await;
    check_parameter(&lake, "/rejects?limit=1001", "limit").await;
    check_parameter(&lake, "/rejects?cursor=0~x", "cursor").await;
    check_parameter(&lake, &format!("{next}&version=0"), "cursor").await;
    check_problem(&lake, "/rejects?cursor=0~other~src-data/1004.csv", 410, "cursor-gone").await;
}

fn keys(rejects: &Answer) -> Vec<String> {
    let document = rejects.json();
    let rejects = document["rejects"].as_array().unwrap();
    rejects.iter().map(|reject| reject["key"].as_str().unwrap().to_owned()).collect()
}
