//! The API of datasets other than the users, and of a table whose declaration changes.

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Body, http::Request};
use datalake_core::{
    dataset::{Dataset, Value},
    reject::{ExcludedSource, Exclusion, IgnoreCode, RejectCode},
    row::{Provenance, Row},
    row_id::RowId,
    run::RunId,
};
use datalake_store::bucket::PutMode;
use datalake_table::delta::edit::Edit;
use serde_json::json;

use crate::{
    fixture::{Answer, Lake, now},
    version_cache::{assert_problem, hour, open, reject},
};

const PLANTS: &str = r#"
title = "Plants"
entity = "plant"
source.key = "src-data/{plant_id}.csv"

[columns]
nr = "integer"
weight = "number"
state = { type = "string", source = "Zustand", enum = ["healthy", "dead"] }

[files.scan]
key = "src-data/{plant_id}.pdf"
types = ["application/pdf"]
"#;

pub(crate) fn dataset(text: &str) -> Arc<Dataset> {
    Arc::new(Dataset::parse(text).unwrap())
}

pub(crate) fn put(id: &str, values: Vec<Value>, has_scan: bool) -> Edit {
    let source = |etag: &str| Provenance {
        etag: etag.into(),
        size: 1,
        modified: now(),
    };
    Edit::Put(Row {
        row_id: RowId::parse(id).unwrap(),
        values: values.into_iter().map(Some).collect(),
        csv: source("csv"),
        files: [has_scan.then(|| source("pdf"))].into(),
        run_id: RunId::parse("run-1").unwrap(),
    })
}

fn plant(id: &str, nr: i64, weight: f64, state: &str, has_scan: bool) -> Edit {
    put(
        id,
        vec![Value::Integer(nr), Value::Number(weight), Value::Text(state.into())],
        has_scan,
    )
}

fn plants() -> Vec<Edit> {
    vec![plant("a", 1, 478.0, "healthy", true), plant("b", 2, 0.5, "dead", false)]
}

impl Lake {
    pub(crate) async fn commit_plants(&self, text: &str, version: u64, edits: Vec<Edit>, rejects: &[ExcludedSource]) {
        let run = format!("run-{version}");
        self.commit_of(&dataset(text), &run, hour(version), edits, rejects).await;
        self.watch.refresh_now().await;
    }
}

/// A server for the two plants.
async fn lake() -> Lake {
    let lake = Lake::empty();
    lake.commit_plants(PLANTS, 0, plants(), &[reject("src-data/c.csv", "c", RejectCode::Quote)])
        .await;
    lake
}

#[tokio::test]
async fn pages_show_one_version_although_the_declaration_changes() {
    let lake = lake().await;
    let first = lake.get("/data?limit=1&select=nr,state&order=state.desc").await;
    assert_eq!(first.json(), json!([{"nr": 1, "state": "healthy"}]));
    let link = first.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    let other = PLANTS.replace("state = ", "condition = ");
    lake.commit_plants(&other, 1, plants(), &[]).await;
    let second = lake.get(&link).await;
    assert_eq!(second.json(), json!([{"nr": 2, "state": "dead"}]));
    assert_eq!(second.header("datalake-version"), "0");
    let page = lake.get(&link.replace("/data?", "/page/users?")).await;
    assert_eq!((page.status.as_u16(), page.header("datalake-version")), (200, "0"), "{}", page.body);
    // The columns are those of the cursor's version.
    let unknown = lake.get(&link.replace("nr%2Cstate", "condition")).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["parameter"]), (400, &json!("select")));
    let gone = lake.get(&link.replace("cursor=0~", "cursor=9~")).await;
    assert_problem(&gone, 410, "cursor-gone");
    let gone = link.replace("/data?", "/page/users?").replace("cursor=0~", "cursor=9~");
    assert_eq!(lake.get(&gone).await.status.as_u16(), 410);
    let stats = lake.get("/stats?cursor=0~x").await;
    assert_eq!((stats.status.as_u16(), &stats.json()["parameter"]), (400, &json!("cursor")));
}

