//! Invalid arguments and variables: exit status 2 and a message with the setting, the value, the cause and the remedy, before anything is written.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{
    process::{check_status, csv},
    settings::{check, datalake, file, text_of},
};

#[test]
fn invalid_lake_url_is_rejected() {
    for (lake, word) in [
        ("s3:field", "write s3://field"),
        ("S3://field", "write s3://field"),
        ("s3://Field", "lower-case"),
        ("s3://ab", "3 to 63"),
        ("http://h:9000/field", "--s3-endpoint http://h:9000"),
        ("gs://field", "not supported"),
        ("file:/x", "write file:///x"),
        ("s3://key:hush-hush@bucket", "s3://…@bucket"),
        ("s3://key%3Ahush-hush%40bucket", "s3://…@bucket"),
        ("s3://key:hush-hush", "s3://key:…"),
        ("s3://bucket\n", "line break"),
        ("./lake ", "white space"),
    ] {
        check(&["process", "--lake", lake], &[], 2, &[word, "--lake"]);
        check(
            &["process"],
            &[("DATALAKE_LAKE", lake)],
            2,
            &[word, "--lake", "variable DATALAKE_LAKE"],
        );
        check(&["init", &format!("--lake={lake}")], &[], 2, &[word, "--lake"]);
    }
    check(&["process", "s3://key:hush-hush@bucket"], &[], 2, &["s3://…@bucket"]);
    check(
        &["process", "--help"],
        &[("DATALAKE_LAKE", "s3://key:hush-hush@bucket")],
        0,
        &["DATALAKE_LAKE"],
    );
    check(
        &["healthcheck", "--url", "http://me:hush-hush@h/"],
        &[],
        2,
        &["http://…@h/", "without credentials"],
    );
}

#[track_caller]
fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn lake_inside_a_lake_is_rejected_before_anything_is_written() {
    let dir = TempDir::new().unwrap();
    let (lake, sources) = (dir.path().join("lake"), dir.path().join("lake/src-data"));
    fs::create_dir_all(&sources).unwrap();
    fs::write(sources.join("1.csv"), csv("Ada")).unwrap();
    let sources = sources.to_str().unwrap();
    let whole = format!("write --lake {}", fs::canonicalize(&lake).unwrap().display());
    for command in ["process", "init", "up", "serve"] {
        check(&[command, "--lake", sources], &[("DATALAKE_LISTEN", "127.0.0.1:0")], 2, &[&whole]);
        check(
            &[command, "--lake", "s3://bucket/a/src-data"],
            &[("DATALAKE_LISTEN", "127.0.0.1:0")],
            2,
            &["write --lake s3://bucket/a"],
        );
    }
    assert_eq!((files(&lake), files(Path::new(sources))), (1, 1), "nothing is written");
    // After a run the folder is recognized as a lake, and all folders below it are part of it.
    check(&["process", "--lake", lake.to_str().unwrap()], &[], 0, &[]);
    let demo = datalake(&["demo"], &[("DATALAKE_LISTEN", "127.0.0.1:0")])
        .current_dir(sources)
        .output()
        .unwrap();
    check_status(&demo, 2);
    assert_eq!(files(Path::new(sources)), 1, "nothing is written");
    check(
        &["init", "--lake", lake.to_str().unwrap(), "--from", sources],
        &[],
        2,
        &["--from", "itself"],
    );
}

#[test]
fn file_instead_of_a_folder_is_reported() {
    let (dir, file) = file("afile", "");
    let inside = format!("{file}/lake");
    for command in ["init", "process", "serve"] {
        let variables = [("DATALAKE_LISTEN", "127.0.0.1:0")];
        check(&[command, "--lake", &file], &variables, 2, &[&file, "is not a folder"]);
        check(&[command, "--lake", &inside], &variables, 2, &["is not a folder"]);
    }
    let lake = dir.path().join("lake");
    check(
        &["init", "--lake", lake.to_str().unwrap(), "--from", &file],
        &[],
        2,
        &["--from", &file, "is not a folder"],
    );
    check(
        &["init", "--lake", lake.to_str().unwrap(), "--from", "/nowhere"],
        &[],
        2,
        &["--from /nowhere does not exist"],
    );
    assert!(!lake.exists(), "nothing is written before the arguments are checked");
    fs::create_dir(&lake).unwrap();
    for part in ["src-data", "processed_data"] {
        fs::write(lake.join(part), "").unwrap();
        check(&["process", "--lake", lake.to_str().unwrap()], &[], 2, &[part, "is not a folder"]);
        fs::remove_file(lake.join(part)).unwrap();
    }
}

