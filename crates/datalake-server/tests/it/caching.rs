//! `Cache-Control`: every response has it, and shared caches must not store responses that may name users.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};

use crate::{fixture::Lake, row_queries::bytes};

fn cache_control(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_route_sets_cache_control() {
    let lake = Lake::of_users().await;
    let document = lake.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut operations = 0;
    for (template, item) in paths {
        let path = template.replace("{user_id}", "1000").replace("{run_id}", "run-1");
        for method in item.as_object().unwrap().keys() {
            let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else {
                continue;
            };
            let request = Request::builder().method(method.clone()).uri(&path).body(Body::empty()).unwrap();
            let response = tower::ServiceExt::oneshot(lake.router(), request).await.unwrap();
            let kept = cache_control(response.headers());
            assert!(matches!(kept, Some("no-store" | "private, no-cache")), "{method} {path}: {kept:?}");
            let is_present = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics");
            if is_present || method != Method::GET || !response.status().is_success() {
                assert_eq!(kept, Some("no-store"), "{method} {path}");
            }
            operations += 1;
        }
    }
    assert!(operations > 20, "{operations}");
    for path in [
        "/openapi.json",
        "/nowhere",
        "/data/",
        "/data?x",
        "/page/users",
        "/page/nowhere",
        "/docs",
    ] {
        let answer = lake.get(path).await;
        assert!(
            matches!(cache_control(&answer.headers), Some("no-store" | "private, no-cache")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn responses_without_users_are_public() {
    let lake = Lake::of_users().await;
    let page = lake.get("/").await.body;
    let style = page.split('"').find(|text| text.starts_with("/page/assets/")).unwrap();
    for path in [style, "/docs/docs.js"] {
        let answer = lake.get(path).await;
        assert!(cache_control(&answer.headers).unwrap().starts_with("public, "), "{path}");
    }
}

fn vary(headers: &HeaderMap) -> BTreeSet<String> {
    let values = headers.get_all(header::VARY).iter();
    let names = values
        .flat_map(|value| value.to_str().unwrap().split(','))
        .map(|name| name.trim().to_owned());
    names.collect()
}

#[tokio::test]
async fn not_modified_varies_like_the_full_response() {
    let lake = Lake::of_users().await;
    for path in [
        "/data",
        "/data?limit=1",
        "/data.json",
        "/data.ndjson",
        "/data.csv",
        "/data.csv?escape=spreadsheet",
        "/data.parquet",
        "/data.arrow",
        "/data/1000",
        "/data/1000/image",
        "/stats",
    ] {
        for accepted in ["identity", "gzip"] {
            let sent = (header::ACCEPT_ENCODING, accepted);
            let (_, headers, _) = bytes(&lake, path, std::slice::from_ref(&sent)).await;
            let etag = headers[header::ETAG].to_str().unwrap();
            let (status, again, _) = bytes(&lake, path, &[sent, (header::IF_NONE_MATCH, etag)]).await;
            assert_eq!(status, StatusCode::NOT_MODIFIED, "{path}, {accepted}");
            assert_eq!(vary(&again), vary(&headers), "{path}, {accepted}");
            assert_eq!(again[header::ETAG], headers[header::ETAG], "{path}, {accepted}");
            assert!(vary(&headers).contains("accept-encoding"), "{path}, {accepted}");
        }
    }
}
