//! `/changes`: the rows that differ between two versions.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    fixture::put,
    version_cache::{BIRTH_1, BIRTH_2, check_parameter, check_problem, hour, lake_until, stored},
};

#[tokio::test]
async fn changes_are_ndjson_lines() {
    let lake = lake_until(6).await;
    let lines = async |query: &str| -> Vec<Value> {
        let answer = lake.get(&format!("/changes?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        assert!(answer.body.is_empty() || answer.body.ends_with('\n'));
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of_1 = |before: u64, after: u64| {
        let row = |number: u64| stored("1", &format!("Name {number}"), BIRTH_1, number % 2 == 1);
        json!({"type": "update", "user_id": "1", "before": row(before), "after": row(after)})
    };
    let two = stored("2", "Two", BIRTH_2, false);
    let again = stored("2", "Two again", BIRTH_2, true);
    assert_eq!(
        lines("since=0&until=1").await,
        [of_1(0, 1), json!({"type": "insert", "user_id": "2", "before": null, "after": two})]
    );
    assert_eq!(
        lines("since=3&until=5").await,
        [of_1(3, 5), json!({"type": "delete", "user_id": "2", "before": two, "after": null})]
    );
    assert_eq!(
        lines("since=2").await,
        [of_1(2, 6), json!({"type": "update", "user_id": "2", "before": two, "after": again})]
    );
    assert_eq!(lines("since=4&until=5").await, [of_1(4, 5)]);
    assert_eq!(lines("since=6").await, [Value::Null; 0]);
    assert_eq!(lines("since=2&until=2").await, [Value::Null; 0]);
    assert_eq!(lake.get("/changes?since=1&until=3").await.header("datalake-version"), "3");
    check_parameter(&lake, "/changes", "since").await;
    check_parameter(&lake, "/changes?since=x", "since").await;
    check_parameter(&lake, "/changes?since=1&until=", "until").await;
    check_parameter(&lake, "/changes?since=3&until=2", "until").await;
    check_parameter(&lake, "/changes?since=3&untill=4", "untill").await;
    check_problem(&lake, "/changes?since=7", 404, "no-such-version").await;
    check_problem(&lake, "/changes?since=1&until=9", 404, "no-such-version").await;
}

/// The chunks of the response contain every line.
#[tokio::test]
async fn long_change_lists_are_complete() {
    let lake = lake_until(0).await;
    let names: Vec<String> = (0..3_000).map(|number| format!("{number:05}")).collect();
    let edits = names.iter().map(|name| put(name, "\u{1F600} \"quoted\"", "1990-01-01", true));
    lake.commit_as("many", hour(1), edits.collect(), &[]).await;
    lake.watch.refresh_now().await;
    let answer = lake.get("/changes?since=0").await;
    let users: Vec<String> = answer
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["user_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(users, names);
}

#[tokio::test]
async fn changes_are_exported_as_csv() {
    let lake = lake_until(6).await;
    let csv = async |query: &str| -> String {
        let answer = lake.get(&format!("/changes.csv?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
        answer.body
    };
    let header = "type,state,user_id,first_name,last_name,birthts,img_path\n";
    let copy = |user_id: &str| format!("processed_data/images/{user_id}.png");
    assert_eq!(
        csv("since=0&until=1").await,
        format!(
            "{header}update,before,1,Name 0,Last,{BIRTH_1},\nupdate,after,1,Name 1,Last,{BIRTH_1},{}\n\
             insert,after,2,Two,Last,{BIRTH_2},\n",
            copy("1")
        )
    );
    assert!(
        csv("since=3&until=5")
            .await
            .ends_with(&format!("\ndelete,before,2,Two,Last,{BIRTH_2},\n"))
    );
    assert_eq!(csv("since=6").await, header);
    assert_eq!(lake.get("/changes.csv?since=1&until=3").await.header("datalake-version"), "3");
    check_parameter(&lake, "/changes.csv?since=1&escape=yes", "escape").await;
    check_parameter(&lake, "/changes.csv?since=3&until=2", "until").await;
    check_parameter(&lake, "/changes.csv?since=3&limit=1", "limit").await;
    check_problem(&lake, "/changes.csv?since=7", 404, "no-such-version").await;
}
