//! `datalake demo`, from the first start to SIGTERM.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, executable};

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["user_id"].as_str().unwrap())
        .collect()
}

#[test]
fn samples_are_served() {
    let server = Server::start(TempDir::new().unwrap(), &["demo"]);
    let stats = server.json("/stats?on=2026-11-24");
    let expected = json!({ "count": 100, "average_age": 33.59, "min_age": 22, "max_age": 46, "median_age": 33.0,
        "with_image": 94, "without_image": 6, "on": "2026-11-24" });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&stats[name], value, "{name}");
    }
    let youngest = server.json("/data?min_age&on=2026-11-24");
    assert_eq!(youngest.as_array().unwrap().len(), 5);
    assert!(youngest.as_array().unwrap().iter().all(|row| row["age"] == 22), "{youngest}");
    assert_eq!(
        ids(&server.json("/data?is_image_exists=False")),
        ["1005", "1010", "1017", "1024", "1033", "1099"]
    );
    assert_eq!(
        ids(&server.json("/data?max_age&on=2026-11-24")),
        ["1024", "1070"],
        "ties are by completed years"
    );

    let output = fs::read_to_string(server.folder.path().join("demo-lake/processed_data/output.csv")).unwrap();
    assert_eq!(output.lines().count(), 101);
    assert_eq!(output.lines().next(), Some("user_id,first_name,last_name,birthts,img_path"));

    // After an edit and a run, the row is served immediately.
    let lake = server.folder.path().join("demo-lake");
    fs::write(
        lake.join("src-data/1000.csv"),
        "first_name,last_name,birthts\nSusanna,Lee,612302400000\n",
    )
    .unwrap();
    fs::remove_file(lake.join("src-data/1001.csv")).unwrap();
    let run: Value = serde_json::from_str(&server.curl("/data", "-X POST -H 'Prefer: wait=30'")).unwrap();
    assert_eq!(
        (&run["state"], &run["counts"]["changed"], &run["counts"]["removed"]),
        (&json!("succeeded"), &json!(1), &json!(1)),
        "{run}"
    );
    assert_eq!(server.json("/data/1000")["first_name"], "Susanna");
    assert_eq!(server.json("/stats")["count"], 99);
    assert_eq!(server.json("/runs")["runs"].as_array().unwrap().len(), 2);
    let rejects = server.json("/rejects");
    assert_eq!(rejects["rejects"][0]["code"], "orphan_image", "{rejects}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn healthcheck_reports_readiness() {
    let server = Server::start(TempDir::new().unwrap(), &["demo"]);
    server.curl("/readyz", "");
    let address = format!("127.0.0.1:{}", server.port);
    let check = || {
        Command::new(executable())
            .args(["healthcheck", "--listen", &address])
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(check(), Some(0));
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(check(), Some(1));
}

/// The server starts the first run without a request.
#[test]
fn server_starts_the_first_run_of_a_lake_without_a_table() {
    let folder = TempDir::new().unwrap();
    let init = Command::new(executable())
        .args(["init", "--lake", "lake", "--samples"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(init.success());
    let server = Server::start(folder, &["serve", "--lake", "lake"]);
    assert_eq!(server.json("/stats")["count"], 100);
    assert_eq!(server.json("/runs")["count"], 1, "there is one run");
    assert_eq!(server.terminate(), Some(0));
}
