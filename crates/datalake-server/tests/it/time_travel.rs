//! Time travel: versions other than the latest.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Request, StatusCode, header},
};
use datalake_core::keys;
use datalake_store::bucket::PutMode;
use futures_util::{TryStreamExt, future::join_all};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    fixture::{Lake, answer_at_the_end, put},
    row_queries::bytes,
    version_cache::{assert_problem, check_parameter, check_problem, hour, lake_until, publish},
};

async fn check_name(lake: &Lake, query: &str, number: u64) {
    let answer = lake.get(&format!("/data/1?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
    assert_eq!(answer.json()["first_name"], format!("Name {number}"), "{query}");
    assert_eq!(answer.header("datalake-version"), number.to_string(), "{query}");
}

#[tokio::test]
async fn versions_are_read_by_number_and_by_time() {
    // The table writes a checkpoint at version 20.
    let lake = lake_until(22).await;
    for number in 0..=22 {
        check_name(&lake, &format!("version={number}"), number).await;
        check_name(&lake, &format!("as_of={}", hour(number)), number).await;
        check_name(&lake, &format!("as_of={}", hour(number) + SignedDuration::from_mins(59)), number).await;
    }
    check_name(&lake, "as_of=2026-11-20", 22).await; // The day's end.
    check_name(&lake, "as_of=2026-11-20T04:30:00%2B01:00", 3).await;
    check_name(&lake, "as_of=2090-01-01", 22).await;
    check_problem(&lake, "/data/1?as_of=2026-11-19", 404, "no-such-version").await;
    check_problem(&lake, "/data/1?version=23", 404, "no-such-version").await;
    assert_eq!(lake.get("/data/1?version=23").await.json()["newest_version"], 22);
    check_problem(&lake, "/data/2?version=0", 404, "no-such-user").await;
}

#[tokio::test]
async fn every_read_accepts_a_version() {
    let lake = lake_until(4).await;
    let rows = lake.get("/data?version=1&is_image_exists=False").await.json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["user_id"], "2");
    let stats = lake.get("/stats?version=3").await.json();
    assert_eq!((&stats["version"], &stats["count"]), (&json!(3), &json!(2)));
    assert_eq!(lake.get("/stats").await.json()["count"], 1);
    assert_eq!(lake.get("/rejects?version=1").await.json()["count"], 0);
    assert_eq!(lake.get(&format!("/rejects?as_of={}", hour(2))).await.json()["count"], 1);
    assert_eq!(lake.get("/data/1?version=2&on=2020-01-01").await.json()["age"], 30);
    check_parameter(&lake, "/data?version=x", "version").await;
    check_parameter(&lake, "/data?version=1&as_of=2026-11-20", "as_of").await;
    check_parameter(&lake, "/data?version=1&version=1", "version").await;
    check_parameter(&lake, "/stats?as_of=yesterday", "as_of").await;
    check_parameter(&lake, "/stats?min_version=1&version=1", "min_version").await;
    check_parameter(&lake, "/rejects?wait=5s", "wait").await;
    check_parameter(&lake, "/data/1?min_version=1&wait=2m", "wait").await;
    for path in ["/data/1/image", "/versions", "/data/1/history"] {
        check_parameter(&lake, &format!("{path}?version=1"), "version").await;
        check_parameter(&lake, &format!("{path}?as_of=2026-11-20"), "as_of").await;
    }
    check_parameter(&lake, "/changes?since=0&version=1", "version").await;
}

/// A client that reads the pages of a version gets all of them, also while the store is down.
#[tokio::test]
async fn superseded_version_stays_in_memory() {
    let lake = lake_until(0).await;
    for number in 1..=10 {
        publish(&lake, number..=number).await;
        check_name(&lake, "version=0", 0).await;
    }
    lake.set_down(true);
    for number in 0..=10 {
        check_name(&lake, &format!("version={number}"), number).await;
    }
    let changes = lake.get("/changes?since=8&until=9").await;
    assert_eq!((changes.status, changes.body.lines().count()), (StatusCode::OK, 1));
}

#[tokio::test(start_paused = true)]
async fn unrequested_version_is_evicted() {
    let lake = lake_until(0).await;
    publish(&lake, 1..=1).await;
    tokio::time::advance(Duration::from_secs(299)).await;
    lake.watch.refresh_now().await;
    let before = lake.reads();
    check_name(&lake, "version=0", 0).await;
    assert_eq!(lake.reads(), before);
    tokio::time::advance(Duration::from_secs(301)).await;
    lake.watch.refresh_now().await;
    let before = lake.reads();
    check_name(&lake, "version=0", 0).await;
    assert!(lake.reads() > before, "it is read again");
}

#[tokio::test]
async fn concurrent_requests_load_a_version_once() {
    let lake = lake_until(5).await;
    let before = lake.reads();
    check_name(&lake, "version=2", 2).await;
    let once = lake.reads() - before;
    assert!(once > 0);
    let before = lake.reads();
    let answers = join_all((0..20).map(|_| lake.get("/data/1?version=3"))).await;
    assert!(answers.iter().all(|answer| answer.json()["first_name"] == "Name 3"));
    assert!(lake.reads() - before <= once + 1, "{} reads", lake.reads() - before);
}

#[tokio::test]
async fn concurrent_version_loads_are_bounded() {
    let lake = lake_until(30).await;
    let answers = join_all((0..30).map(async |number| lake.get(&format!("/data/1?version={number}")).await)).await;
    for (number, answer) in answers.iter().enumerate() {
        match answer.status {
            StatusCode::OK => assert_eq!(answer.json()["first_name"], format!("Name {number}")),
            _ => assert_problem(answer, 503, "too-busy"),
        }
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 16);
}

#[tokio::test]
async fn removed_version_returns_410() {
    let lake = lake_until(5).await;
    let kept: Vec<String> = lake
        .table
        .latest()
        .await
        .unwrap()
        .unwrap()
        .data_files()
        .iter()
        .map(|segment| segment.key())
        .collect();
    let objects: Vec<_> = lake.bucket.list(keys::TABLE, None).try_collect().await.unwrap();
    for object in objects.iter().filter(|object| keys::parse_data_file(&object.key).is_some()) {
        if !kept.contains(&object.key) {
            lake.bucket.delete(&object.key, None).await.unwrap();
        }
    }
    check_problem(&lake, "/data/1?version=3", 410, "version-gone").await;
    check_problem(&lake, &format!("/data?as_of={}", hour(3)), 410, "version-gone").await;
    check_problem(&lake, "/changes?since=1", 410, "version-gone").await;
    check_problem(&lake, "/data/1/explain?version=3", 410, "version-gone").await;
    let history = lake.get("/data/1/history").await.json();
    assert_eq!(
        (&history["complete"], &history["ends"], &history["oldest"], &history["count"]),
        (&json!(false), &json!("files_expired"), &json!(5), &json!(1))
    );
    // The log still contains the version.
    assert_eq!(lake.get("/versions").await.json()["count"], 6);
    // Entries are removed as well: the log starts with a checkpoint.
    lake.bucket.delete(&keys::log_entry(0), None).await.unwrap();
    check_problem(&lake, "/data?version=0", 410, "version-gone").await;
    let versions = lake.get("/versions").await.json();
    assert_eq!((&versions["oldest"], &versions["count"]), (&json!(5), &json!(1)));
}

/// The vacuum removes a rejects file a week after the last version that names it is superseded, while the log still has that version.
#[tokio::test]
async fn rejects_of_a_version_whose_rejects_file_was_removed_are_gone() {
    let lake = lake_until(5).await;
    let version = lake.table.at(2).await.unwrap();
    let rejects_file = version.rejects_file_key().unwrap();
    lake.bucket.delete(&rejects_file, None).await.unwrap();
    check_problem(&lake, "/rejects?version=2", 410, "version-gone").await;
    check_problem(&lake, "/data?version=2", 410, "version-gone").await;
    assert_eq!(lake.get("/rejects").await.status, StatusCode::OK);
}

#[tokio::test]
async fn versions_before_the_log_return_410() {
    let lake = lake_until(22).await;
    for number in 0..20 {
        lake.bucket.delete(&keys::log_entry(number), None).await.unwrap();
    }
    let versions = lake.get("/versions").await.json();
    assert_eq!(
        (&versions["oldest"], &versions["newest"], &versions["count"]),
        (&json!(20), &json!(22), &json!(3))
    );
    check_name(&lake, &format!("as_of={}", hour(20)), 20).await;
    check_problem(&lake, &format!("/data?as_of={}", hour(19)), 410, "version-gone").await;
    check_problem(&lake, "/data?version=19", 410, "version-gone").await;
    let history = lake.get("/data/2/history").await.json();
    assert_eq!((&history["complete"], &history["ends"]), (&json!(false), &json!("log_expired")));
    assert_eq!(history["states"][0]["run_id"], "run-6");
    assert_eq!(
        (&history["states"][0]["version"], &history["states"][0]["change"]),
        (&json!(20), &Value::Null)
    );
}

#[tokio::test]
async fn rebuilt_table_has_its_own_versions() {
    let lake = lake_until(3).await;
    check_name(&lake, "version=1", 1).await;
    // It is identified by its ETag.
    let page = lake.get("/data?version=1&limit=1").await;
    let objects: Vec<_> = lake.bucket.list("", None).try_collect().await.unwrap();
    for object in objects {
        lake.bucket.delete(&object.key, None).await.unwrap();
    }
    check_problem(&lake, "/data?version=2", 410, "version-gone").await;
    let edits = vec![put("1", "Other", "1990-01-01", false)];
    for number in 0..6 {
        lake.commit_as(&format!("other-{number}"), hour(number), edits.clone(), &[]).await;
    }
    // The log belongs to another table, and the server has not polled it yet.
    check_problem(&lake, "/data?version=2", 410, "version-gone").await;
    check_problem(&lake, "/data/1/history", 410, "version-gone").await;
    let versions = lake.get("/versions").await.json();
    assert_eq!(
        (&versions["count"], &versions["versions"][0]["run_id"]),
        (&json!(1), &json!("run-3"))
    );
    check_problem(&lake, &format!("/data?as_of={}", hour(1)), 410, "version-gone").await;
    lake.watch.refresh_now().await;
    assert_eq!(lake.get("/data/1").await.header("datalake-version"), "5");
    for number in [0, 1, 2, 5] {
        let row = lake.get(&format!("/data/1?version={number}")).await.json();
        assert_eq!(row["first_name"], "Other", "version {number}");
    }
    // The same version number of another table, created within the same minute.
    let other = lake.get("/data?version=1&limit=1").await;
    assert_ne!(other.header("etag"), page.header("etag"));
    assert_eq!(other.json()[0]["first_name"], "Other");
    assert_eq!(lake.get("/versions").await.json()["versions"][4]["run_id"], "other-1");
    let as_of = lake.get(&format!("/data/1?as_of={}", hour(1))).await;
    assert_eq!(as_of.header("datalake-version"), "1");
}

#[tokio::test]
async fn version_that_is_not_in_memory_requires_the_store() {
    let lake = lake_until(5).await;
    check_name(&lake, "version=2", 2).await;
    lake.set_down(true);
    check_name(&lake, "version=2", 2).await;
    check_name(&lake, "version=5", 5).await;
    check_name(&lake, "as_of=2090-01-01", 5).await;
    for path in [
        "/data?version=3",
        "/data?as_of=2026-11-20T03:00:00Z",
        "/versions",
        "/changes?since=3",
        "/data/1/history",
        "/data/1/explain",
    ] {
        check_problem(&lake, path, 503, "store-unavailable").await;
        assert_eq!(lake.get(path).await.header("retry-after"), "5", "path: {path}");
    }
    // A user without a row is explained from memory.
    assert_eq!(lake.get("/data/9/explain").await.status, StatusCode::OK);
    lake.set_down(false);
    check_name(&lake, "version=3", 3).await;
    check_name(&lake, "as_of=2026-11-20T03:00:00Z", 3).await;
    lake.set_down(true);
    check_name(&lake, "as_of=2026-11-20T02:30:00Z", 2).await; // Entries are read once.
}

#[tokio::test]
async fn versions_before_the_first_table_return_503() {
    let lake = Lake::empty();
    for path in [
        "/data?version=0",
        "/versions",
        "/changes?since=0",
        "/data/1/history",
        "/data/1/explain",
    ] {
        check_problem(&lake, path, 503, "table-unknown").await;
    }
    lake.watch.refresh_now().await;
    for path in [
        "/data?version=0",
        "/data?as_of=2026-11-20",
        "/data?min_version=1",
        "/versions",
        "/changes?since=0",
        "/data/1/history",
        "/data/1/explain",
    ] {
        check_problem(&lake, path, 503, "no-table-yet").await;
    }
}

#[tokio::test]
async fn shutdown_answers_clients_that_wait_for_a_version() {
    let lake = lake_until(0).await;
    let request = Request::get("/data?min_version=9&wait=60s").body(Body::empty()).unwrap();
    let answer = answer_at_the_end(lake.parts.clone(), request).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &HeaderValue::from_static("1"))
    );
}

