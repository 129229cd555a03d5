//! Runs that receive signals at a certain request, and a store without conditional writes.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    process::{Child, Stdio},
};

use datalake_core::keys;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{check_status, csv, datalake},
    s3_lake::S3Lake,
    s3_server::Conditions,
};

const OBEYED: Conditions = Conditions { are_obeyed: true };

const BEFORE: &str = "user_id,first_name,last_name,birthts,img_path\n1,Ada,Lee,612302400000,\n2,Bea,Lee,612302400000,\n";
const AFTER: &str =
    "user_id,first_name,last_name,birthts,img_path\n1,Changed,Lee,612302400000,\n2,Bea,Lee,612302400000,\n3,New,Lee,612302400000,\n";

/// A lake with one version and later edits.
fn edited() -> S3Lake {
    let lake = S3Lake::new(OBEYED);
    lake.put(&[("1", "Ada"), ("2", "Bea")]);
    check_status(&lake.command("process").output().unwrap(), 0);
    assert_eq!(lake.text(keys::OUTPUT).as_deref(), Some(BEFORE));
    lake.put(&[("1", "Changed"), ("3", "New")]);
    lake
}

fn start(lake: &S3Lake) -> Child {
    let mut command = lake.command("process");
    command.args(["--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Checks that the next run gives the result of an undisturbed run, and that the run after it commits nothing.
fn check_converges(lake: &S3Lake) {
    check_status(&lake.command("process").output().unwrap(), 0);
    assert_eq!(lake.text(keys::OUTPUT).as_deref(), Some(AFTER));
    assert!(lake.text(&keys::log_entry(1)).is_some(), "the edits are committed once");
    let last = lake.command("process").args(["--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&last.stdout).unwrap();
    assert_eq!(report["committed"], false, "{report}");
    assert!(lake.text(&keys::log_entry(2)).is_none(), "there is no second commit");
}

/// The report of a run that receives SIGTERM while the server suspends one of its requests.
fn terminated_at(lake: &S3Lake, method: &'static str, key: &str, status: i32) -> Value {
    let request = lake.suspend(method, key);
    let child = start(lake);
    request.wait();
    signal(&child, Signal::SIGTERM);
    request.release();
    let output = child.wait_with_output().unwrap();
    check_status(&output, status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sigterm_before_the_commit_stops_the_run() {
    let lake = edited();
    let request = lake.suspend("GET", &keys::source("1.csv"));
    let child = start(&lake);
    request.wait();
    signal(&child, Signal::SIGTERM);
    // The run ends without the response.
    let output = child.wait_with_output().unwrap();
    request.release();
    check_status(&output, 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (report["outcome"].as_str(), report["committed"].as_bool()),
        (Some("stopped"), Some(false))
    );
    assert_eq!(lake.text(keys::OUTPUT).as_deref(), Some(BEFORE));
    assert!(lake.text(&keys::log_entry(1)).is_none());
    check_converges(&lake);
}

#[test]
fn sigterm_during_or_after_the_commit_lets_the_run_finish() {
    for key in [keys::log_entry(1), keys::OUTPUT.to_owned()] {
        let lake = edited();
        let report = terminated_at(&lake, "PUT", &key, 0);
        assert_eq!(
            (report["outcome"].as_str(), report["committed"].as_bool()),
            (Some("succeeded"), Some(true)),
            "at {key}"
        );
        assert_eq!(lake.text(keys::OUTPUT).as_deref(), Some(AFTER), "at {key}");
        check_converges(&lake);
    }
}

#[test]
fn killed_run_is_completed_by_the_next_run() {
    for (method, key) in [
        ("GET", keys::source("1.csv")),
        ("PUT", keys::log_entry(1)),
        ("PUT", keys::OUTPUT.to_owned()),
    ] {
        let lake = edited();
        let request = lake.suspend(method, &key);
        let mut child = start(&lake);
        request.wait();
        signal(&child, Signal::SIGKILL);
        assert!(!child.wait().unwrap().success());
        assert_eq!(
            lake.text(keys::OUTPUT).as_deref(),
            Some(BEFORE),
            "nothing is published yet, at {method} {key}"
        );
        request.release();
        check_converges(&lake);
    }
}

/// The lock of a folder represents any file operation that does not return, as on a network file system.
#[test]
fn second_signal_ends_a_run_whose_file_operation_does_not_return() {
    let lake = TempDir::new().unwrap();
    for folder in ["src-data", ".datalake"] {
        fs::create_dir(lake.path().join(folder)).unwrap();
    }
    fs::write(lake.path().join("src-data/1.csv"), csv("Ada")).unwrap();
    let lock = fs::File::create(lake.path().join(".datalake/lock")).unwrap();
    lock.lock().unwrap();

    let mut command = datalake();
    command.args(["process", "--output", "json", "--lake"]).arg(lake.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let is_waiting = |line: io::Result<String>| line.unwrap().contains("waiting for the lock");
    assert!(log.lines().any(is_waiting), "the run waits for the lock");
    // Two signals of the same kind can be merged.
    signal(&child, Signal::SIGTERM);
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    check_status(&output, 1);
    assert!(output.stdout.is_empty(), "it ends at once, without a report");
    drop(lock);
}

#[test]
fn store_without_create_if_absent_requires_single_writer() {
    let lake = S3Lake::new(Conditions { are_obeyed: false });
    lake.put(&[("1", "Ada"), ("2", "Bea")]);
    let failed = lake.command("process").output().unwrap();
    check_status(&failed, 2);
    let text = String::from_utf8(failed.stdout).unwrap();
    assert!(text.contains("--single-writer"), "{text}");
    assert_eq!(lake.text(&keys::log_entry(0)), None);
    check_status(&lake.command("process").arg("--single-writer").output().unwrap(), 0);
    assert_eq!(lake.text(keys::OUTPUT).as_deref(), Some(BEFORE));
}
