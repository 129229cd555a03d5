//! Conditional requests.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use crate::{
    fixture::{Lake, put},
    row_queries::bytes,
};

#[tokio::test]
async fn current_etag_returns_304() {
    let lake = Lake::of_users().await;
    let mut tags = BTreeSet::new();
    let paths = [
        "/data",
        "/data?limit=2",
        "/data.csv",
        "/data.parquet",
        "/data?on=2020-01-01",
        "/stats",
        "/stats?is_image_exists=True",
        "/data/1000",
        "/data/1001",
        "/data/1001?on=2020-01-01",
    ];
    for path in paths {
        let (_, headers, _) = bytes(&lake, path, &[]).await;
        let etag = headers[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache", "{path}");
        let (status, again, body) = bytes(&lake, path, &[(header::IF_NONE_MATCH, &etag)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        assert_eq!(again[header::ETAG], etag.as_str());
        assert_eq!(again["datalake-version"], "0");
        tags.insert(etag);
    }
    assert_eq!(tags.len(), paths.len(), "{tags:?}");
    // The order of parameters does not change the response.
    let (_, one, _) = bytes(&lake, "/data?min_age=30&last_name=Last", &[]).await;
    let (_, other, _) = bytes(&lake, "/data?last_name=Last&min_age=30", &[]).await;
    assert_eq!(one[header::ETAG], other[header::ETAG]);
    // A new version is another response.
    let (_, before, _) = bytes(&lake, "/data", &[]).await;
    let later = "2026-11-24T11:30:00Z".parse().unwrap();
    lake.commit_as("run-2", later, vec![put("b", "Gil", "1990-01-01", false)], &[])
        .await;
    lake.watch.refresh_now().await;
    let (status, _, _) = bytes(&lake, "/data", &[(header::IF_NONE_MATCH, before[header::ETAG].to_str().unwrap())]).await;
    assert_eq!(status, StatusCode::OK);
    let (_, headers, _) = bytes(&lake, "/data?version=0", &[]).await;
    let modified = headers[header::LAST_MODIFIED].to_str().unwrap();
    assert_eq!(modified, "Tue, 24 Nov 2026 11:00:00 GMT");
    for (path, expected) in [("/data?version=0", StatusCode::NOT_MODIFIED), ("/data", StatusCode::OK)] {
        let (status, _, _) = bytes(&lake, path, &[(header::IF_MODIFIED_SINCE, modified)]).await;
        assert_eq!(status, expected, "{path}");
    }
}

#[tokio::test]
async fn outdated_if_match_returns_412() {
    let lake = Lake::of_users().await;
    for path in ["/data", "/data.parquet", "/stats", "/data/1000"] {
        let (_, headers, _) = bytes(&lake, path, &[]).await;
        let etag = headers[header::ETAG].to_str().unwrap();
        let (status, _, _) = bytes(&lake, path, &[(header::IF_MATCH, etag)]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let (status, headers, body) = bytes(&lake, path, &[(header::IF_MATCH, "\"older\"")]).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
        assert!(String::from_utf8_lossy(&body).contains("/docs/problems#condition-failed"), "{path}");
    }
    // Ranges of one file are never joined with ranges of the next version.
    let (_, before, _) = bytes(&lake, "/data.parquet", &[(header::RANGE, "bytes=-8")]).await;
    lake.commit(vec![put("b", "Gil", "1990-01-01", false)]).await;
    lake.watch.refresh_now().await;
    let etag = before[header::ETAG].to_str().unwrap();
    let (status, _, _) = bytes(&lake, "/data.parquet", &[(header::RANGE, "bytes=0-3"), (header::IF_MATCH, etag)]).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn current_image_etag_returns_304() {
    let lake = Lake::of_users().await;
    let path = "/data/1000/image";
    let (_, headers, picture) = bytes(&lake, path, &[]).await;
    assert_eq!(picture, "an image");
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");
    let etag = headers[header::ETAG].to_str().unwrap();
    let (status, _, body) = bytes(&lake, path, &[(header::IF_NONE_MATCH, etag)]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    let (status, _, _) = bytes(&lake, path, &[(header::IF_MATCH, "\"older\"")]).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let head = lake.send(Request::head(path).body(Body::empty()).unwrap()).await;
    assert_eq!((head.header("content-length"), head.header("etag")), ("8", etag));
}
