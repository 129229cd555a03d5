//! Wrong usage of each command: exit status, and a message with the cause, the value and the remedy.

use std::io::{BufRead, BufReader, Write};

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
            "{arguments:?} does not print {word:?}: {stderr}{stdout}"
        );
    }
}

const COMMANDS: [&str; 15] = [
    "demo",
    "up",
    "serve",
    "init",
    "process",
    "repair",
    "status",
    "query",
    "rejects",
    "runs",
    "versions",
    "doctor",
    "healthcheck",
    "completions",
    "man",
];

#[test]
fn help_and_version_are_printed() {
    check(&[], 2, &["Usage"]);
    check(&["--help"], 0, &COMMANDS);
    check(&["--version"], 0, &["datalake"]);
    for command in COMMANDS {
        check(&[command, "--help"], 0, &["Usage", command]);
        check(&[command, "--no-such-flag"], 2, &["--no-such-flag", "Usage", "--help"]);
    }
}

#[test]
fn wrong_usage_of_each_command_is_reported() {
    check(&["procces"], 2, &["procces", "process"]);
    check(&["process", "--lake", "x", "--log", "a=b=c"], 2, &["--log"]);

    check(&["demo", "--listen", "here"], 2, &["here", "--listen", "--help"]);
    check(
        &["demo", "--schedule", "61 * * * *"],
        2,
        &["61 * * * *", "--schedule", "the minute must be from 0 to 59"],
    );

    check(&["up"], 2, &["--lake", "Usage"]);
    check(
        &["up", "--lake", "x", "--max-reject-ratio=-1"],
        2,
        &["--max-reject-ratio", "0 to 1"],
    );
    check(&["up", "--lake", "x", "--protect-reads"], 2, &["--token-file"]);
    let no_token = ["up", "--lake", "x", "--token-file", "/nowhere/token"];
    check(&no_token, 2, &["--token-file", "/nowhere/token", "No such file"]);

    check(&["process"], 2, &["--lake"]);
    check(&["process", "--lake", "gs://x"], 2, &["gs://x", "--lake", "s3://bucket"]);
    check(
        &["process", "--lake", "x", "--max-reject-ratio", "2"],
        2,
        &["--max-reject-ratio", "0 to 1"],
    );
    check(
        &["process", "--lake", "x", "--schedule", "often"],
        2,
        &["often", "--schedule", "five fields"],
    );
    check(
        &["process", "--lake", "x", "--output", "xml"],
        2,
        &["xml", "--output", "table", "json"],
    );
    check(&["process", "--lake", "x", "--run-id", "a/b"], 2, &["a/b", "--run-id"]);
    let scheduled = ["process", "--lake", "x", "--schedule", "0 * * * *"];
    check(
        &[&scheduled[..], &["--dry-run"]].concat(),
        2,
        &["--dry-run", "--schedule", "cannot be used"],
    );
    check(
        &[&scheduled[..], &["--run-id", "a"]].concat(),
        2,
        &["--run-id", "--schedule", "cannot be used"],
    );

    check(
        &["serve", "--lake", "x", "--launcher", "magic"],
        2,
        &["magic", "--launcher", "process", "none"],
    );
    check(&["serve", "--lake", "x", "--launcher", "kubernetes"], 2, &["--cronjob"]);
    check(&["serve", "--lake", "x", "--listen", "here"], 2, &["here", "--listen"]);
    check(
        &["serve", "--lake", "x", "--cors-origin", "app.example.com"],
        2,
        &["--cors-origin", "https://app.example.com"],
    );
    check(
        &["up", "--lake", "x", "--cors-origin=https://a.example,https://b.example/"],
        2,
        &["https://b.example/", "https://app.example.com"],
    );

    check(&["init"], 2, &["--lake"]);
    check(
        &["init", "--lake", "x", "--samples", "--from", "y"],
        2,
        &["--samples", "--from", "cannot be used"],
    );
    let (lake, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [lake, empty] = [lake.path(), empty.path()].map(|path| path.to_str().unwrap());
    check(&["init", "--lake", lake, "--from", empty], 2, &["there is no {user_id}.csv", empty]);

    check(&["healthcheck", "--listen", "8080"], 2, &["8080", "--listen"]);
    for url in ["not a url", "nonsense", "https://127.0.0.1:1/"] {
        check(&["healthcheck", "--url", url], 2, &[url, "--url", "must be like http://"]);
    }
    check(&["completions"], 2, &["SHELL"]);
    check(&["completions", "ksh"], 2, &["ksh", "bash", "fish"]);
    check(&["man", "process"], 2, &["process", "Usage"]);
}

#[test]
fn missing_lake_is_reported() {
    let lake = tempfile::tempdir().unwrap();
    let missing = lake.path().join("missing");
    check(
        &["process", "--lake", missing.to_str().unwrap()],
        2,
        &["does not exist", "datalake init"],
    );
    assert!(!missing.exists(), "a run creates no lake");
    check(&["init", "--lake", missing.to_str().unwrap()], 0, &[]);
    check(
        &["process", "--lake", missing.to_str().unwrap()],
        4,
        &["nothing under src-data/", "--allow-mass-delete"],
    );
}

#[test]
fn samples_are_not_uploaded_again_once_there_is_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let lake = lake.to_str().unwrap();
    check(
        &["init", "--lake", lake, "--samples"],
        0,
        &["194 sources uploaded, 0 already there"],
    );
    let source = |name: &str| format!("{lake}/src-data/{name}");
    std::fs::write(source("1000.csv"), "first_name,last_name,birthts\nMy,Edit,1\n").unwrap();
    std::fs::remove_file(source("1001.csv")).unwrap();
    check(
        &["init", "--lake", lake, "--samples"],
        0,
        &["1 sources uploaded, 193 already there"],
    );
    check(&["process", "--lake", lake], 0, &["100 added"]);
    std::fs::remove_file(source("1001.csv")).unwrap();
    check(
        &["init", "--lake", lake, "--samples"],
        0,
        &["0 sources uploaded, 194 already there"],
    );
    assert!(!std::path::Path::new(&source("1001.csv")).exists());
    assert!(std::fs::read_to_string(source("1000.csv")).unwrap().contains("My,Edit"));
}