/// Time is paused and jumps to the next timer, so waits take no time.
#[tokio::test(start_paused = true)]
async fn min_version_waits() {
    let lake = lake_until(0).await;
    check_name(&lake, "min_version=0", 0).await;
    check_name(&lake, "min_version=0&wait=30s", 0).await;
    let begun = tokio::time::Instant::now();
    let late = lake.get("/data/1?min_version=1&wait=30s").await;
    assert_problem(&late, 409, "version-not-reached");
    assert_eq!((late.header("retry-after"), late.json()["newest_version"].as_u64()), ("1", Some(0)));
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_problem(&lake.get("/data/1?min_version=1").await, 409, "version-not-reached");
    assert_eq!(begun.elapsed().as_secs(), 30, "without a wait the answer comes at once");

    let router = lake.router();
    let request = Request::get("/data/1?min_version=2&wait=30s").body(Body::empty()).unwrap();
    let waiting = tokio::spawn(router.oneshot(request));
    tokio::time::advance(Duration::from_secs(10)).await;
    publish(&lake, 1..=1).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(!waiting.is_finished());
    publish(&lake, 2..=2).await;
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(response.headers()["datalake-version"], "2");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("Name 2"));
    // New versions as they are committed.
    let changes = lake.get("/changes?since=1&min_version=2&wait=30s").await;
    assert_eq!((changes.header("datalake-version"), changes.body.lines().count()), ("2", 1));
    assert_problem(
        &lake.get("/changes?since=2&min_version=3&wait=1s").await,
        409,
        "version-not-reached",
    );
}

