//! Tests of lake URLs: parsing, formatting and rejected texts.

use super::*;

#[track_caller]
fn check(text: &str, formatted: &str) {
    let url: LakeUrl = text.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(url.to_string(), formatted, "{url:?}");
}

#[track_caller]
fn check_rejected(text: &str, word: &str) {
    let error = match text.parse::<LakeUrl>() {
        Ok(url) => panic!("{text} is accepted as {url:?}"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(word), "{text}: {error}");
}

#[test]
fn urls_are_parsed_and_formatted() {
    check("s3://datalake", "s3://datalake");
    check("s3://datalake/", "s3://datalake");
    check("s3://datalake/a b", "s3://datalake/a%20b");
    check("s3://datalake/a%2520b%3F", "s3://datalake/a%2520b%3F");
    check("s3://datalake/%2Fa%2F/", "s3://datalake/a");
    check("s3://datalake/day=1/é", "s3://datalake/day=1/%C3%A9");
    check("s3://datalake/a/b/", "s3://datalake/a/b");
    check("file:///var/lake", "/var/lake");
    check("./demo-lake", "./demo-lake");
    check("/var/lake", "/var/lake");
    check("./C:lake", "./C:lake");
    check("./s3:lake", "./s3:lake");
    check("./ours@home:1", "./ours@home:1");
    check("file:///var/a%20b%25", "/var/a b%");
    check("file:///var/a%20", "file:///var%2Fa%20");
    check("file:///var/a%0Ab", "file:///var%2Fa%0Ab");
    check("file:///var/a:%2F%2Fb", "/var/a://b");
    check("file:///var/%FF", "file:///var%2F%FF");
    check("file://localhost/var/lake", "/var/lake");
    check_rejected("", "empty");
    check_rejected("s3://", "bucket's name is missing");
    check_rejected("s3://bucket?x", "query");
    check_rejected("s3://bucket#x", "fragment");
    check_rejected("s3://bucket/a#x", "fragment");
    check_rejected("file:///a?", "no credentials, port or query");
    check_rejected("file:///a#b", "fragment");
}

#[test]
fn bucket_names_follow_the_rules_of_s3() {
    for name in ["abc", "a-b.c", "0ab", "my.bucket.name", &"a".repeat(63)] {
        assert_eq!(bucket_problem(name), None, "{name}");
    }
    check_rejected(
        "s3://Field",
        "`Field` is not a bucket name: S3's bucket names have lower-case letters only",
    );
    check_rejected("s3://ab/prefix", "3 to 63");
    check_rejected(&format!("s3://{}", "a".repeat(64)), "3 to 63");
    check_rejected("s3://my_bucket", "consist of");
    check_rejected("s3://büro", "consist of");
    check_rejected("s3://my bucket", "consist of");
    check_rejected("s3://-abc", "begin and end");
    check_rejected("s3://abc.", "begin and end");
    check_rejected("s3://a..b", "two points");
    check_rejected("s3://192.168.0.1", "IP address");
    check_rejected("s3://localhost:9000/bucket", "--s3-endpoint");
    check_rejected("s3://%61bc", "consist of");
}

#[test]
fn prefixes_that_some_stores_reject_are_rejected() {
    check_rejected("s3://bucket/a//b", "empty");
    check_rejected("s3://bucket/a/../b", "`..`");
    check_rejected("s3://bucket/a%2F..%2Fb", "`..`");
    check_rejected("s3://bucket/./b", "`.`");
    check_rejected("s3://bucket/a%0Ab", "control character");
    check_rejected("s3://bucket/%FF", "UTF-8");
    check_rejected(&format!("s3://bucket/{}", "a".repeat(769)), "769 bytes");
}

/// The message contains the corrected form.
#[test]
fn other_kinds_of_addresses_are_rejected_with_the_lake_url() {
    check_rejected("s3:field", "write s3://field");
    check_rejected("s3:/field/a", "write s3://field/a");
    check_rejected("s3:///field", "write s3://field");
    check_rejected("s3//field", "write s3://field");
    check_rejected("S3://field", "write s3://field");
    check_rejected("s3a://field/a", "write s3://field/a");
    check_rejected("s3n://field", "write s3://field");
    check_rejected("arn:aws:s3:::field", "write s3://field");
    check_rejected("file:/x/y", "write file:///x/y");
    check_rejected("file:x", "./x");
    check_rejected("file://x/y", "file:///abs/x/y");
    check_rejected("FILE:///x", "write file:///x");
    check_rejected("http://h:9000/field/a", "write --lake s3://field/a --s3-endpoint http://h:9000");
    check_rejected("https://h", "write --lake s3://bucket --s3-endpoint https://h");
    check_rejected("https://field.s3.eu-west-1.amazonaws.com/a", "write s3://field/a");
    check_rejected("https://s3.eu-west-1.amazonaws.com/field/a", "write s3://field/a");
    check_rejected("https://my.field.s3.amazonaws.com", "write s3://my.field");
    check_rejected("gs://field", "Google Cloud Storage is not supported; a lake is s3://bucket");
    check_rejected("az://field", "Azure Storage is not supported");
    check_rejected("abfss://field.dfs.core.windows.net/a", "Azure Storage is not supported");
    check_rejected("hdfs://field", "`hdfs:` is not a known kind of address");
    check_rejected("localhost:9000", "--s3-endpoint");
    check_rejected("minio:9000/field", "--s3-endpoint");
    check_rejected("my:lake", "./my:lake");
    check_rejected("~/lake", "absolute path");
    check_rejected("$HOME/lake", "was not replaced");
    check_rejected("\"s3://field\"", "quotation marks");
    check_rejected(" s3://field", "white space");
    check_rejected("s3://field\n", "line break");
    check_rejected("./a\tb", "control character");
}

#[test]
fn windows_paths_are_rejected() {
    for path in [r"C:\lake", "C:/lake", "c:lake", r"\\server\lake", r".\lake", r"..\lake"] {
        check_rejected(path, "path of Windows");
    }
}

proptest::proptest! {
    /// A child process must parse the lake of its parent.
    #[test]
    fn formatted_url_is_parsed_to_the_same_lake(path in r"([ab%?#&=+;:@ é/\\\t\n.~$]|%[0-9A-F]{2}|%2F|\.\.){0,12}", scheme in proptest::sample::select(&["s3://bucket/", "file:///", "/", "./", ""][..])) {
        if let Ok(url) = format!("{scheme}{path}").parse::<LakeUrl>() {
            proptest::prop_assert_eq!(url.to_string().parse::<LakeUrl>(), Ok(url.clone()), "formatted as {}", url);
        }
    }
}

#[test]
fn credentials_are_rejected_and_not_repeated() {
    for text in [
        "s3://key:secret@bucket",
        "s3://key%3Asecret%40bucket",
        "s3://key:secret",
        "s3:key:secret@bucket",
        "http://key:secret@host/bucket",
        "gs://secret@x",
    ] {
        let error = text.parse::<LakeUrl>().unwrap_err().to_string();
        assert!(error.contains("credentials") && !error.contains("secret"), "{text}: {error}");
    }
}
