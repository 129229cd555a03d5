//! `datalake doctor`: its table, its JSON and its exit status.

use std::{fs, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{check_status, csv, datalake},
    s3_lake::S3Lake,
    s3_server::Conditions,
    settings,
};

const NAMES: [&str; 14] = [
    "settings",
    "credentials",
    "list",
    "write",
    "read",
    "create if absent",
    "replace if match",
    "read after write",
    "listing order",
    "copy",
    "clock",
    "delete",
    "table",
    "drift",
];

/// The results of the checks by name.
#[track_caller]
fn results(output: &Output) -> Vec<(String, String)> {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = document["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    checks.map(|check| (text(&check["name"]), text(&check["result"]))).collect()
}

/// Checks the results, which are `ok` for all other checks.
#[track_caller]
fn check_results(output: &Output, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> = NAMES
        .iter()
        .map(|name| {
            let result = expected.iter().find(|(other, _)| other == name).map_or("ok", |(_, result)| result);
            ((*name).to_owned(), result.to_owned())
        })
        .collect();
    assert_eq!(results(output), expected, "{}", String::from_utf8_lossy(&output.stdout));
}

fn doctor(lake: &str, arguments: &[&str]) -> Output {
    datalake().args(["doctor", "--lake", lake]).args(arguments).output().unwrap()
}

#[test]
fn lake_in_a_folder_passes() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().to_str().unwrap();
    fs::create_dir(dir.path().join("src-data")).unwrap();
    fs::write(dir.path().join("src-data/1.csv"), csv("Ada")).unwrap();
    let output = doctor(lake, &["--output", "json"]);
    check_status(&output, 0);
    check_results(&output, &[("credentials", "skipped"), ("table", "warning"), ("drift", "skipped")]);

    check_status(&datalake().args(["process", "--lake", lake]).output().unwrap(), 0);
    let output = doctor(lake, &["--output", "json"]);
    check_status(&output, 0);
    check_results(&output, &[("credentials", "skipped")]);
    let probes = fs::read_dir(dir.path().join("processed_data")).unwrap();
    let left: Vec<_> = probes
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("doctor"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    fs::write(dir.path().join("src-data/2.csv"), csv("Bea")).unwrap();
    let output = doctor(lake, &[]);
    check_status(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("CHECK  ") && text.contains("\ndrift "), "{text}");
    assert!(
        text.contains("1 of 2 listed objects are new or changed") && text.ends_with("12 ok, 1 warning, 0 failed, 1 skipped\n"),
        "{text}"
    );
}

#[test]
fn lake_on_s3_passes() {
    let lake = S3Lake::new(Conditions { are_obeyed: true });
    lake.put(&[("1", "Ada")]);
    check_status(&lake.command("process").output().unwrap(), 0);
    let output = lake.command("doctor").args(["--output", "json"]).output().unwrap();
    check_status(&output, 0);
    check_results(&output, &[]);
}

#[test]
fn store_that_ignores_conditions_fails() {
    let lake = S3Lake::new(Conditions { are_obeyed: false });
    let output = lake.command("doctor").output().unwrap();
    check_status(&output, 2);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("create if absent  failed") && text.contains("--single-writer"),
        "{text}"
    );
    let output = lake.command("doctor").arg("--single-writer").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("create if absent  warning"), "{text}");
}

#[test]
fn missing_bucket_or_folder_fails() {
    let lake = S3Lake::new(Conditions { are_obeyed: true });
    let output = lake.command("doctor").args(["--lake", "s3://missing"]).output().unwrap();
    check_status(&output, 2);

    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing");
    let output = doctor(missing.to_str().unwrap(), &["--output", "json"]);
    check_status(&output, 2);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("does not exist") && text.contains("datalake init"), "{text}");
    assert!(!missing.exists());
}

#[test]
fn unreachable_store_is_worth_a_retry() {
    let variables = [("AWS_ACCESS_KEY_ID", "test-user"), ("AWS_SECRET_ACCESS_KEY", "test-secret")];
    let arguments = [
        "doctor",
        "--lake",
        "s3://lake",
        "--s3-endpoint",
        "http://127.0.0.1:1",
        "--output",
        "json",
    ];
    let output = settings::datalake(&arguments, &variables).output().unwrap();
    check_status(&output, 1);
    let results = results(&output);
    assert_eq!(results[2], ("list".to_owned(), "failed".to_owned()), "{results:?}");
    assert!(results[3..].iter().all(|(_, result)| result == "skipped"), "{results:?}");
}

#[test]
fn invalid_settings_fail() {
    let variables = [("AWS_ACCESS_KEY_ID", "admin\n"), ("AWS_SECRET_ACCESS_KEY", "test-secret")];
    let output = settings::datalake(&["doctor", "--lake", "s3://lake", "--output", "json"], &variables)
        .output()
        .unwrap();
    check_status(&output, 2);
    assert_eq!(results(&output), [("settings".to_owned(), "failed".to_owned())]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("AWS_ACCESS_KEY_ID") && !text.contains("test-secret"), "{text}");
}
