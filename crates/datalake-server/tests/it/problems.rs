//! Problems: what is rejected, with which status and message.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use serde_json::{Value, json};

use crate::fixture::{Answer, Lake};

#[track_caller]
fn check_document(answer: &Answer, path: &str, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status.as_u16(), status, "path: {path}, {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "path: {path}");
    let document = answer.json();
    assert_eq!(document["type"], format!("/docs/problems#{kind}"), "path: {path}");
    assert_eq!(document["status"], status, "path: {path}");
    assert_eq!(document["instance"], path.split('?').next().unwrap_or_default());
    assert!(document["title"].is_string() && document["detail"].is_string(), "{document}");
    document
}

async fn check_parameter(lake: &Lake, path: &str, parameter: &str, nearest: Option<&str>) {
    let answer = lake.get(path).await;
    let document = check_document(&answer, path, 400, "invalid-parameter");
    assert_eq!(document["parameter"], parameter, "path: {path}");
    assert_eq!(document.get("nearest"), nearest.map(|name| json!(name)).as_ref(), "path: {path}");
}

#[tokio::test]
async fn unknown_and_malformed_parameters_return_400() {
    let lake = Lake::of_users().await;
    check_parameter(&lake, "/data?minage=30", "minage", Some("min_age")).await;
    check_parameter(&lake, "/data?is_image_exist=True", "is_image_exist", Some("is_image_exists")).await;
    check_parameter(&lake, "/data?frobnicate", "frobnicate", None).await;
    check_parameter(&lake, "/data?is_image_exists=yes", "is_image_exists", None).await;
    check_parameter(&lake, "/data?is_image_exists", "is_image_exists", None).await;
    check_parameter(&lake, "/data?min_age=30.5", "min_age", None).await;
    check_parameter(&lake, "/data?min_age=-1", "min_age", None).await;
    check_parameter(&lake, "/data?min_age=%2B1", "min_age", None).await;
    check_parameter(&lake, "/data?max_age=70000", "max_age", None).await;
    check_parameter(&lake, "/data?on=2026-02-29", "on", None).await;
    check_parameter(&lake, "/data?on=today", "on", None).await;
    check_parameter(&lake, "/data?min_age=1&min_age=2", "min_age", None).await;
    check_parameter(&lake, "/stats?min_ages=1", "min_ages", Some("min_age")).await;
    check_parameter(&lake, "/data/1?min_age=1", "min_age", None).await;
    check_parameter(&lake, "/data/1?oh=1", "oh", Some("on")).await;
    check_parameter(&lake, "/data/1000/image?on=2026-01-01", "on", None).await;
    check_parameter(&lake, "/data?last_name=%FF", "last_name", None).await;
    check_parameter(&lake, "/stats?min_age=1&last_name=%C3", "last_name", None).await;
    check_parameter(&lake, "/rejects?limit=0", "limit", None).await;
    check_parameter(&lake, "/runs?limits=1", "limits", Some("limit")).await;
    check_parameter(&lake, "/runs?limit=0", "limit", None).await;
    check_parameter(&lake, "/runs?limit=1001", "limit", None).await;
    check_parameter(&lake, "/runs/x?limit=1", "limit", None).await;
    check_parameter(&lake, "/openapi.json?x", "x", None).await;
    check_parameter(&lake, "/?x", "x", None).await;
}

async fn check_missing(lake: &Lake, path: &str, kind: &str) {
    check_document(&lake.get(path).await, path, 404, kind);
}

#[tokio::test]
async fn missing_resources_return_404() {
    let lake = Lake::of_users().await;
    check_missing(&lake, "/data/01", "no-such-user").await;
    check_missing(&lake, "/data/A", "no-such-user").await;
    check_missing(&lake, "/data/..%2Fsecret", "no-such-user").await;
    check_missing(&lake, "/data/unknown/image", "no-such-user").await;
    check_missing(&lake, "/data/1/image", "no-image").await;
    check_missing(&lake, "/runs/nothing", "no-such-run").await;
    check_missing(&lake, "/runs/%20", "no-such-run").await;
    check_missing(&lake, "/nothing", "no-such-path").await;
    check_missing(&lake, "/data/1/image/more", "no-such-path").await;
}