#[test]
fn variables_of_switches_are_parsed() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let lake = lake.to_str().unwrap();
    check(&["init", "--lake", lake, "--samples"], &[], 0, &[]);
    let serve = |value: &str, status, words: &[&str]| {
        // The address is not one of this machine, so the command ends after the switches are checked.
        let arguments = ["serve", "--lake", lake, "--listen", "192.0.2.1:1"];
        check(&arguments, &[("DATALAKE_PROTECT_READS", value)], status, words);
    };
    for value in ["true", "1", "yes", "TRUE", "Yes"] {
        serve(value, 2, &["--protect-reads needs a token"]);
    }
    for value in ["false", "0", "no", "False", ""] {
        serve(value, 1, &["192.0.2.1:1"]);
    }
    serve(
        "maybe",
        2,
        &["maybe", "true, false, 1, 0, yes or no", "variable DATALAKE_PROTECT_READS"],
    );
    for value in ["", "1", "no"] {
        check(&["process", "--lake", lake], &[("DATALAKE_SINGLE_WRITER", value)], 0, &[]);
    }
    // All other empty variables count as unset.
    let empty = [
        ("DATALAKE_S3_ENDPOINT", ""),
        ("DATALAKE_S3_REGION", ""),
        ("DATALAKE_S3_ADDRESSING", ""),
        ("DATALAKE_LOG", ""),
        ("DATALAKE_RUN_ID", ""),
        ("DATALAKE_MAX_REJECT_RATIO", ""),
    ];
    check(&["process", "--lake", lake], &empty, 0, &[]);
    check(
        &["process"],
        &[("DATALAKE_LAKE", "")],
        2,
        &["--lake <URL>", "pass it as an argument, or set the variable DATALAKE_LAKE"],
    );
}

#[test]
fn other_invalid_settings_are_rejected() {
    check(
        &["up", "--lake", "x"],
        &[("DATALAKE_SCHEDULE", "* * * * * *")],
        2,
        &["but this one has 6", "variable DATALAKE_SCHEDULE"],
    );
    check(
        &["up", "--lake", "x", "--schedule", "0 0 31 2 *"],
        &[],
        2,
        &["no day matches", "--schedule"],
    );
    check(
        &["up", "--lake", "x", "--schedule", "0 * * * *\n"],
        &[],
        2,
        &["line break", "--schedule"],
    );
    check(
        &["serve", "--lake", "x"],
        &[("DATALAKE_LISTEN", "localhost")],
        2,
        &["write localhost:8080", "variable DATALAKE_LISTEN"],
    );
    check(
        &["serve", "--lake", "/", "--listen", "no-such-host.invalid:80"],
        &[],
        2,
        &["no-such-host.invalid:80", "--listen"],
    );
    check(
        &["serve", "--lake", "x"],
        &[("DATALAKE_CRONJOB", "my/job")],
        2,
        &["my/job", "variable DATALAKE_CRONJOB"],
    );
    check(
        &["process", "--lake", "x", "--log", "inof"],
        &[],
        2,
        &["`inof`", "off, error, warn, info, debug or trace"],
    );
    check(
        &["process", "--lake", "x"],
        &[("DATALAKE_LOG", "verbose")],
        2,
        &["`verbose`", "--log"],
    );
    check(
        &["process", "--lake", "s3://lake", "--s3-addressing", "dns"],
        &[],
        2,
        &["dns", "auto", "path", "virtual"],
    );
}

#[test]
fn host_name_or_only_a_port_can_be_listened_on() {
    let listening = |listen: &str| {
        // The lake is rejected after the command listens.
        let output = datalake(&["up", "--lake", "/nowhere/src-data", "--listen", listen], &[])
            .output()
            .unwrap();
        check_status(&output, 2);
        text_of(&output)
    };
    assert!(
        listening("localhost:0").contains("\"address\":\"127.0.0.1:"),
        "{}",
        listening("localhost:0")
    );
    assert!(listening(":0").contains("\"address\":\"0.0.0.0:"), "{}", listening(":0"));
}

#[test]
fn credentials_of_the_collector_are_not_logged() {
    let lake = TempDir::new().unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hush-hush@bad host:1"),
        ("DATALAKE_LAKE", lake.path().to_str().unwrap()),
    ];
    check(&["process"], &variables, 4, &[]);
}