#[tokio::test]
async fn versions_are_listed() {
    let lake = lake_until(3).await;
    let entry = json!({"commitInfo": {"timestamp": hour(4).as_millisecond(), "operation": "OPTIMIZE"}}).to_string();
    lake.bucket
        .put(
            &keys::log_entry(4),
            entry.into(),
            PutMode::Create,
            &std::collections::BTreeMap::new(),
        )
        .await
        .unwrap();
    lake.watch.refresh_now().await;
    let versions = lake.get("/versions?limit=2").await;
    assert_eq!(versions.header("datalake-version"), "4");
    let mut versions = versions.json();
    let counts = versions["versions"][1]["counts"].take();
    assert!(counts["added"].is_number() && counts["changed"].is_number(), "{counts}");
    assert_eq!(
        versions,
        json!({"newest": 4, "oldest": 0, "count": 2, "versions": [
            {"version": 4, "committed_at": "2026-11-20T04:00:00Z", "made_by": "other_engine", "run_id": null, "operation": "OPTIMIZE", "counts": null},
            {"version": 3, "committed_at": "2026-11-20T03:00:00Z", "made_by": "run", "run_id": "run-3", "operation": "MERGE", "counts": null},
        ]})
    );
    assert_eq!(lake.get("/versions").await.json()["count"], 5);
    // Entries are read once, and listed each time.
    let before = lake.reads();
    lake.get("/versions").await;
    assert_eq!(lake.reads() - before, 1);
    for value in ["0", "1001", "x", "", "-1"] {
        check_parameter(&lake, &format!("/versions?limit={value}"), "limit").await;
    }
    check_parameter(&lake, "/versions?limits=1", "limits").await;
}

