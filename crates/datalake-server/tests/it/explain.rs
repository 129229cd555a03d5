//! `/data/{user_id}/history` and `/data/{user_id}/explain`.

use axum::http::StatusCode;
use datalake_core::{
    plan::SourceVersion,
    reject::{ExcludedSource, Exclusion, IgnoreCode, RejectCode},
};
use datalake_table::delta::edit::Edit;
use serde_json::{Value, json};

use crate::{
    fixture::{Answer, Lake, put},
    version_cache::{BIRTH_1, BIRTH_2, assert_problem, check_parameter, check_problem, hour, lake_until, open, reject, stored},
};

#[tokio::test]
async fn histories() {
    let lake = lake_until(7).await;
    let state = |number: u64, change: &str, row: Value, image: bool| {
        let (csv, png) = (row.is_object().then_some("csv"), image.then_some("png"));
        json!({
            "version": number, "committed_at": hour(number).to_string(), "run_id": format!("run-{number}"), "change": change, "row": row,
            "csv_etag": csv, "image_etag": png
        })
    };
    assert_eq!(
        lake.get("/data/2/history").await.json(),
        json!({"user_id": "2", "complete": true, "oldest": 0, "ends": "first_version", "count": 3, "states": [
            state(6, "insert", stored("2", "Two again", BIRTH_2, true), true),
            state(4, "delete", Value::Null, false),
            state(1, "insert", stored("2", "Two", BIRTH_2, false), false),
        ]})
    );
    let history = lake.get("/data/1/history").await.json();
    let runs: Vec<_> = history["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| state["run_id"].as_str().unwrap())
        .collect();
    assert_eq!(runs, ["run-7", "run-6", "run-5", "run-4", "run-3", "run-2", "run-1", "run-0"]);
    assert_eq!(
        (&history["states"][0]["change"], &history["states"][7]["change"]),
        (&json!("update"), &json!("insert"))
    );
    for user in ["3", "9", "%20", ".."] {
        check_problem(&lake, &format!("/data/{user}/history"), 404, "no-such-user").await;
    }
    check_parameter(&lake, "/data/1/history?on=2026-11-20", "on").await;
}

/// The explanation of a user with these rejected or ignored sources.
async fn explain(edits: Vec<Edit>, refusals: &[ExcludedSource], user: &str) -> Answer {
    let lake = Lake::empty();
    lake.commit_as("run-0", hour(0), edits, refusals).await;
    lake.watch.refresh_now().await;
    lake.get(&format!("/data/{user}/explain")).await
}

#[tokio::test]
async fn valid_user_is_explained() {
    let answer = explain(vec![put("7", "Name", "1990-01-01", true)], &[], "7").await;
    assert_eq!(answer.header("datalake-version"), "0");
    let mut explained = answer.json();
    let values = explained["values"].take();
    let columns: Vec<_> = values
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["column"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["user_id", "first_name", "last_name", "birthts", "img_path"]);
    let object =
        |name: &str, etag: &str| json!({"key": format!("src-data/{name}"), "etag": etag, "size": 1, "modified": "2026-11-24T11:00:00Z"});
    assert_eq!(
        explained,
        json!({
            "user_id": "7", "version": 0, "row": stored("7", "Name", BIRTH_1, true), "run_id": "run-0",
            "summary": "this row comes from src-data/7.csv (ETag csv) and was last changed by run run-0",
            "csv": object("7.csv", "csv"), "image": object("7.png", "png"), "values": null, "rejects": [],
            "image_status": {"state": "linked", "reason": "the image is valid"},
        })
    );
}

async fn check_explained(edits: Vec<Edit>, refusals: &[ExcludedSource], image_state: &str, parts: &[&str], served: &[&str]) {
    let answer = explain(edits, refusals, "7").await;
    let explained = answer.json();
    assert_eq!(explained["image_status"]["state"], image_state, "{}", answer.body);
    for part in parts {
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }
    let rejects = explained["rejects"].as_array().unwrap();
    let found: Vec<_> = rejects.iter().map(|reject| reject["served"].as_str().unwrap()).collect();
    assert_eq!(found, served);
    assert!(rejects.iter().all(|reject| reject["user_id"] == "7"), "{}", answer.body);
    assert_eq!(explained["row"].is_null(), explained["csv"].is_null());
}

#[tokio::test]
async fn a_name_that_is_close_to_that_of_a_source_is_explained() {
    let ignored = |key: &str| open(key, "7", Exclusion::Ignored(IgnoreCode::UnknownKind));
    check_explained(
        vec![put("7", "Name", "1990-01-01", false)],
        &[ignored("src-data/7.Png")],
        "missing",
        &[
            "there is no src-data/7.png",
            "differs from 7.png only in case",
            "rename it to 7.png",
        ],
        &["the object is ignored"],
    )
    .await;
    check_explained(
        vec![put("7", "Name", "1990-01-01", false)],
        &[ignored("src-data/7.jpg")],
        "missing",
        &["an image that is not a PNG", "convert the image to PNG and store it as 7.png"],
        &["the object is ignored"],
    )
    .await;
    check_explained(
        vec![],
        &[ignored("src-data/7.xlsx")],
        "missing",
        &["there is no row: the name", "export the user's row as CSV and store it as 7.csv"],
        &["the object is ignored"],
    )
    .await;
}

#[tokio::test]
async fn missing_sources_are_explained() {
    let (with, without) = (
        vec![put("7", "Name", "1990-01-01", true)],
        vec![put("7", "Name", "1990-01-01", false)],
    );
    let other = || reject("src-data/6.csv", "6", RejectCode::Quote);
    let bad_csv = || reject("src-data/7.CSV", "7", RejectCode::Quote);
    let bad_png = || reject("src-data/7.png", "7", RejectCode::ImageDamaged);
    let orphan = || open("src-data/7.png", "7", Exclusion::Ignored(IgnoreCode::OrphanImage));
    let shadowed = || open("src-data/7.CSV", "7", Exclusion::Ignored(IgnoreCode::Shadowed));
    check_explained(without.clone(), &[other()], "missing", &["found no src-data/7.png"], &[]).await;
    check_explained(
        without.clone(),
        &[bad_png()],
        "rejected",
        &["src-data/7.png is rejected (image_damaged)", "something is wrong"],
        &["no image"],
    )
    .await;
    check_explained(
        with.clone(),
        &[bad_csv(), bad_png()],
        "linked",
        &[
            "src-data/7.CSV is rejected (quote); the row of the last valid CSV (ETag csv) is kept",
            "the copy of the last valid image (ETag png) is kept",
        ],
        &["the row of the last valid CSV", "the last valid image"],
    )
    .await;
    check_explained(with, &[shadowed()], "linked", &["the image is valid"], &["the object is ignored"]).await;
    check_explained(
        vec![],
        &[bad_csv()],
        "missing",
        &["there is no row: src-data/7.CSV is rejected (quote), and there was no valid CSV before"],
        &["no row"],
    )
    .await;
    let with_valid_image = ExcludedSource {
        valid_files: [Some(SourceVersion {
            key: None,
            etag: "tag".into(),
            size: 7,
        })]
        .into(),
        ..bad_csv()
    };
    check_explained(
        vec![],
        &[with_valid_image],
        "unused",
        &["src-data/7.png will be linked when the user has a row"],
        &["no row"],
    )
    .await;
    check_explained(
        vec![],
        &[bad_csv(), bad_png()],
        "rejected",
        &["there is no row: src-data/7.CSV"],
        &["no row", "no image"],
    )
    .await;
    check_explained(
        vec![],
        &[orphan()],
        "unused",
        &["there is an image, but no src-data/7.csv"],
        &["the object is ignored"],
    )
    .await;
    assert_problem(&explain(vec![], &[other()], "7").await, 404, "no-such-user");
    assert_problem(&explain(without, &[], "..").await, 404, "no-such-user");
}

#[tokio::test]
async fn row_of_an_earlier_version_is_explained() {
    let lake = lake_until(6).await;
    let explained = lake.get("/data/2/explain?version=3").await;
    assert_eq!(explained.header("datalake-version"), "3");
    let explained = explained.json();
    assert_eq!((&explained["run_id"], &explained["version"]), (&json!("run-1"), &json!(3)));
    assert_eq!(explained["image_status"]["state"], "missing");
    check_problem(&lake, "/data/2/explain?version=4", 404, "no-such-user").await;
    check_problem(&lake, "/data/9/explain?version=1", 404, "no-such-user").await;
    assert_eq!(lake.get("/data/9/explain?version=2").await.status, StatusCode::OK);
}