#[tokio::test]
async fn version_that_cannot_be_read_is_no_invalid_parameter() {
    let lake = Lake::empty();
    let other = PLANTS.replace("state = ", "condition = ");
    for (version, text) in [(0, PLANTS), (1, other.as_str())] {
        lake.commit_of(&dataset(text), &format!("run-{version}"), hour(version), plants(), &[])
            .await;
    }
    lake.watch.refresh_now().await;
    // The first version is not in memory.
    lake.set_down(true);
    for (query, status) in [
        ("version=0&state=dead", 503),
        ("as_of=2026-11-20T00:30:00Z&state=dead", 503),
        ("version=9&state=dead", 404),
        ("version=one&state=dead", 400),
        ("state=dead", 400),
    ] {
        for path in ["/data", "/page/users"] {
            let answer = lake.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status.as_u16(), status, "{path}?{query}: {}", answer.body);
        }
    }
    let invalid = lake.get("/data?version=one&state=dead").await;
    assert_eq!(invalid.json()["parameter"], "state");
    let submitted = lake.get("/page/users?form=rows&version=0&as_of=&state__exact=dead").await;
    assert_eq!(submitted.status.as_u16(), 503, "{}", submitted.body);
}

#[tokio::test]
async fn versions_with_the_same_columns_have_changes() {
    let lake = lake().await;
    let same = PLANTS.replace("\"Plants\"", "\"All plants\"").replace("Zustand", "Art");
    let changed = vec![plant("a", 1, 478.0, "dead", true), plant("b", 2, 0.5, "dead", false)];
    lake.commit_plants(&same, 1, changed.clone(), &[]).await;
    let changes = lake.get("/changes?since=0").await;
    assert_eq!(changes.body.lines().count(), 1, "{}", changes.body);
    assert!(
        changes.body.starts_with("{\"type\":\"update\",\"user_id\":\"a\","),
        "{}",
        changes.body
    );
    let other = same.replace("state = ", "condition = ");
    lake.commit_plants(&other, 2, changed, &[]).await;
    assert_problem(&lake.get("/changes?since=0").await, 409, "dataset-changed");
    assert_problem(&lake.get("/changes.csv?since=1").await, 409, "dataset-changed");
}

#[track_caller]
pub(crate) fn check_missing(answer: &Answer, kind: &str, title: &str, detail: &str) {
    assert_problem(answer, 404, kind);
    let document = answer.json();
    assert_eq!((&document["title"], &document["detail"]), (&json!(title), &json!(detail)));
}

#[tokio::test]
async fn missing_rows_and_files_have_the_words_of_the_dataset() {
    let lake = lake().await;
    let no_row = "the table has no plant with this ID; IDs are case-sensitive";
    for path in ["/data/A", "/data/A/scan", "/data/A/history", "/data/A/explain", "/data/%20/history"] {
        check_missing(&lake.get(path).await, "no-such-user", "Plant not found", no_row);
    }
    let rejected = "the table has no plant with this ID; src-data/c.csv is rejected: see /data/{plant_id}/explain";
    check_missing(&lake.get("/data/c").await, "no-such-user", "Plant not found", rejected);
    let no_scan = "this plant has no valid scan; see /data/{plant_id}/explain";
    check_missing(&lake.get("/data/b/scan").await, "no-image", "Scan not found", no_scan);
}

#[tokio::test]
async fn file_that_changed_since_the_run_is_not_found() {
    let lake = lake().await;
    let replaced = "src-data/a.pdf was changed or removed after version 0; the next run reads it";
    check_missing(&lake.get("/data/a/scan").await, "no-image", "Scan not found", replaced);
    let nothing = std::collections::BTreeMap::new();
    lake.bucket
        .put("src-data/a.pdf", "another".into(), PutMode::Create, &nothing)
        .await
        .unwrap();
    check_missing(&lake.get("/data/a/scan").await, "no-image", "Scan not found", replaced);
    let conditional = Request::get("/data/a/scan").header("if-none-match", "\"x\"");
    let conditional = lake.send(conditional.body(Body::empty()).unwrap()).await;
    check_missing(&conditional, "no-image", "Scan not found", replaced);
}

#[tokio::test]
async fn explanation_names_the_header() {
    let explained = lake().await.get("/data/a/explain").await.json();
    let values = explained["values"].as_array().unwrap();
    let rule = |column: &str| {
        values.iter().find(|value| value["column"] == column).unwrap()["rule"]
            .as_str()
            .unwrap()
    };
    assert!(rule("state").starts_with("the field `Zustand` in the CSV, "), "{}", rule("state"));
    assert!(rule("nr").starts_with("the field of this name in the CSV: "), "{}", rule("nr"));
}