/// The operator removes the latest versions, and another history continues under the same table ID and with the same numbers.
#[tokio::test(start_paused = true)]
async fn rolled_back_versions_are_not_served() {
    let lake = lake_until(3).await;
    let edits = vec![put("1", "Abandoned", "1990-01-01", false), put("4", "Four", "1991-01-01", false)];
    lake.commit_as("run-4", hour(4), edits, &[]).await;
    lake.watch.refresh_now().await;
    let before = lake.get("/data?limit=1").await;
    let (etag, next) = (before.header("etag"), before.header("link"));
    let past_before = lake.get("/data/1?version=3").await;
    let mut versions = lake.watch.versions();
    let (_hints, no_hint) = watch::channel(());
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(lake.watch.clone().follow(no_hint, shutdown.clone()));
    for number in 2..=4 {
        lake.bucket.delete(&keys::log_entry(number), None).await.unwrap();
    }
    for number in 2..=4 {
        let edits = vec![
            put("1", &format!("Restored {number}"), "1990-01-01", false),
            put("3", "Three", "1991-01-01", false),
        ];
        lake.commit_as(&format!("restored-{number}"), hour(number), edits, &[]).await;
        // Once a minute the server checks that the log still has the version that it serves.
        versions.wait_for(|version| *version == Some(number)).await.unwrap();
        let row = lake.get("/data/1").await;
        assert_eq!(
            row.header("datalake-version"),
            number.to_string(),
            "a lower number is served as well"
        );
        assert_eq!(row.json()["first_name"], format!("Restored {number}"));
    }

    shutdown.cancel();
    following.await.unwrap();

    // Version 4 of the other history shares only its number with the one that was served.
    let request = [(header::IF_NONE_MATCH, etag)];
    let (status, headers, _) = bytes(&lake, "/data?limit=1", &request).await;
    assert_eq!(
        (status, &headers["datalake-version"]),
        (StatusCode::OK, &HeaderValue::from_static("4"))
    );
    assert_ne!(headers[header::ETAG], etag);
    let past = lake.get("/data/1?version=3").await;
    assert_eq!(past.json()["first_name"], "Restored 3", "no state of the other history is kept");
    assert_ne!(past.header("etag"), past_before.header("etag"));
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    check_problem(&lake, next, 410, "cursor-gone").await;
}
