//! The address of an S3 server, and a bucket's region.

use std::{fmt, str::FromStr};

use url::Url;

use crate::setting_text::white_space_problem;

/// The address of an S3 server: `https://s3.example.com`, with or without a port and a path. Invariant: no credentials, query or fragment,
/// and a path that ends with `/`, so that a bucket's name can follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// The text is not the address of an S3 server, or not a region. The message does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(String);

const ENDPOINT_FORM: &str = "an endpoint is like https://s3.example.com or http://localhost:9000";

impl FromStr for Endpoint {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rejected = |reason: String| Err(SettingError(format!("{reason}; {ENDPOINT_FORM}")));
        if text.is_empty() {
            return rejected("the value is empty".to_owned());
        }
        if let Some(problem) = white_space_problem(text) {
            return rejected(problem.to_owned());
        }
        if text.contains(char::is_whitespace) {
            return rejected("the address contains white space".to_owned());
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return rejected("the scheme is missing: write http:// or https:// before it".to_owned());
        };
        if !matches!(scheme, "http" | "https") {
            return rejected(format!("the scheme must be http or https, not `{scheme}`"));
        }
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return rejected(format!("this is not a URL ({error})")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return rejected("an endpoint has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return rejected("an endpoint has no query or fragment".to_owned());
        }
        if url.port() == Some(0) {
            return rejected("0 is not a port".to_owned());
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }
}

/// Without the slash at the end.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Endpoint {
    /// The address to which the SDK appends the bucket's name.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Fails if the address is that of the bucket itself, because each request would then contain the bucket's name twice.
    pub(crate) fn require_server_of(&self, bucket: &str) -> Result<(), SettingError> {
        let path = self.0.path().trim_end_matches('/');
        let parent = path.strip_suffix(bucket).and_then(|path| path.strip_suffix('/'));
        if let Some(parent) = parent {
            let mut server = self.0.clone();
            server.set_path(parent);
            return Err(SettingError(format!(
                "the endpoint ends in the name of the bucket, `{bucket}`, which is added to it for each request; write {}",
                Self(server)
            )));
        }
        let host = self.0.host_str().unwrap_or_default();
        match host.strip_prefix(bucket).and_then(|host| host.strip_prefix('.')) {
            Some(server) if server.ends_with("amazonaws.com") || server.ends_with("amazonaws.com.cn") => Err(SettingError(format!(
                "the endpoint is the address of the bucket `{bucket}`; leave it out for AWS, or write {}://{server}",
                self.0.scheme()
            ))),
            _ => Ok(()),
        }
    }
}

/// The region for which requests to a bucket are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl FromStr for Region {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = |text: &str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match white_space_problem(text) {
            None if is_valid(text) => Ok(Self(text.to_owned())),
            problem => {
                let problem = problem.unwrap_or("the name consists of letters, digits and hyphens");
                Err(SettingError(format!("{problem}; a region is like us-east-1")))
            }
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the bucket's name is in the address of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the host's name at AWS, and in the path where an endpoint is set.
    #[default]
    Auto,
    /// `https://host/bucket/key`
    Path,
    /// `https://bucket.host/key`
    Virtual,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, formatted: &str, used: &str) {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!((endpoint.to_string().as_str(), endpoint.as_str()), (formatted, used), "{text}");
        assert_eq!(formatted.parse(), Ok(endpoint), "a child process must parse the same endpoint");
    }

    #[track_caller]
    fn check_rejected(text: &str, word: &str) {
        let error = text.parse::<Endpoint>().expect_err(text).to_string();
        assert!(error.contains(word) && error.contains("https://s3.example.com"), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
    }

    #[test]
    fn endpoints_are_parsed_and_problems_are_named() {
        check("http://127.0.0.1:9000", "http://127.0.0.1:9000", "http://127.0.0.1:9000/");
        check("http://127.0.0.1:9000/", "http://127.0.0.1:9000", "http://127.0.0.1:9000/");
        check("http://host:9000/base", "http://host:9000/base", "http://host:9000/base/");
        check("http://[::1]:9000", "http://[::1]:9000", "http://[::1]:9000/");
        check(
            "https://s3.example.com/a/b/",
            "https://s3.example.com/a/b",
            "https://s3.example.com/a/b/",
        );
        check_rejected("", "empty");
        check_rejected("http://host:9000 ", "white space");
        check_rejected("http://host:9000\n", "line break");
        check_rejected("http://ho st:9000", "white space");
        check_rejected("127.0.0.1:9000", "scheme is missing");
        check_rejected("localhost:9000", "scheme is missing");
        check_rejected("s3.example.com", "scheme is missing");
        check_rejected("ftp://s3.example.com", "`ftp`");
        check_rejected("s3://bucket", "`s3`");
        check_rejected("http://", "not a URL");
        check_rejected("http://host:99999", "not a URL");
        check_rejected("http://host:0", "0 is not a port");
        check_rejected("https://me:secret@s3.example.com", "no credentials");
        check_rejected("https://me:secret", "not a URL");
        check_rejected("https://s3.example.com?key=secret", "query");
        check_rejected("https://s3.example.com/#a", "fragment");
    }

    #[test]
    fn endpoint_of_the_bucket_itself_is_rejected() {
        let check = |endpoint: &str, expected: Option<&str>| {
            let result = endpoint.parse::<Endpoint>().unwrap().require_server_of("lake");
            match (expected, result) {
                (None, Ok(())) => {}
                (Some(word), Err(error)) if error.to_string().ends_with(word) => {}
                (_, result) => panic!("{endpoint}: {result:?}"),
            }
        };
        check("http://host:9000/lake", Some("write http://host:9000"));
        check("http://host:9000/base/lake/", Some("write http://host:9000/base"));
        check(
            "https://lake.s3.eu-west-1.amazonaws.com",
            Some("write https://s3.eu-west-1.amazonaws.com"),
        );
        check("http://lake:9000", None);
        check("http://lake.default.svc:9000", None);
        check("http://host:9000/lakes", None);
        check("http://host:9000/mylake", None);
    }

    #[test]
    fn regions_are_parsed_and_problems_are_named() {
        for region in ["us-east-1", "auto", "garage", "EU_1"] {
            assert_eq!(region.parse::<Region>().unwrap().to_string(), region);
        }
        for region in ["", "us-east-1\n", " us-east-1", "us east", "us/east", "é"] {
            assert!(
                region.parse::<Region>().unwrap_err().to_string().contains("us-east-1"),
                "{region:?}"
            );
        }
    }
}
