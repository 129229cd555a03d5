//! Rows whose ID has several values, and that have several files.

use datalake_core::{
    calendar::Day,
    dataset::Value,
    reject::{ExcludedSource, RejectCode},
    row::Row,
    row_id::RowId,
};
use datalake_table::delta::edit::Edit;
use serde_json::json;

use crate::{
    declarations::{check_missing, put},
    fixture::Lake,
    version_cache::reject,
};

const WELLS: &str = r#"
title = "Wells"
entity = "well"
source.key = "src-data/{plate}/{well}/{read}.csv"

[columns]
read = "date"
signal = "integer"

[files.scan]
key = "scans/{plate}/{well}/{read}.pdf"

[files.photo]
key = "src-data/{plate}/{well}/{read}.png"
"#;

fn well(values: [&str; 3], signal: i64, has_files: [bool; 2]) -> Edit {
    let Edit::Put(row) = put("1", vec![Value::Integer(signal)], false) else {
        unreachable!("`put` returns a row")
    };
    let day = Value::Date(Day::from_date(values[2].parse().unwrap()).unwrap());
    Edit::Put(Row {
        row_id: RowId::of(&values).unwrap(),
        values: [Some(day), Some(Value::Integer(signal))].into(),
        files: has_files.map(|has_file| has_file.then(|| row.csv.clone())).into(),
        ..row
    })
}

async fn wells() -> Lake {
    let lake = Lake::empty();
    let edits = vec![
        well(["P1", "A01", "2026-11-02"], 3, [true, false]),
        well(["P1", "A01", "2026-11-10"], 1, [false, true]),
        well(["P1-b", "A01", "2026-11-01"], 2, [false, false]),
    ];
    let rejected = ExcludedSource {
        row_id: RowId::of(&["P1", "B", "2026-11-02"]).ok(),
        ..reject("src-data/P1/B/2026-11-02.csv", "c", RejectCode::Quote)
    };
    lake.commit_plants(WELLS, 0, edits, &[rejected]).await;
    lake
}

#[tokio::test]
async fn row_of_several_values_has_a_path_of_several_segments() {
    let lake = wells().await;
    let row = json!({
        "plate": "P1", "well": "A01", "read": "2026-11-02", "signal": 3,
        "scan_path": "scans/P1/A01/2026-11-02.pdf", "photo_path": null,
    });
    for path in ["/data/P1/A01/2026-11-02", "/data/P1%2FA01%2F2026-11-02"] {
        assert_eq!(lake.get(path).await.json(), row, "{path}");
    }
    let explained = lake.get("/data/P1/A01/2026-11-02/explain").await.json();
    assert_eq!((&explained["user_id"], &explained["row"]), (&json!("P1/A01/2026-11-02"), &row));
    assert_eq!(explained["csv"]["key"], "src-data/P1/A01/2026-11-02.csv");
    assert_eq!(explained["files"][0]["object"]["key"], "scans/P1/A01/2026-11-02.pdf");
    assert_eq!(explained["files"][1]["status"]["state"], "missing");
    let history = lake.get("/data/P1/A01/2026-11-10/history").await.json();
    assert_eq!(history["user_id"], "P1/A01/2026-11-10");
    assert_eq!(history["states"][0]["file_etags"], json!({"scan": null, "photo": "csv"}));
    let replaced = "scans/P1/A01/2026-11-02.pdf was changed or removed after version 0; the next run reads it";
    check_missing(
        &lake.get("/data/P1/A01/2026-11-02/scan").await,
        "no-image",
        "Scan not found",
        replaced,
    );
    let no_row = "the table has no well with this ID; IDs are case-sensitive";
    for path in ["/data/P1/A01/2026-11-03", "/data/P1/A01", "/data/P1", "/data/P1%01A01%012026-11-02"] {
        let answer = lake.get(path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}: {}", answer.body);
        assert_eq!(answer.json()["instance"], path);
    }
    check_missing(
        &lake.get("/data/P1/A02/2026-11-02/explain").await,
        "no-such-user",
        "Well not found",
        no_row,
    );
    let rejected = "the table has no well with this ID; src-data/P1/B/2026-11-02.csv is rejected: see /data/{plate}/{well}/{read}/explain";
    check_missing(&lake.get("/data/P1/B/2026-11-02").await, "no-such-user", "Well not found", rejected);
    let redirect = lake.get("/data/P1/A01/").await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (308, "/data/P1/A01"));
    let redirect = lake.get("/data/P1/A01/2026-11-02/history/?x=1").await;
    let expected = (308, "/data/P1/A01/2026-11-02/history?x=1");
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), expected);
    let joined = lake.get("/data/P1%2FA01%2F2026-11-02/explain").await.json();
    assert_eq!(joined["user_id"], "P1/A01/2026-11-02");
    let unknown = lake.get("/data/P1/A01/2026-11-02/histroy").await.json();
    assert_eq!(unknown["nearest"], "/data/P1/A01/2026-11-02/history", "{unknown}");
}

