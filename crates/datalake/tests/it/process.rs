//! `datalake process` and `datalake repair` on a lake in a folder.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{s3_lake::S3Lake, s3_server::Conditions};

/// The executable, without variables of the environment of the tests.
pub(crate) fn datalake() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datalake"));
    for name in [
        "DATALAKE_LAKE",
        "DATALAKE_RUN_ID",
        "DATALAKE_MAX_REJECT_RATIO",
        "DATALAKE_SINGLE_WRITER",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn csv(first_name: &str) -> String {
    format!("first_name,last_name,birthts\n{first_name},Lee,612302400000\n")
}

#[track_caller]
pub(crate) fn check_status(output: &Output, status: i32) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{stdout}{stderr}");
}

struct Lake(TempDir);

impl Lake {
    /// A lake with `count` users, from `0`.
    fn of_users(count: usize) -> Self {
        let lake = Self(TempDir::new().unwrap());
        fs::create_dir(lake.0.path().join("src-data")).unwrap();
        for id in 0..count {
            lake.put(&format!("{id}.csv"), &csv("Ada"));
        }
        lake
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("src-data").join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join("src-data").join(name)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = datalake();
        command.args(["process", "--lake"]).arg(self.0.path()).args(arguments);
        command
    }

    /// The output of a run, which must end with this status.
    #[track_caller]
    fn process(&self, arguments: &[&str], status: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        check_status(&output, status);
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn process_json(&self, arguments: &[&str], status: i32) -> Value {
        let text = self.process(&[arguments, &["--output", "json"]].concat(), status);
        assert_eq!(text.lines().count(), 1, "one document: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn output(&self) -> String {
        fs::read_to_string(self.0.path().join("processed_data/output.csv")).unwrap_or_default()
    }

    /// Every file of the lake.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.insert(path.display().to_string(), fs::read(&path).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.0.path(), &mut files);
        files
    }
}

#[test]
fn dry_run_prints_the_plan_and_writes_nothing() {
    let lake = Lake::of_users(2);
    lake.put("1.png", "not read");
    lake.put("notes.txt", "a note");
    let before = lake.files();
    let plan = lake.process(&["--dry-run"], 0);
    for text in [
        "0  read CSV\n",
        "1  read CSV, read image\n",
        "\"src-data/notes.txt\"  ignored: unknown_kind\n",
        "nothing was changed\n",
    ] {
        assert!(plan.contains(text), "{text:?} is missing in {plan}");
    }
    let expected = json!({
        "version": null,
        "listed": 4,
        "steps": [
            { "user_id": "0", "csv": "read", "image": null },
            { "user_id": "1", "csv": "read", "image": "read" },
        ],
        "ignored": [{ "key": "src-data/notes.txt", "code": "unknown_kind" }],
        "blocked_by": null,
    });
    assert_eq!(lake.process_json(&["--dry-run"], 0), expected);
    assert_eq!(lake.files(), before, "nothing is written");

    lake.process(&[], 0);
    lake.remove("0.csv");
    let before = lake.files();
    let plan = lake.process_json(&["--dry-run"], 0);
    assert_eq!(plan["version"], 0);
    assert_eq!(plan["steps"], json!([{ "user_id": "0", "csv": "remove", "image": "remove" }]));
    assert!(lake.process(&["--dry-run", "--full"], 0).contains("1  read CSV, read image\n"));
    assert_eq!(lake.files(), before, "nothing is written");
}

#[test]
fn dry_run_reports_the_guard_that_blocks_a_run() {
    let lake = Lake::of_users(0);
    let plan = lake.process(&["--dry-run"], 4);
    assert!(
        plan.contains("a guard would block the run: there is nothing under src-data/; check the lake's URL"),
        "{plan}"
    );
    let command = format!(
        "to allow it: datalake process --lake {} --allow-mass-delete\n",
        lake.0.path().display()
    );
    assert!(plan.ends_with(&command), "{plan}");
    assert!(lake.files().is_empty());
}

/// The message names no lake that is not the one of the run, so that the command can be copied.
#[test]
fn blocked_run_names_the_command_that_allows_it() {
    let lake = Lake::of_users(12);
    lake.process(&[], 0);
    for id in 0..11 {
        lake.remove(&format!("{id}.csv"));
    }
    let command = format!("datalake process --lake {} --allow-mass-delete-of blocked", lake.0.path().display());
    let table = lake.process(&["--run-id", "blocked"], 4);
    for expected in [
        "error     11 of 12 users would be removed (limit: 20 % and 10); nothing was changed; check the sources",
        &*format!("to allow  {command}\n"),
        "see       docs/src/concepts.md#guards\n",
    ] {
        assert!(table.contains(expected), "{expected:?} is missing in {table}");
    }
    let output = datalake()
        .args(["process", "--run-id", "blocked", "--output", "json", "--lake"])
        .arg(lake.0.path())
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let failed = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|event| event["message"] == "run failed");
    let error = failed.unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.ends_with(&format!("; to allow exactly these removals: {command}")), "{error}");

    let doctor = datalake().args(["doctor", "--lake"]).arg(lake.0.path()).output().unwrap();
    let checks = String::from_utf8(doctor.stdout).unwrap();
    for expected in [
        "a guard would block the next run: 11 of 12 users would be removed (limit: 20 % and 10)\n".to_owned(),
        format!(
            "remedy   check the lake's URL and the sources; to allow it: `datalake process --lake {} --allow-mass-delete`\n",
            lake.0.path().display()
        ),
    ] {
        assert!(checks.contains(&expected), "{expected:?} is missing in {checks}");
    }
}

