//! Invalid settings of S3: exit status 2 and a message with the setting, the value, the cause and the remedy, before any request and without secrets.

use std::{
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::recorder::Recorder;

/// A secret that no message may contain.
const SECRET: &str = "hush-hush";

/// The executable with only these variables in its environment.
pub(crate) fn datalake(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datalake"));
    command
        .env_clear()
        .args(arguments)
        .env("HOME", "/nowhere")
        .envs(variables.iter().copied());
    command
}

pub(crate) fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Checks the exit status, and that the output contains these words.
#[track_caller]
pub(crate) fn check(arguments: &[&str], variables: &[(&str, &str)], status: i32, words: &[&str]) {
    let output = datalake(arguments, variables).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?} {variables:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?} {variables:?} does not print {word:?}: {text}");
    }
    assert!(!text.contains(SECRET) && !text.contains("panicked"), "{text}");
}

/// Checks that the command for a bucket fails with these words, and that the server receives no request.
#[track_caller]
fn check_s3(command: &str, variables: &[(&str, &str)], words: &[&str]) {
    let server = Recorder::without_buckets();
    let keys = [("AWS_ACCESS_KEY_ID", "test-user"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let mut all = keys.to_vec();
    all.retain(|(name, _)| !variables.iter().any(|(other, _)| other == name));
    all.extend(variables);
    let url = server.url();
    if !variables
        .iter()
        .any(|(name, _)| name.contains("ENDPOINT") || *name == "AWS_CONFIG_FILE")
    {
        all.push(("DATALAKE_S3_ENDPOINT", &url));
    }
    check(&[command, "--lake", "s3://lake"], &all, 2, words);
    assert_eq!(server.requests(), Vec::<String>::new(), "{variables:?}");
}

#[test]
fn white_space_in_credentials_is_reported_by_all_commands() {
    for command in ["process", "up", "serve", "init", "repair"] {
        let variables = [("AWS_ACCESS_KEY_ID", "admin\n"), ("DATALAKE_LISTEN", "127.0.0.1:0")];
        check_s3(command, &variables, &["AWS_ACCESS_KEY_ID is `admin\\n`", "line break", "echo -n"]);
    }
    check_s3("process", &[("AWS_ACCESS_KEY_ID", " admin")], &["AWS_ACCESS_KEY_ID", "white space"]);
    check_s3("process", &[("AWS_ACCESS_KEY_ID", "ad min")], &["AWS_ACCESS_KEY_ID", "a space"]);
    check_s3("process", &[("AWS_ACCESS_KEY_ID", "admín")], &["AWS_ACCESS_KEY_ID", "ASCII"]);
    check_s3(
        "process",
        &[("AWS_SECRET_ACCESS_KEY", "hush-hush\r\n")],
        &["AWS_SECRET_ACCESS_KEY (not shown)", "line break"],
    );
    check_s3(
        "process",
        &[("AWS_SESSION_TOKEN", "hush-hush ")],
        &["AWS_SESSION_TOKEN (not shown)", "white space"],
    );
    check_s3(
        "process",
        &[("AWS_SESSION_TOKEN", "hush-hushé")],
        &["AWS_SESSION_TOKEN (not shown)", "ASCII"],
    );
    check_s3(
        "process",
        &[("AWS_ACCESS_KEY_ID", "")],
        &["AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"],
    );
    check_s3(
        "process",
        &[("AWS_SECRET_ACCESS_KEY", "")],
        &["AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"],
    );
}

#[test]
fn invalid_region_is_rejected() {
    check_s3(
        "process",
        &[("AWS_REGION", "us east")],
        &["AWS_REGION is not a region: `us east`", "us-east-1"],
    );
    check_s3(
        "process",
        &[("AWS_DEFAULT_REGION", "us-east-1\n")],
        &["AWS_DEFAULT_REGION is `us-east-1\\n`", "line break"],
    );
    check_s3(
        "process",
        &[("DATALAKE_S3_REGION", "us/east")],
        &["us/east", "--s3-region", "variable DATALAKE_S3_REGION"],
    );
}

#[test]
fn invalid_endpoint_is_rejected() {
    for (endpoint, word) in [
        ("http://h:9000 ", "white space"),
        ("h:9000", "scheme is missing"),
        ("ftp://h", "`ftp`"),
        ("http://me:hush-hush@h:9000", "no credentials"),
        ("http://h:9000/?token=hush-hush", "query"),
        ("http://h:9000/#a", "fragment"),
        ("http://h:9000/base/lake", "write http://h:9000/base"),
        (
            "https://lake.s3.us-east-1.amazonaws.com",
            "write https://s3.us-east-1.amazonaws.com",
        ),
    ] {
        check_s3("process", &[("DATALAKE_S3_ENDPOINT", endpoint)], &[word, "--s3-endpoint"]);
        check_s3("process", &[("AWS_ENDPOINT_URL", endpoint)], &[word, "AWS_ENDPOINT_URL"]);
        check_s3("process", &[("AWS_ENDPOINT_URL_S3", endpoint)], &[word, "AWS_ENDPOINT_URL"]);
        check(
            &["init", "--lake", "s3://lake", "--s3-endpoint", endpoint],
            &[],
            2,
            &[word, "--s3-endpoint"],
        );
    }
}

/// A folder with this file.
pub(crate) fn file(name: &str, text: &str) -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn invalid_profile_is_rejected() {
    let text = "[default]\nregion = eu west\n[profile signed-in]\nsso_session = us\n[profile elsewhere]\nendpoint_url = host:9000\n";
    let (_dir, config) = file("config", text);
    let with = |profile: &'static str| [("AWS_CONFIG_FILE", config.as_str()), ("AWS_PROFILE", profile)];
    check_s3(
        "process",
        &with("missing"),
        &["AWS_PROFILE names the profile `missing`", "default, elsewhere, signed-in"],
    );
    check_s3(
        "process",
        &with("default"),
        &["`region` of the profile `default` is not a region: `eu west`"],
    );
    check_s3(
        "process",
        &with("elsewhere"),
        &["`endpoint_url`", "`host:9000`", "scheme is missing"],
    );
    let signed_in = [&with("signed-in")[..], &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]].concat();
    check_s3(
        "process",
        &signed_in,
        &["`sso_session`", "not supported", "export-credentials --profile signed-in"],
    );
    let (_dir, damaged) = file("config", "[default\n");
    check_s3(
        "process",
        &[("AWS_CONFIG_FILE", &damaged)],
        &["profiles cannot be used", "AWS_CONFIG_FILE"],
    );
    check_s3("process", &[("AWS_PROFILE", "missing")], &["`missing`", "none is defined"]);
}

#[test]
fn invalid_web_identity_is_rejected() {
    let without_keys = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let (_dir, token) = file("token", SECRET);
    let check = |variables: &[(&str, &str)], word: &str| check_s3("process", &[&without_keys, variables].concat(), &[word]);
    check(&[("AWS_WEB_IDENTITY_TOKEN_FILE", &token)], "AWS_ROLE_ARN is not");
    check(
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", &token), ("AWS_ROLE_ARN", "reader")],
        "AWS_ROLE_ARN is not an ARN: `reader`",
    );
    check(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/a"),
        ],
        "AWS_WEB_IDENTITY_TOKEN_FILE names `/nowhere/token`",
    );
}

