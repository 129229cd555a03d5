//! Each command tried wrongly once: exit status, and words that say what, where, why and what to do.

use assert_cmd::Command;
use predicates::{prelude::*, str::contains};

#[track_caller]
fn check(arguments: &[&str], status: i32, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datalake"));
    let assert = command.args(arguments).env_remove("DATALAKE_LAKE").assert().code(status);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    let stdout = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    for word in words {
        assert!(
            contains(*word).eval(&stderr) || contains(*word).eval(&stdout),
            "{arguments:?} does not say {word:?}: {stderr}{stdout}"
        );
    }
}

#[test]
fn usage() {
    check(&[], 2, &["Usage"]);
    check(
        &["--help"],
        0,
        &["demo", "up", "process", "serve", "init", "healthcheck", "completions", "man"],
    );
    check(&["--version"], 0, &["datalake"]);
    check(&["procces"], 2, &["process"]);
    check(&["process"], 2, &["--lake"]);
    check(&["process", "--lake", "gs://x"], 2, &["s3://bucket"]);
    check(&["process", "--lake", "x", "--max-reject-ratio", "2"], 2, &["0 to 1"]);
    check(&["up", "--lake", "x", "--max-reject-ratio=-1"], 2, &["0 to 1"]);
    check(&["process", "--lake", "x", "--schedule", "often"], 2, &["five fields"]);
    check(&["process", "--lake", "x", "--log", "a=b=c"], 2, &["--log"]);
    check(&["serve", "--lake", "x", "--launcher", "magic"], 2, &["process", "none"]);
    check(&["serve", "--lake", "x", "--listen", "here"], 2, &["--listen"]);
}

#[test]
fn a_lake_that_is_not_there() {
    let lake = tempfile::tempdir().unwrap();
    let missing = lake.path().join("missing");
    check(
        &["process", "--lake", missing.to_str().unwrap()],
        2,
        &["does not exist", "datalake init"],
    );
    assert!(!missing.exists(), "a run makes no lake");
    check(
        &["init", "--lake", missing.to_str().unwrap(), "--from", "/nowhere"],
        2,
        &["/nowhere"],
    );
    check(
        &["process", "--lake", missing.to_str().unwrap()],
        4,
        &["nothing under src-data/", "--allow-mass-delete"],
    );
}

#[test]
fn nobody_listens() {
    check(&["healthcheck", "--listen", "127.0.0.1:1"], 1, &["is it running"]);
}

#[test]
fn pages_and_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        check(&["completions", shell], 0, &["healthcheck"]);
    }
    check(&["man"], 0, &[".TH"]);
    let dir = tempfile::tempdir().unwrap();
    check(&["man", "--dir", dir.path().to_str().unwrap()], 0, &[]);
    assert!(dir.path().join("datalake-process.1").exists());
}