async fn check_path(lake: &Lake, path: &str, parameter: &str, words: &str) {
    let document = check_document(&lake.get(path).await, path, 400, "invalid-path");
    assert_eq!(document["parameter"], parameter, "{path}");
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{path}: {detail}");
}

#[tokio::test]
async fn undecodable_parts_are_named() {
    let lake = Lake::of_users().await;
    check_path(&lake, "/data/%FF", "user_id", "not UTF-8").await;
    check_path(&lake, "/data/%zz", "user_id", "`%zz`").await;
    check_path(&lake, "/data/a%/image", "user_id", "`%/i`").await;
    check_path(&lake, "/data/%f/history", "user_id", "`%f/`").await;
    check_path(&lake, "/runs/%c3", "run_id", "not UTF-8").await;
    check_path(&lake, "/runs/%/events", "run_id", "`%/e`").await;
    check_document(&lake.get("/nowhere/%zz").await, "/nowhere/%zz", 400, "malformed-request");
    for (query, parameter) in [
        ("/data?last_name=%zz", "last_name"),
        ("/data?last_name=a%", "last_name"),
        ("/stats?min_age=1&first_name=%f", "first_name"),
        ("/data.csv?last_name=100%&limit=1", "last_name"),
        ("/data?%zz=1", "%zz"),
        ("/data?%=1", "%"),
        ("/data?last_name=%ff", "last_name"),
        ("/data/1000?on=%2", "on"),
        ("/runs?limit=%", "limit"),
        ("/healthz?x=%", "x"),
        ("/changes?since=%g0", "since"),
        ("/rejects?cursor=%", "cursor"),
    ] {
        check_parameter(&lake, query, parameter, None).await;
    }
    let detail = lake.get("/data?last_name=100%").await.json()["detail"].to_string();
    assert!(detail.contains("%25"), "{detail}");
}

