//! Proxies and the addressing of buckets: a proxy receives requests to hosts that do not exist.

use crate::{recorder::Recorder, settings::datalake};

/// The first lines of the requests that a proxy receives.
fn requests(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let proxy = Recorder::without_buckets();
    let url = proxy.url().replace("http://", "http://me:p%40ss@");
    let keys = [
        ("AWS_ACCESS_KEY_ID", "test-user"),
        ("AWS_SECRET_ACCESS_KEY", "a"),
        ("HTTP_PROXY", &url),
    ];
    let arguments = [&["process", "--lake", "s3://lake/prefix"], arguments].concat();
    let output = datalake(&arguments, &[&keys, variables].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("p%40ss"), "{output:?}");
    proxy.requests()
}

#[test]
fn proxy_is_used_with_its_credentials() {
    let requests = requests(&["--s3-endpoint", "http://s3.example.test"], &[]);
    let request = requests.first().unwrap();
    assert!(request.contains(" http://s3.example.test/lake"), "{request}");
    // me:p@ss
    assert!(
        request.to_ascii_lowercase().contains("proxy-authorization: basic bwu6ceb"),
        "{request}"
    );
}

#[test]
fn hosts_of_no_proxy_are_reached_directly() {
    for name in ["NO_PROXY", "no_proxy"] {
        let server = Recorder::without_buckets();
        let through_proxy = requests(&["--s3-endpoint", &server.url()], &[(name, "example.com,127.0.0.1")]);
        assert!(
            through_proxy.is_empty() && !server.requests().is_empty(),
            "{name}: {through_proxy:?}"
        );
    }
}

#[test]
fn addressing_style_puts_the_bucket_into_the_path_or_the_host() {
    let check = |arguments: &[&str], variables: &[(&str, &str)], expected: &str| {
        let requests = requests(arguments, variables);
        assert!(requests[0].contains(expected), "{arguments:?}: {}", requests[0]);
    };
    let endpoint = ["--s3-endpoint", "http://s3.example.test"];
    let with = |style: &'static str| [&endpoint[..], &["--s3-addressing", style]].concat();
    check(&endpoint, &[], " http://s3.example.test/lake");
    check(&with("auto"), &[], " http://s3.example.test/lake");
    check(&with("path"), &[], " http://s3.example.test/lake");
    check(&with("virtual"), &[], " http://lake.s3.example.test/");
    check(&endpoint, &[("DATALAKE_S3_ADDRESSING", "Virtual")], " http://lake.s3.example.test/");
    check(
        &["--s3-endpoint", "http://s3.example.test/base", "--s3-addressing", "virtual"],
        &[],
        " http://lake.s3.example.test/base/",
    );
}

#[test]
fn path_of_the_endpoint_precedes_the_bucket() {
    for endpoint in ["http://s3.example.test/base", "http://s3.example.test/base/"] {
        let requests = requests(&["--s3-endpoint", endpoint], &[]);
        assert!(requests[0].contains(" http://s3.example.test/base/lake"), "{}", requests[0]);
    }
}