#[test]
fn init_from_a_folder_without_sources_creates_no_lake() {
    let dir = tempfile::tempdir().unwrap();
    let [lake, from] = ["lake", "from"].map(|name| dir.path().join(name));
    std::fs::create_dir(&from).unwrap();
    let arguments = ["init", "--lake", lake.to_str().unwrap(), "--from", from.to_str().unwrap()];
    check(&arguments, 2, &["there is no {user_id}.csv or {user_id}.png in "]);
    assert!(!lake.exists());
}

#[test]
fn init_from_a_folder_skips_temporary_files() {
    let dir = tempfile::tempdir().unwrap();
    let [lake, from] = ["lake", "from"].map(|name| dir.path().join(name));
    std::fs::create_dir(&from).unwrap();
    for name in [
        "1.csv",
        "._1.csv",
        "1.csv.csv",
        "1.csv~",
        "1.part.csv",
        "1.sync-conflict-20260101-120000-ABCDEFG.csv",
        ".1.csv.aB3xYz",
    ] {
        std::fs::write(from.join(name), "first_name,last_name,birthts\nAda,Lee,1\n").unwrap();
    }
    let arguments = ["init", "--lake", lake.to_str().unwrap(), "--from", from.to_str().unwrap()];
    let skipped = "skipped \".1.csv.aB3xYz\": temporary (docs/src/rejects.md#temporary)";
    check(&arguments, 0, &["1 sources uploaded, 0 already there", skipped]);
    let names: Vec<_> = std::fs::read_dir(lake.join("src-data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["1.csv"]);
}

#[test]
fn healthcheck_of_a_stopped_server_fails() {
    check(
        &["healthcheck", "--listen", "127.0.0.1:1"],
        1,
        &[
            "cannot reach http://127.0.0.1:1/readyz: ",
            "Connection refused",
            "check that the API is running",
        ],
    );
}

#[test]
fn up_fails_at_once_if_the_folder_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("missing");
    let arguments = ["up", "--lake", lake.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    check(&arguments, 2, &["does not exist; create it with `datalake init --lake "]);
}

#[test]
fn man_pages_and_completions_are_generated() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        check(&["completions", shell], 0, &["healthcheck"]);
    }
    check(&["man"], 0, &[".TH"]);
    let dir = tempfile::tempdir().unwrap();
    check(&["man", "--dir", dir.path().to_str().unwrap()], 0, &[" pages written to "]);
    assert!(dir.path().join("datalake-process.1").exists());
}

/// A server that returns the same response to every request, until the test ends.
fn responding(response: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                let _client_may_be_gone = (&stream).write_all(response.as_bytes());
            });
        }
    });
    format!("http://{address}")
}

#[track_caller]
fn check_s3(endpoint: &str, status: i32, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datalake"));
    command.args(["process", "--lake", "s3://nowhere", "--s3-endpoint", endpoint]);
    command
        .env("AWS_ACCESS_KEY_ID", "test-user")
        .env("AWS_SECRET_ACCESS_KEY", "test-secret");
    let assert = command.assert().code(status);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in {stderr}");
    }
    assert!(!stderr.contains("test-secret"), "{stderr}");
}

#[test]
fn missing_or_forbidden_bucket_is_a_configuration_error() {
    let missing =
        responding("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>");
    check_s3(&missing, 2, &["nowhere", "datalake init"]);
    let forbidden =
        responding("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
    check_s3(&forbidden, 2, &["AccessDenied"]);
    let wrong_key = responding(
        "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>",
    );
    check_s3(&wrong_key, 2, &["SignatureDoesNotMatch"]);
}

#[test]
fn stopped_store_is_worth_a_retry() {
    check_s3(
        "http://127.0.0.1:1",
        1,
        &["no response from the store at http://127.0.0.1:1: Connection refused"],
    );
}

#[test]
fn busy_store_is_worth_a_retry() {
    let busy = responding("HTTP/1.1 503 Slow Down\r\nconnection: close\r\n\r\n<Error><Code>SlowDown</Code></Error>");
    check_s3(&busy, 1, &["failed (503 SlowDown)", "5 attempts"]);
}

#[test]
fn failing_store_is_worth_a_retry() {
    let broken = responding("HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\n<Error><Code>InternalError</Code></Error>");
    check_s3(&broken, 1, &["failed (500 InternalError)"]);
}

#[test]
fn closed_connection_is_retryable() {
    check_s3(&responding(""), 1, &["no response from the store", "connection closed"]);
}
