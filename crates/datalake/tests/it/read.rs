//! The commands that read a lake without a server.

use std::{fs, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    process::{check_status, csv, datalake},
    s3_lake::S3Lake,
    s3_server::Conditions,
};

/// A lake with two versions, a rejected source and a source with a warning.
struct Lake(TempDir);

impl Lake {
    fn new() -> Self {
        let lake = Self(TempDir::new().unwrap());
        fs::create_dir(lake.0.path().join("src-data")).unwrap();
        for (name, text) in [
            ("0001.csv", csv("Ada")),
            ("1.csv", csv("Bea")),
            ("2.csv", "first_name,last_name,birthts\nCleo,\"van, Dyk\",1000\n".to_owned()),
            ("3.csv", "first_name,last_name,birthts\nDora,Lee,soon\n".to_owned()),
        ] {
            lake.put(name, &text);
        }
        check_status(&lake.command("process", &[]), 0);
        lake.put("1.csv", &csv("Żaneta"));
        check_status(&lake.command("process", &["--run-id", "second"]), 0);
        lake
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("src-data").join(name), text).unwrap();
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = datalake();
        command.arg(name).arg("--lake").arg(self.0.path()).args(arguments);
        command.output().unwrap()
    }

    #[track_caller]
    fn text(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name, arguments);
        check_status(&output, 0);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is logged");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, name: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(name, &[arguments, &["--output", "json"]].concat())).unwrap()
    }

    #[track_caller]
    fn check_error(&self, name: &str, arguments: &[&str], status: i32, word: &str) {
        let output = self.command(name, arguments);
        check_status(&output, status);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with("error: ") && text.contains(word), "{name} {arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{name} {arguments:?}");
    }
}