#[tokio::test]
async fn invalid_days_name_the_reason() {
    let lake = Lake::of_users().await;
    for (query, words) in [
        ("/data?on=9999-12-31", "0000-01-01 to 9999-12-30"),
        ("/stats?on=2023-02-30", "2023-02 has the days 01 to 28"),
        ("/data/1000?on=2026-13-01", "months are 01 to 12"),
        ("/data?on=tomorrow", "like 2026-11-24"),
        ("/data?as_of=2023-02-30", "2023-02 has the days 01 to 28"),
        ("/data?as_of=9999-12-31", "0000-01-01 to 9999-12-30"),
        ("/rejects?as_of=2026-11-24T12:00:00", "no offset"),
        ("/stats?as_of=2026-11-24T12:00:00+01:00", "%2B"),
    ] {
        let answer = lake.get(query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{query}: {detail}");
    }
    assert_eq!(lake.get("/stats?on=0000-01-01").await.status, StatusCode::OK);
    assert_eq!(lake.get("/stats?on=9999-12-30").await.status, StatusCode::OK);
}

#[tokio::test]
async fn trailing_slash_redirects() {
    let lake = Lake::of_users().await;
    let document = lake.get("/openapi.json").await.json();
    let described = document["paths"].as_object().unwrap().keys().map(String::as_str);
    let others = [
        "/openapi.json",
        "/page/users",
        "/page/users/{user_id}",
        "/page/runs",
        "/page/examples",
        "/page/assets/x",
        "/docs/x",
    ];
    for template in described.chain(others).filter(|template| *template != "/") {
        let path = template.replace("{user_id}", "1000").replace("{run_id}", "run-1");
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let request = Request::builder()
                .method(method)
                .uri(format!("{path}/?a=%20&b"))
                .body(Body::empty())
                .unwrap();
            let answer = lake.send(request).await;
            assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{path}");
            assert_eq!(answer.header("location"), format!("{path}?a=%20&b"));
        }
    }
    assert_eq!(lake.get("/docs/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn unknown_path_suggests_the_nearest() {
    let lake = Lake::of_users().await;
    for (path, nearest) in [
        ("/datas", Some("/data")),
        ("/Data", Some("/data")),
        ("/data.CSV", Some("/data.csv")),
        ("/run/x", Some("/runs/x")),
        ("/runs/x/event", Some("/runs/x/events")),
        ("/data/1000/Image", Some("/data/1000/image")),
        ("/health", Some("/healthz")),
        ("/version", Some("/versions")),
        ("/openapi.yaml", Some("/openapi.json")),
        ("/doc", Some("/docs")),
        ("/frobnicate", None),
        ("//evil.example/", None),
    ] {
        let document = check_document(&lake.get(path).await, path, 404, "no-such-path");
        assert_eq!(document.get("nearest"), nearest.map(|path| json!(path)).as_ref(), "{path}");
        let detail = document["detail"].as_str().unwrap();
        assert_eq!(detail.contains("did you mean"), nearest.is_some(), "{detail}");
    }
}

#[tokio::test]
async fn allow_header_lists_methods() {
    let lake = Lake::of_users().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/data", "GET,HEAD,POST"),
        (Method::POST, "/stats", "GET,HEAD"),
        (Method::PUT, "/data/1", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = lake.send(request).await;
        check_document(&answer, path, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed);
    }
}

#[tokio::test]
async fn reads_before_the_first_version_return_503() {
    let lake = Lake::empty();
    check_document(&lake.get("/readyz").await, "/readyz", 503, "table-unknown");
    check_document(&lake.get("/data").await, "/data", 503, "table-unknown");
    // A malformed request is rejected at once.
    check_document(&lake.get("/data?x").await, "/data", 400, "invalid-parameter");
    lake.watch.refresh_now().await;
    assert_eq!(lake.get("/readyz").await.status, StatusCode::OK);
    for path in ["/data", "/data/1", "/data/1/image", "/stats", "/rejects"] {
        let answer = lake.get(path).await;
        check_document(&answer, path, 503, "no-table-yet");
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert_eq!(lake.get("/runs").await.json(), json!({"count": 0, "runs": []}));
}

async fn status_of_post(lake: &Lake, authorization: Option<&str>) -> Answer {
    let request = Request::post("/data");
    let request = match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    };
    lake.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn token_protects_runs_only_by_default() {
    let mut lake = Lake::of_users().await;
    check_document(&status_of_post(&lake, None).await, "/data", 501, "not-launching");
    lake.parts.access = Access::ProtectRuns(Token::new("right"));
    let (none, not_ours) = ("no token; ", "invalid token; ");
    for (wrong, what) in [
        (None, none),
        (Some("Bearer wrong"), not_ours),
        (Some("Bearer "), not_ours),
        (Some("right"), none),
        (Some("Basic right"), none),
        (Some("Bearer right "), not_ours),
    ] {
        let answer = status_of_post(&lake, wrong).await;
        check_document(&answer, "/data", 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(what) && detail.contains("--token-file"), "{wrong:?}: {detail}");
    }
    check_document(&status_of_post(&lake, Some("Bearer right")).await, "/data", 501, "not-launching");
    assert_eq!(lake.get("/data").await.status, StatusCode::OK);
    let stop = Request::delete("/runs/run-1").body(Body::empty()).unwrap();
    check_document(&lake.send(stop).await, "/runs/run-1", 401, "unauthorized");
}

#[tokio::test]
async fn protected_reads_require_the_token() {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new("right").with_hint("kubectl get secret mine"));
    for path in [
        "/",
        "/data",
        "/data/1000",
        "/data/1000/image",
        "/stats",
        "/runs",
        "/rejects",
        "/openapi.json",
        "/nowhere",
    ] {
        let answer = lake.get(path).await;
        check_document(&answer, path, 401, "unauthorized");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("; kubectl get secret mine"),
            "{}",
            answer.body
        );
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            lake.get(path).await.status,
            StatusCode::OK,
            "{path}: probes and scrapes carry no token"
        );
    }
    let request = Request::get("/data").header("authorization", "bearer right");
    assert_eq!(lake.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn client_without_acceptable_coding_gets_406() {
    let lake = Lake::of_users().await;
    let request = Request::get("/data").header("accept-encoding", "*;q=0");
    let answer = lake.send(request.body(Body::empty()).unwrap()).await;
    check_document(&answer, "/data", 406, "no-coding");
}
