//! Credentials from the sources of the AWS CLI: profiles, a process, and a web identity.

use std::fs;

use tempfile::TempDir;

use crate::{
    recorder::{NO_BUCKET, Recorder},
    settings::datalake,
};

/// The first request to the bucket, with these variables.
fn request(server: &Recorder, variables: &[(&str, &str)]) -> String {
    let url = server.url();
    let arguments = ["process", "--lake", "s3://lake", "--s3-endpoint", &url];
    let output = datalake(&arguments, variables).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let requests = server.requests();
    let request = requests.iter().find(|request| request.contains(" /lake"));
    request.unwrap_or_else(|| panic!("{output:?} {requests:?}")).clone()
}

#[test]
fn keys_and_region_are_read_from_profiles() {
    let dir = TempDir::new().unwrap();
    let [config, credentials] = ["config", "credentials"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    fs::write(&config, "[default]\nregion = eu-west-3\n[profile other]\nregion = eu-north-1\n").unwrap();
    fs::write(
        &credentials,
        "[default]\naws_access_key_id = first\naws_secret_access_key = a\n[other]\naws_access_key_id = second\naws_secret_access_key = b\n",
    )
    .unwrap();
    let files = [
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()),
    ];
    let check = |variables: &[(&str, &str)], key: &str, region: &str| {
        let request = request(&Recorder::without_buckets(), &[&files, variables].concat());
        assert!(request.contains(&format!("Credential={key}/")), "{request}");
        assert!(request.contains(&format!("/{region}/s3/")), "{request}");
    };
    check(&[], "first", "eu-west-3");
    check(&[("AWS_PROFILE", "other")], "second", "eu-north-1");
    check(&[("AWS_PROFILE", "other"), ("AWS_REGION", "eu-south-2")], "second", "eu-south-2");
    check(&[("DATALAKE_S3_REGION", "garage"), ("AWS_REGION", "eu-south-2")], "first", "garage");
    check(&[("AWS_REGION", ""), ("AWS_PROFILE", "")], "first", "eu-west-3");
    check(
        &[("AWS_ACCESS_KEY_ID", "third"), ("AWS_SECRET_ACCESS_KEY", "c")],
        "third",
        "eu-west-3",
    );
}

#[test]
fn credentials_are_read_from_a_process() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("config");
    let credentials = r#"{"Version":1,"AccessKeyId":"from-process","SecretAccessKey":"a"}"#;
    fs::write(dir.path().join("credentials.json"), credentials).unwrap();
    let command = format!("/bin/cat {}/credentials.json", dir.path().display());
    fs::write(&config, format!("[default]\ncredential_process = {command}\n")).unwrap();
    let request = request(&Recorder::without_buckets(), &[("AWS_CONFIG_FILE", config.to_str().unwrap())]);
    assert!(request.contains("Credential=from-process/"), "{request}");
}

#[test]
fn key_with_non_ascii_characters_is_reported() {
    let dir = TempDir::new().unwrap();
    let credentials = dir.path().join("credentials");
    fs::write(&credentials, "[default]\naws_access_key_id = fírst\naws_secret_access_key = a\n").unwrap();
    let server = Recorder::without_buckets();
    let arguments = ["process", "--lake", "s3://lake", "--s3-endpoint", &server.url()];
    let output = datalake(&arguments, &[("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap())])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("the access key (fírst)") && text.contains("ASCII"), "{text}");
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn web_identity_is_exchanged_for_credentials() {
    const STS: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/xml\r\n\r\n\
        <AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials>\
        <AccessKeyId>from-sts</AccessKeyId><SecretAccessKey>a</SecretAccessKey><SessionToken>session</SessionToken>\
        <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/a/b</Arn>\
        <AssumedRoleId>a:b</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let server = Recorder::new(|request| {
        let response = if request.contains("Action=AssumeRoleWithWebIdentity") {
            STS
        } else {
            NO_BUCKET
        };
        response.to_owned()
    });
    let dir = TempDir::new().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "a-token").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ("AWS_ENDPOINT_URL_STS", &server.url()),
    ];
    let request = request(&server, &variables);
    assert!(request.contains("Credential=from-sts/"), "{request}");
    assert!(request.contains("x-amz-security-token: session"), "{request}");
    let exchange = &server.requests()[0];
    assert!(exchange.contains("WebIdentityToken=a-token"), "{exchange}");
}