#[test]
fn query_shows_users_in_each_format() {
    let lake = Lake::new();
    assert_eq!(
        lake.text("query", &["on=2026-11-24", "order=birthts,user_id"]),
        "user_id  first_name  last_name       birthts  img_path  age\n\
         2        Cleo        van, Dyk           1000  -          56\n\
         0001     Ada         Lee        612302400000  -          37\n\
         1        Żaneta      Lee        612302400000  -          37\n\
         3 rows, version 1\n"
    );
    let rows = lake.json("query", &["min_age&on=2026-11-24&limit=1&select=user_id,age"]);
    assert_eq!(rows, json!([{ "user_id": "0001", "age": 37 }]));
    assert_eq!(
        lake.text("query", &["last_name=van, Dyk", "--output", "csv"]),
        "user_id,first_name,last_name,birthts,img_path\n2,Cleo,\"van, Dyk\",1000,\n"
    );
    let ids = |parameters: &[&str]| -> Vec<String> {
        let rows = lake.json("query", &[parameters, &["select=user_id"]].concat());
        let ids = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["user_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!(ids(&["first_name=Żaneta"]), ["1"]);
    assert_eq!(ids(&["first_name=Bea", "version=0"]), ["1"], "an earlier version");
    assert_eq!(ids(&["is_image_exists=True"]), [""; 0]);
    assert_eq!(lake.text("query", &["is_image_exists=True"]), "0 rows, version 1\n");
}

#[test]
fn pages_of_a_query_follow_each_other() {
    let lake = Lake::new();
    let first = lake.text("query", &["limit=2&select=user_id"]);
    assert!(first.contains("\n2 of 3 rows, version 1\nnext page: cursor="), "{first}");
    let cursor = first.lines().last().unwrap().trim_start_matches("next page: ");
    let second = lake.text("query", &["limit=2&select=user_id", cursor]);
    assert_eq!(second, "user_id\n2\n1 of 3 rows, version 1\n");
}

#[test]
fn invalid_parameters_are_usage_errors() {
    let lake = Lake::new();
    lake.check_error("query", &["minage=3"], 2, "did you mean `min_age`?");
    lake.check_error("query", &["limit=0"], 2, "limit: must be");
    lake.check_error("query", &["format=parquet"], 2, "--output");
    lake.check_error("query", &["version=7"], 2, "version");
    lake.check_error("rejects", &["code=nonsense"], 2, "code");
    lake.check_error("runs", &["limit=5&limit=6"], 2, "limit");
    lake.check_error("runs", &["--id", "unknown"], 2, "run");
    lake.check_error("versions", &["version=0"], 2, "version");
    // The second line names the page about the problem.
    lake.check_error("query", &["minage=3"], 2, "\nsee docs/src/problems.md#invalid-parameter\n");
    let output = lake.command("runs", &["--limit", "5"]);
    check_status(&output, 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("write limit=N"));
}

#[test]
fn rejects_are_shown_with_reason_and_remedy() {
    let lake = Lake::new();
    let text = lake.text("rejects", &[]);
    for part in [
        "src-data/3.csv",
        "type",
        "rejected",
        "2:10",
        "birthts is \"soon\"",
        "docs/src/rejects.md",
        "1 rejected, 0 ignored, version 1\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let document = lake.json("rejects", &[]);
    assert_eq!(document["rejects"][0]["help"], "/docs/rejects#type");
    assert_eq!(
        (&document["rejected"], &document["rejects"][0]["key"]),
        (&json!(1), &json!("src-data/3.csv")),
        "{document}"
    );
    let csv = lake.text("rejects", &["--output", "csv"]);
    assert!(csv.starts_with("key,user_id,code,kind,"), "{csv}");
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert_eq!(lake.text("rejects", &["code=empty"]), "1 rejected, 0 ignored, version 1\n");
}

#[test]
fn runs_are_shown_newest_first() {
    let lake = Lake::new();
    let text = lake.text("runs", &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("RUN ") && lines[1].starts_with("second ") && lines[1].contains("succeeded"),
        "{text}"
    );
    let document = lake.json("runs", &["limit=1"]);
    assert_eq!(
        (
            &document["count"],
            &document["runs"][0]["id"],
            &document["runs"][0]["counts"]["changed"]
        ),
        (&json!(1), &json!("second"), &json!(1)),
        "{document}"
    );
    let csv = lake.text("runs", &["--output", "csv"]);
    assert!(csv.lines().next().unwrap().contains(",counts_added,counts_changed,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn run_is_shown_with_its_notices() {
    let lake = Lake::new();
    let first = lake.json("runs", &[])["runs"][1]["id"].as_str().unwrap().to_owned();
    let text = lake.text("runs", &["--id", &first]);
    for part in ["NOTICES", "src-data/2.csv", "maybe_seconds", "REJECTS", "src-data/3.csv"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(lake.json("runs", &["--id", &first])["notices"][0]["code"], "maybe_seconds");
}

#[test]
fn versions_are_shown_newest_first() {
    let lake = Lake::new();
    let text = lake.text("versions", &[]);
    let numbers: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(numbers, ["VERSION", "1", "0"], "{text}");
    assert!(text.lines().nth(1).unwrap().ends_with("  second"), "{text}");
    assert_eq!(lake.json("versions", &["limit=1"])["versions"][0]["version"], 1);
}

#[test]
fn status_has_the_table_the_rejects_and_the_last_run() {
    let lake = Lake::new();
    let text = lake.text("status", &[]);
    for part in [
        "version 1, committed ",
        "3, 0 with image and 3 without",
        "1 rejected, 0 ignored",
        "succeeded ",
        "(second)",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let status = lake.json("status", &[]);
    assert_eq!(
        (
            &status["version"]["version"],
            &status["stats"]["count"],
            &status["rejects"]["rejected"]
        ),
        (&json!(1), &json!(3), &json!(1)),
        "{status}"
    );
    assert_eq!(
        (&status["last_run"]["id"], &status["last_successful_run"]["id"]),
        (&json!("second"), &json!("second"))
    );
    assert_eq!(lake.text("status", &["--output", "csv"]).lines().count(), 2);
}

#[test]
fn documents_are_those_of_the_api() {
    let lake = Lake::new();
    let server = crate::terminal::Server::start(lake.0.path());
    for (command, parameters, path) in [
        (
            "query",
            "order=user_id.desc&on=2026-11-24",
            "/data?order=user_id.desc&on=2026-11-24",
        ),
        ("rejects", "", "/rejects"),
        ("runs", "limit=1", "/runs?limit=1"),
        ("versions", "", "/versions"),
    ] {
        let arguments: Vec<&str> = [parameters].into_iter().filter(|parameters| !parameters.is_empty()).collect();
        assert_eq!(lake.json(command, &arguments), server.json(path), "{command}");
    }
}

#[test]
fn lake_without_a_table_has_a_status() {
    let lake = Lake(TempDir::new().unwrap());
    let text = lake.text("status", &[]);
    assert!(text.contains("none yet; run `datalake process --lake "), "{text}");
    assert_eq!(lake.json("status", &[])["version"], Value::Null);
    for command in ["query", "rejects", "versions"] {
        lake.check_error(command, &[], 1, "no table yet; run `datalake process --lake ");
    }
    assert_eq!(lake.text("runs", &[]), "no runs yet\n");
}

#[test]
fn lake_without_a_table_names_its_last_run() {
    let lake = Lake(TempDir::new().unwrap());
    fs::create_dir(lake.0.path().join("src-data")).unwrap();
    for user_id in ["1", "2"] {
        lake.put(&format!("{user_id}.csv"), "no header\n");
    }
    check_status(&lake.command("process", &[]), 4);
    lake.check_error(
        "rejects",
        &[],
        1,
        "no table yet: its last run is blocked; see `datalake runs --lake ",
    );
    let run_id = lake.json("runs", &[])["runs"][0]["id"].as_str().unwrap().to_owned();
    let run = lake.text("runs", &["--id", &run_id]);
    assert!(run.contains("src-data/1.csv") && run.contains("names none of the columns"), "{run}");
}

#[test]
fn missing_lake_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    let lake = Lake(TempDir::with_prefix_in("missing", folder.path()).unwrap());
    fs::remove_dir(lake.0.path()).unwrap();
    for command in ["status", "query", "rejects", "runs", "versions"] {
        lake.check_error(command, &[], 2, "datalake init");
    }
}

#[test]
fn lake_on_s3_is_read() {
    let lake = S3Lake::new(Conditions { are_obeyed: true });
    lake.put(&[("1", "Ada"), ("2", "Bea")]);
    check_status(&lake.command("process").output().unwrap(), 0);
    for (command, expected) in [
        ("status", "version 0, committed "),
        ("query", "2 rows, version 0"),
        ("rejects", "0 rejected, 0 ignored, version 0"),
        ("runs", "succeeded"),
        ("versions", "VERSION"),
    ] {
        let output = lake.command(command).output().unwrap();
        check_status(&output, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(expected), "{command}: {text}");
    }
}

/// A source that is rejected again is no new reject, and one that is not fixed stays rejected.
#[test]
fn lists_show_open_and_new_rejects() {
    let lake = Lake::new();
    lake.put("4.csv", "");
    check_status(&lake.command("process", &["--run-id", "third"]), 0);
    for command in ["runs", "versions"] {
        let text = lake.text(command, &[]);
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        let end = |title: &str| header.find(title).unwrap() + title.len();
        let numbers: Vec<(&str, &str)> = lines
            .map(|line| {
                let last = |end: usize| line[..end].rsplit(' ').next().unwrap();
                (last(end("  REJECTED")), last(end("NEWLY REJECTED")))
            })
            .collect();
        assert_eq!(numbers, [("2", "1"), ("1", "0"), ("1", "1")], "{text}");
    }
    let report = String::from_utf8(lake.command("process", &[]).stdout).unwrap();
    assert!(report.contains("rejected    2, 0 of them newly rejected\n"), "{report}");
}