#[tokio::test]
async fn missing_row_is_explained_in_the_words_of_the_dataset() {
    let lake = Lake::empty();
    let orphan = open("src-data/d.pdf", "d", Exclusion::Ignored(IgnoreCode::OrphanImage));
    let rejects = [reject("src-data/c.csv", "c", RejectCode::Quote), orphan];
    lake.commit_plants(PLANTS, 0, plants(), &rejects).await;
    for (id, summary, served) in [
        (
            "c",
            "there is no row: src-data/c.csv is rejected (quote), and there is no earlier row to keep",
            "no row",
        ),
        (
            "d",
            "there is no row: there is a scan, but no src-data/d.csv",
            "the object is ignored",
        ),
    ] {
        let explained = lake.get(&format!("/data/{id}/explain")).await.json();
        assert_eq!(explained["summary"], summary);
        assert_eq!(explained["rejects"][0]["served"], served);
    }
}

#[tokio::test]
async fn numbers_have_one_form_in_all_documents() {
    let lake = lake().await;
    for path in ["/data", "/data.ndjson", "/data/a", "/data/a/history", "/data/a/explain"] {
        let body = lake.get(path).await.body;
        assert!(body.contains("\"weight\":478,"), "{path}: {body}");
    }
    let columns = lake.get("/data?shape=columns&select=weight").await;
    assert_eq!(columns.body, "{\"weight\":{\"0\":478,\"1\":0.5}}");
    assert_eq!(lake.get("/data.csv?select=weight").await.body, "weight\n478\n0.5\n");
    let stats = lake.get("/stats?plant_id=a").await.body;
    assert!(
        stats.contains("\"average_weight\":478,\"min_weight\":478,\"max_weight\":478,\"median_weight\":478,"),
        "{stats}"
    );
}

#[tokio::test]
async fn value_outside_of_the_enum_is_an_error() {
    let lake = lake().await;
    for (query, detail) in [
        ("state=Dead", "state: \"Dead\" is none of healthy, dead; did you mean \"dead\"?"),
        ("state__in=dead,alive", "state__in: \"alive\" is none of healthy, dead"),
    ] {
        let answer = lake.get(&format!("/data?{query}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{query}: {}", answer.body);
        assert_eq!(answer.json()["detail"], detail);
    }
    assert_eq!(lake.get("/data?state__contains=EA&select=nr").await.body, "[{\"nr\":1},{\"nr\":2}]");
}

#[tokio::test]
async fn numbers_of_an_enum_have_the_schema_of_their_type() {
    let text = "source.key = 'src-data/{id}.csv'\n[columns]\nwells = { type = 'integer', enum = [96, 384] }\n[files.scan]\nkey = \
                'src-data/{id}.pdf'\n";
    let lake = Lake::empty();
    lake.commit_plants(text, 0, vec![put("a", vec![Value::Integer(96)], false)], &[])
        .await;
    for query in ["wells=0096", "wells__in=96,%20384"] {
        let answer = lake.get(&format!("/data?select=wells&{query}")).await;
        assert_eq!(answer.body, "[{\"wells\":96}]", "{query}");
    }
    let document = lake.get("/openapi.json").await.json();
    let parameter = &document["components"]["parameters"]["query.wells"];
    assert_eq!(parameter["schema"], json!({"type": "integer", "format": "int64"}));
    assert_eq!(parameter["example"], 96);
}

#[tokio::test]
async fn names_in_the_openapi_description_are_unique() {
    let text = "source.key = 'src-data/{id}.csv'\n[columns]\nod600 = 'integer'\nod_600 = 'integer'\nstate = { type = 'string', enum = ['a.b', \
                'c'] }\n[files.statistics]\nkey = 'src-data/{id}.pdf'\n";
    let lake = Lake::empty();
    let row = vec![Value::Integer(1), Value::Integer(2), Value::Text("c".into())];
    lake.commit_plants(text, 0, vec![put("a", row, false)], &[]).await;
    let document = lake.get("/openapi.json").await.json();
    let operations = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let mut ids = BTreeSet::new();
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "a second {id}");
    }
    assert!(ids.contains("showStatistics") && ids.contains("showStatisticsFile"), "{ids:?}");
    let by_value = |column: &str| &document["components"]["schemas"]["Statistics"]["properties"][format!("by_{column}")]["items"]["$ref"];
    assert_eq!(by_value("od600"), "#/components/schemas/Od600Count");
    assert_eq!(by_value("od_600"), "#/components/schemas/Od_600Count");
    assert!(document["components"]["schemas"]["Od_600Count"]["properties"]["od_600"].is_object());
    let state = &document["components"]["parameters"]["query.state"]["schema"];
    assert_eq!(state["pattern"], r"^(a\.b|c)$", "{state}");
}