#[tokio::test]
async fn rows_of_several_values_are_filtered_sorted_and_paged() {
    let lake = wells().await;
    let signals = |parameters: &str| {
        let path = format!("/data?select=signal&{parameters}");
        let lake = &lake;
        async move {
            let rows = lake.get(&path).await.json();
            let rows = rows.as_array().unwrap_or_else(|| panic!("{path}: {rows}"));
            rows.iter().map(|row| row["signal"].as_i64().unwrap()).collect::<Vec<_>>()
        }
    };
    assert_eq!(signals("").await, [3, 1, 2], "by all values");
    assert_eq!(signals("plate=P1").await, [3, 1]);
    assert_eq!(signals("plate__gt=P1").await, [2]);
    assert_eq!(signals("order=plate.desc,signal").await, [2, 1, 3]);
    assert_eq!(signals("order=plate").await, [3, 1, 2]);
    assert_eq!(signals("min_read=2026-11-02&max_read=2026-11-05").await, [3]);
    assert_eq!(signals("max_read").await, [1]);
    assert_eq!(signals("is_photo_exists=True").await, [1]);
    assert_eq!(signals("is_scan_exists=False&is_photo_exists=False").await, [2]);
    let first = lake.get("/data?select=signal&limit=2").await;
    let link = first.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(lake.get(&link).await.json(), json!([{"signal": 2}]));
    let csv = lake.get("/data.csv?limit=1").await.body;
    assert_eq!(
        csv,
        "plate,well,read,signal,scan_path,photo_path\nP1,A01,2026-11-02,3,scans/P1/A01/2026-11-02.pdf,\n"
    );
    let stats = lake.get("/stats").await.json();
    assert_eq!((&stats["with_scan"], &stats["without_photo"]), (&json!(1), &json!(2)), "{stats}");
    let rejects = lake.get("/rejects").await.json();
    assert_eq!(rejects["rejects"][0]["user_id"], "P1/B/2026-11-02");
}

#[tokio::test]
async fn description_has_the_path_of_several_values() {
    let lake = wells().await;
    let document = lake.get("/openapi.json").await.json();
    let paths = &document["paths"];
    for rest in ["", "/history", "/explain", "/scan", "/photo"] {
        assert!(paths[format!("/data/{{plate}}/{{well}}/{{read}}{rest}")].is_object(), "{rest}");
    }
    let schemas = &document["components"]["schemas"];
    assert!(schemas["ExplainedFile"].is_object() && schemas["Explanation"]["properties"]["files"].is_object());
    assert_eq!(schemas["StoredRow"]["properties"]["read"]["format"], "date");
}

#[tokio::test]
async fn pages_show_rows_of_several_values() {
    let lake = wells().await;
    let rows = lake.get("/page/users").await;
    let link = "href=\"/page/users/P1%2FA01%2F2026-11-02\" aria-label=\"Well P1/A01/2026-11-02\"";
    assert!(rows.body.contains(link), "{}", rows.body);
    let row = lake.get("/page/users/P1%2FA01%2F2026-11-02").await;
    assert_eq!(row.status.as_u16(), 200, "{}", row.body);
    for text in [
        "Well P1/A01/2026-11-02",
        "/data/P1/A01/2026-11-02/explain",
        "/data/P1/A01/2026-11-02/scan?min_version=0",
    ] {
        assert!(row.body.contains(text), "{text}: {}", row.body);
    }
    assert!(row.body.contains("id=\"photo-reason\" data-state=\"missing\""), "{}", row.body);
}