#[test]
fn json_output_is_the_report_in_the_lake() {
    let lake = Lake::of_users(2);
    let report = lake.process_json(&["--run-id", "mine"], 0);
    assert_eq!(
        (&report["run_id"], &report["outcome"], &report["counts"]["added"]),
        (&json!("mine"), &json!("succeeded"), &json!(2)),
        "{report}"
    );
    let stored = fs::read(lake.0.path().join("processed_data/runs/mine.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), report);
    let text = lake.process(&[], 0);
    assert!(
        text.contains("succeeded") && text.contains("0 added, 0 changed, 0 removed"),
        "{text}"
    );
}

#[test]
fn full_run_reads_all_sources() {
    let lake = Lake::of_users(3);
    let counts = |report: Value| (report["counts"]["csv_read"].clone(), report["committed"].clone());
    assert_eq!(counts(lake.process_json(&[], 0)), (json!(3), json!(true)));
    assert_eq!(counts(lake.process_json(&[], 0)), (json!(0), json!(false)));
    let before = lake.output();
    assert_eq!(counts(lake.process_json(&["--full"], 0)), (json!(3), json!(false)));
    assert_eq!(lake.output(), before);
}

#[test]
fn mass_deletion_is_blocked_unless_allowed() {
    let lake = Lake::of_users(20);
    lake.process(&[], 0);
    let before = lake.output();
    for id in 0..11 {
        lake.remove(&format!("{id}.csv"));
    }
    let report = lake.process_json(&[], 4);
    assert_eq!(report["outcome"], "blocked", "{report}");
    assert!(report["error"].as_str().unwrap().contains("--allow-mass-delete"), "{report}");
    assert_eq!(lake.output(), before);
    let report = lake.process_json(&["--allow-mass-delete"], 0);
    assert_eq!(
        (&report["counts"]["removed"], &report["counts"]["users"]),
        (&json!(11), &json!(9)),
        "{report}"
    );
    assert_eq!(lake.output().lines().count(), 10);

    for id in 11..20 {
        lake.remove(&format!("{id}.csv"));
    }
    assert!(lake.process(&[], 4).contains("nothing under src-data/"));
    lake.process(&["--allow-mass-delete"], 0);
    assert_eq!(lake.output(), "user_id,first_name,last_name,birthts,img_path\n");
}

#[test]
fn too_many_rejects_are_blocked_unless_allowed() {
    let lake = Lake::of_users(1);
    lake.put("bad.csv", "");
    lake.put("worse.csv", "");
    let text = lake.process(&[], 4);
    assert!(
        text.contains("--max-reject-ratio") && text.contains("src-data/bad.csv: the file has 0 bytes; expected the header"),
        "{text}"
    );
    assert_eq!(lake.output(), "");
    let report = lake.process_json(&["--max-reject-ratio", "0.7"], 0);
    assert_eq!(
        (&report["counts"]["added"], &report["counts"]["rejects_open"]),
        (&json!(1), &json!(2)),
        "{report}"
    );
}

/// The log entry of a version.
fn entry(lake: &Lake, version: u64) -> std::path::PathBuf {
    let log = lake.0.path().join("processed_data/users/_delta_log");
    log.join(format!("{version:020}.json"))
}

/// The exit status and the output of `datalake repair`.
fn repair(lake: &Lake, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = datalake();
    command.args(["repair", "--lake"]).arg(lake.0.path()).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn table_whose_log_cannot_be_loaded_is_rebuilt_by_repair() {
    let lake = Lake::of_users(3);
    let (status, text) = repair(&lake, &[]);
    assert!(status == Some(0) && text.contains("There is no table"), "{text}");
    lake.process(&[], 0);
    lake.put("1.csv", &csv("Bea"));
    lake.process(&[], 0);
    let (status, text) = repair(&lake, &["--yes"]);
    assert!(
        status == Some(0) && text.contains("version 1, 3 rows"),
        "a table that can be loaded is not rebuilt: {text}"
    );
    let expected = lake.output();

    fs::write(entry(&lake, 0), "no JSON\n").unwrap();
    let text = lake.process(&[], 2);
    let error = lake.process_json(&[], 2)["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("00000000000000000000.json") && error.contains("datalake repair"),
        "{text}{error}"
    );
    let before = lake.files();
    let (status, text) = repair(&lake, &[]);
    assert_eq!(status, Some(2), "{text}");
    for part in ["00000000000000000000.json", "history", "Stop all runs", "--yes"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(lake.files(), before, "nothing is removed without a confirmation");

    let (status, text) = repair(&lake, &["--yes"]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(lake.output(), expected);
    assert!(entry(&lake, 0).exists() && !entry(&lake, 1).exists());
    assert_eq!(lake.process_json(&[], 0)["committed"], false);
}

#[test]
fn table_of_a_newer_release_is_not_changed() {
    let lake = Lake::of_users(1);
    lake.process(&[], 0);
    let first = fs::read_to_string(entry(&lake, 0)).unwrap();
    assert!(first.contains(r#""datalake.format":"2""#), "{first}");
    fs::write(
        entry(&lake, 0),
        first.replace(r#""datalake.format":"2""#, r#""datalake.format":"3""#),
    )
    .unwrap();
    lake.put("new.csv", &csv("New"));
    let before = lake.files();
    let report = lake.process_json(&[], 2);
    assert_eq!(report["outcome"], "misconfigured", "{report}");
    assert!(report["error"].as_str().unwrap().contains("datalake.format is 3"), "{report}");
    let changed: Vec<_> = lake
        .files()
        .into_keys()
        .filter(|path| !before.contains_key(path) && !path.contains("/runs/"))
        .collect();
    assert_eq!(changed, [""; 0], "only the report is new");
    let (status, text) = repair(&lake, &[]);
    assert_eq!(status, Some(2), "{text}");
}

/// Waits up to a minute for the second run.
#[test]
fn scheduled_runs_repeat_until_a_signal() {
    let lake = Lake::of_users(1);
    let mut child = lake
        .command(&["--schedule", "* * * * *", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reports = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&reports.next().unwrap().unwrap()).unwrap();
    let first = next();
    assert_eq!((&first["outcome"], &first["committed"]), (&json!("succeeded"), &json!(true)));
    lake.put("new.csv", &csv("New"));
    let mut later = next();
    assert_ne!(first["run_id"], later["run_id"]);
    while later["counts"]["users"] != 2 {
        later = next();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "a signal ends a schedule successfully");
    assert_eq!(lake.process_json(&[], 0)["committed"], false);
}

/// The API's account may not read the logs of pods, so a run on Kubernetes writes its progress into the lake while it is active.
#[test]
fn run_on_kubernetes_writes_its_progress_and_removes_it() {
    let lake = S3Lake::new(Conditions { are_obeyed: true });
    lake.put(&[("1", "Ada"), ("2", "Eve")]);
    let read = lake.suspend("GET", "src-data/1.csv");
    let mut command = lake.command("process");
    command.args(["--run-id", "job-1"]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    read.wait();
    let key = "processed_data/runs/job-1.progress";
    let write = lake.suspend("PUT", key);
    write.wait();
    let removal = lake.suspend("DELETE", key);
    write.release();
    read.release();
    removal.wait();
    let text = lake.text(key).expect("the progress was written");
    let progress: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&progress["phase"], &progress["total"]),
        (&json!("reading"), &json!(2)),
        "{progress}"
    );
    removal.release();
    assert!(run.wait().unwrap().success());
    assert_eq!(lake.text(key), None, "it is removed with the end of the run");
    assert!(lake.text("processed_data/runs/job-1.json").is_some());
}
