//! The lifecycle of the server: new versions, an unavailable store, logs and metrics, shutdown.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_server::serve;
use datalake_table::delta::edit::Edit;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::fixture::{Lake, USERS, put};

#[tokio::test]
async fn new_version_replaces_the_current_one() {
    let lake = Lake::of_users().await;
    let (hints, hinted) = watch::channel(());
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(lake.watch.clone().follow(hinted, shutdown.clone()));
    let mut versions = lake.watch.versions();
    assert_eq!(*versions.borrow_and_update(), Some(0));
    let Edit::Put(removed) = put("a", "", "1980-12-31", false) else {
        unreachable!("put gives a put");
    };
    lake.commit(vec![put("1000", "Changed", "1990-01-01", true), Edit::Remove(removed.row_id)])
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
async fn reads_continue_while_the_store_is_down() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    lake.watch.refresh_now().await;
    let since = lake.watch.status().failing_since;
    assert!(since.is_some());
    lake.watch.refresh_now().await;
    assert_eq!(lake.watch.status().failing_since, since);
    let answer = lake.get("/data").await;
    assert_eq!(answer.json().as_array().map(Vec::len), Some(USERS.len()));
    assert_eq!(answer.header("datalake-version"), "0");
    assert_eq!(lake.get("/readyz").await.status, StatusCode::OK);
    assert!(lake.get("/metrics").await.body.contains("datalake_table_readable 0"));
    assert_eq!(lake.get("/runs").await.status, StatusCode::OK);
    lake.set_down(false);
    lake.watch.refresh_now().await;
    assert_eq!(lake.watch.status().failing_since, None);
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
        "/runs/run-1/events",
        "/docs/",
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
    lake.get("/data/unknown").await;
    lake.get("/secret").await;
    let text = lake.get("/metrics").await.body;
    for line in [
        "datalake_http_requests_total{route=\"/data/{user_id}\",status=\"200\"} 1",
        "datalake_http_requests_total{route=\"/data/{user_id}\",status=\"404\"} 1",
        "datalake_http_requests_total{route=\"none\",status=\"404\"} 1",
        "datalake_http_request_duration_seconds_count{route=\"/data/{user_id}\",status=\"200\"} 1",
        "datalake_http_request_duration_seconds_count{route=\"/data/{user_id}\",status=\"404\"} 1",
        "datalake_table_version 0",
        "datalake_table_rows 7",
        "datalake_rejects_open 1",
        "datalake_table_age_seconds 3600",
        "datalake_data_age_seconds 3600",
    ] {
        assert!(text.lines().any(|found| found == line), "missing {line} in\n{text}");
    }
    assert!(!text.contains("unknown") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn index_is_html_or_json() {
    let lake = Lake::of_users().await;
    let page = lake.get("/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    let request = Request::get("/").header("accept", "application/json").body(Body::empty()).unwrap();
    let index = lake.send(request).await.json();
    for example in index["examples"].as_array().unwrap() {
        let path = example["href"].as_str().unwrap();
        assert_eq!(lake.get(path).await.status, StatusCode::OK, "example: {path}");
    }
}

#[tokio::test]
async fn every_response_has_a_request_id() {
    let lake = Lake::of_users().await;
    assert!(!lake.get("/nothing").await.header("x-request-id").is_empty());
    let request = Request::get("/data").header("x-request-id", "mine").body(Body::empty()).unwrap();
    assert_eq!(lake.send(request).await.header("x-request-id"), "mine");
}

/// Collects the lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn access_log_has_request_and_trace_ids() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone());
    // With a single subscriber, the first thread that reaches a callsite decides for all threads whether it is enabled: so there are two.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _until_the_end = tracing::subscriber::set_default(log.finish());
    let lake = Lake::of_users().await;
    let request = Request::get("/data/1000?on=2026-11-24").header("x-request-id", "mine");
    let request = request.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    lake.send(request.body(Body::empty()).unwrap()).await;
    let made = lake.get("/nothing").await.header("x-request-id").to_owned();
    let bytes = lines.0.lock().unwrap().clone();
    let lines = String::from_utf8(bytes).unwrap();
    let answered: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "request handled")
        .collect();
    let [read, unknown] = &answered[..] else {
        panic!("two lines: {lines}");
    };
    assert_eq!(
        (&read["request.id"], &read["http.route"]),
        (&json!("mine"), &json!("/data/{user_id}"))
    );
    assert_eq!(read["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&unknown["request.id"], &unknown["http.status"]), (&json!(made), &json!(404)));
    assert_eq!(unknown.get("trace.id"), None);
    assert!(
        !lines.contains("1000") && !lines.contains("2026-11-24") && !lines.contains("nothing"),
        "{lines}"
    );
}

#[tokio::test]
async fn span_records_the_type_of_server_errors() {
    let lines = Lines::default();
    let writer = lines.clone();
    let spans = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone());
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _until_the_end = tracing::subscriber::set_default(spans.finish());
    let lake = Lake::empty();
    lake.get("/data").await;
    lake.get("/nowhere").await;
    let bytes = lines.0.lock().unwrap().clone();
    let closed: Vec<Value> = String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["target"] == datalake_api::telemetry::traces::TARGET)
        .map(|mut line| line["span"].take())
        .collect();
    let [error, refusal] = &closed[..] else {
        panic!("two spans: {closed:?}");
    };
    assert_eq!(
        (
            &error["http.response.status_code"],
            &error["otel.status_code"],
            &error["error.type"]
        ),
        (&json!(503), &json!("ERROR"), &json!("table-unknown"))
    );
    assert_eq!(refusal["http.response.status_code"], 404);
    assert_eq!((refusal.get("otel.status_code"), refusal.get("error.type")), (None, None));
}

#[tokio::test]
async fn openapi_description_is_complete() {
    let lake = Lake::of_users().await;
    let document = lake.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    insta::assert_snapshot!("openapi", outline(&document));
}

/// A line for each operation with its parameters and statuses, and for each schema with its properties. Schemas of values and descriptions are
/// checked by the requests that are generated from them.
fn outline(document: &Value) -> String {
    let names = |values: &Value, name: &str| -> String {
        let names = values.as_array().into_iter().flatten().map(|value| {
            let reference = value["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
            reference.or(value[name].as_str()).unwrap_or_default().to_owned()
        });
        // The conditions on columns (`age__gte`) are the same for all of them.
        names.filter(|name| !name.contains("__")).collect::<Vec<_>>().join(" ")
    };
    let keys = |object: &Value| {
        object
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let (parameters, statuses) = (names(&operation["parameters"], "name"), keys(&operation["responses"]));
            let id = operation["operationId"].as_str().unwrap_or_default();
            lines.push(format!(
                "{method} {path} ({id})\n  parameters: {parameters}\n  responses: {statuses}"
            ));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let variants = names(&schema["enum"], "");
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let properties = parts.map(|part| keys(&part["properties"])).chain([keys(&schema["properties"])]);
        let properties = properties.filter(|keys| !keys.is_empty()).collect::<Vec<_>>().join(" ");
        lines.push(format!("{name}: {}", [properties, variants].join(" ").trim()));
    }
    lines.join("\n")
}

#[tokio::test]
async fn server_stops_on_shutdown() {
    let lake = Lake::of_users().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_hints, hinted) = watch::channel(());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve::serve(listener.into(), lake.parts.clone(), hinted, shutdown.clone()));
    shutdown.cancel();
    serving.await.unwrap();
}