#[test]
fn invalid_trusted_certificates_are_rejected() {
    let (dir, empty) = file("ca.pem", "no certificate\n");
    let (_dir, damaged) = file("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        check_s3(
            "process",
            &[(name, "/nowhere/ca.pem")],
            &[name, "/nowhere/ca.pem", "cannot be read", "PEM"],
        );
        check_s3("process", &[(name, &empty)], &[name, "contains no certificate", "PEM"]);
        check_s3("process", &[(name, &damaged)], &[name, "invalid certificate", "PEM"]);
        check_s3("process", &[(name, dir.path().to_str().unwrap())], &[name, "is a folder", "PEM"]);
    }
    check_s3("process", &[("SSL_CERT_DIR", &empty)], &["SSL_CERT_DIR", "not a folder"]);
}

#[test]
fn invalid_proxy_is_rejected() {
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        check_s3(
            "process",
            &[(name, "socks5://me:hush-hush@p:1080")],
            &[name, "socks5://…@p:1080", "SOCKS"],
        );
    }
    check_s3(
        "process",
        &[("HTTPS_PROXY", "ftp://p")],
        &["HTTPS_PROXY", "http or https", "http://proxy.example.com:3128"],
    );
    check_s3("process", &[("HTTPS_PROXY", "http://")], &["HTTPS_PROXY", "not a URL"]);
    check_s3(
        "process",
        &[("HTTPS_PROXY", "http://me:hush-hush@p:3128\n")],
        &["HTTPS_PROXY", "line break"],
    );
}
