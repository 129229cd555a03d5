//! The server's life: new versions, a store that is down, what it tells of itself, its end.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_api::server;
use datalake_table::table::Edit;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Lake, USERS, put};

#[tokio::test]
async fn a_new_version_replaces_the_one_held() {
    let lake = Lake::of_users().await;
    let (hints, hinted) = watch::channel(());
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(lake.watch.clone().follow(hinted, shutdown.clone()));
    let mut versions = lake.watch.versions();
    assert_eq!(*versions.borrow_and_update(), Some(0));
    let Edit::Put(removed) = put("a", "", "1980-12-31", false) else {
        unreachable!("put gives a put");
    };
    lake.commit(vec![put("1000", "Changed", "1990-01-01", true), Edit::Remove(removed.user_id)])
        .await;
    hints.send(()).unwrap();
    versions.changed().await.unwrap();
    assert_eq!(*versions.borrow(), Some(1));
    let row = lake.get("/data/1000").await;
    assert_eq!(
        (row.json()["first_name"].as_str(), row.header("datalake-version")),
        (Some("Changed"), "1")
    );
    assert_eq!(lake.get("/data/a").await.status, StatusCode::NOT_FOUND);
    shutdown.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn reads_go_on_while_the_store_is_down() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    lake.watch.refresh_now().await;
    let since = lake.watch.state().failing_since;
    assert!(since.is_some());
    lake.watch.refresh_now().await;
    assert_eq!(lake.watch.state().failing_since, since);
    let answer = lake.get("/data").await;
    assert_eq!(answer.json().as_array().map(Vec::len), Some(USERS.len()));
    assert_eq!(answer.header("datalake-version"), "0");
    assert_eq!(lake.get("/readyz").await.status, StatusCode::OK);
    assert!(lake.get("/metrics").await.body.contains("datalake_table_readable 0"));
    assert_eq!(lake.get("/runs").await.status, StatusCode::OK);
    lake.set_down(false);
    lake.watch.refresh_now().await;
    assert_eq!(lake.watch.state().failing_since, None);
    assert!(lake.get("/metrics").await.body.contains("datalake_table_readable 1"));
}

#[tokio::test]
async fn the_server_never_writes_to_the_lake() {
    let lake = Lake::of_users().await;
    let before = lake.writes();
    for path in [
        "/",
        "/data",
        "/data?min_age",
        "/data/1000",
        "/data/1000/image",
        "/stats",
        "/runs",
        "/runs/run-1",
        "/rejects",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ] {
        lake.get(path).await;
    }
    lake.send(Request::post("/data").body(Body::empty()).unwrap()).await;
    lake.send(Request::delete("/runs/run-1").body(Body::empty()).unwrap()).await;
    lake.watch.refresh_now().await;
    assert_eq!(lake.writes(), before);
}

#[tokio::test]
async fn metrics_count_routes_and_never_paths() {
    let lake = Lake::of_users().await;
    lake.get("/data/1000").await;
    lake.get("/data/nobody").await;
    lake.get("/secret").await;
    let text = lake.get("/metrics").await.body;
    for line in [
        "datalake_http_requests_total{route=\"/data/{user_id}\",status=\"200\"} 1",
        "datalake_http_requests_total{route=\"/data/{user_id}\",status=\"404\"} 1",
        "datalake_http_requests_total{route=\"none\",status=\"404\"} 1",
        "datalake_http_request_duration_seconds_count{route=\"/data/{user_id}\"} 2",
        "datalake_table_version 0",
        "datalake_table_rows 7",
        "datalake_rejects_open 1",
        "datalake_table_age_seconds 3600",
        "datalake_data_age_seconds 3600",
    ] {
        assert!(text.lines().any(|found| found == line), "missing {line} in\n{text}");
    }
    assert!(!text.contains("nobody") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn the_index_is_a_page_or_json() {
    let lake = Lake::of_users().await;
    let page = lake.get("/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains("href=\"/data?min_age&amp;max_age\""), "{}", page.body);
    let request = Request::get("/").header("accept", "application/json").body(Body::empty()).unwrap();
    let index = lake.send(request).await.json();
    for example in index["examples"].as_array().unwrap() {
        let path = example["href"].as_str().unwrap();
        assert_eq!(lake.get(path).await.status, StatusCode::OK, "example: {path}");
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let lake = Lake::of_users().await;
    assert!(!lake.get("/nothing").await.header("x-request-id").is_empty());
    let request = Request::get("/data").header("x-request-id", "mine").body(Body::empty()).unwrap();
    assert_eq!(lake.send(request).await.header("x-request-id"), "mine");
}

#[tokio::test]
async fn the_description_is_made_from_the_handlers() {
    let lake = Lake::of_users().await;
    let document = lake.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    insta::assert_json_snapshot!("openapi", document, { ".info.version" => "[version]" });
}

#[tokio::test]
async fn the_server_ends_when_asked() {
    let lake = Lake::of_users().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_hints, hinted) = watch::channel(());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server::serve(listener, lake.parts.clone(), hinted, shutdown.clone()));
    shutdown.cancel();
    serving.await.unwrap();
}
