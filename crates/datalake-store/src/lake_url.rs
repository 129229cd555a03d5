//! Where a lake is located, and what is wrong with a text that names no lake.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use url::Url;

use crate::masking::{has_secret, white_space_problem};

/// Where a lake is located: `s3://bucket`, `s3://bucket/prefix`, `file:///abs/dir`, or a plain path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeUrl {
    /// A bucket, or a part of one.
    S3 {
        /// The bucket's name, valid by the rules of S3.
        bucket: String,
        /// What every key begins with in the bucket: empty, or ending with `/`.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

/// The text names no lake. The message does not repeat it, but may hold the correct spelling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LakeUrlError(String);

const FORMS: &str = "a lake is s3://bucket, s3://bucket/prefix, file:///abs/dir, or the path of a folder";

/// A key has at most 1,024 bytes in S3. The longest key of a lake is shorter than 256.
const PREFIX_BYTES_MAX: usize = 768;

/// What stays as it is in the prefix of a URL.
const IN_PREFIX: &AsciiSet = &IN_PART.remove(b'/');

/// The same of one part of it.
const IN_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'=');

impl FromStr for LakeUrl {
    type Err = LakeUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(LakeUrlError(format!("the value is empty; {FORMS}")));
        }
        if let Some(problem) = white_space_problem(text) {
            return Err(LakeUrlError(problem.to_owned()));
        }
        if has_secret(text) && scheme_of(text).is_some() {
            return Err(LakeUrlError(format!(
                "an address of a lake has no credentials, port or query; {FORMS}; credentials are set by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )));
        }
        match scheme_of(text) {
            Some(("s3", rest)) if rest.starts_with("//") && !rest.starts_with("///") => parse_s3(&rest[2..]),
            Some(("file", rest)) if rest.starts_with("///") || rest.starts_with("//localhost/") => parse_file(text),
            Some((scheme, rest)) => Err(LakeUrlError(other_address(text, scheme, rest))),
            None => match no_path(text) {
                Some(reason) => Err(LakeUrlError(reason)),
                None => Ok(Self::Folder(PathBuf::from(text))),
            },
        }
    }
}

/// What is before the first colon and after it, if the text begins as an address does. A path may hold a colon further on.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'));
    // A drive of Windows is a path there.
    (is_scheme && !(cfg!(windows) && scheme.len() == 1)).then_some((scheme, rest))
}

fn parse_s3(rest: &str) -> Result<LakeUrl, LakeUrlError> {
    let refused = |reason: &str| Err(LakeUrlError(reason.to_owned()));
    if rest.contains(['?', '#']) {
        return refused("a lake's URL has no query or fragment; write a `?` or `#` of the prefix as %3F or %23");
    }
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return refused("the bucket's name is missing; write s3://bucket or s3://bucket/prefix");
    }
    if let Some(problem) = bucket_problem(bucket) {
        return Err(LakeUrlError(format!("`{bucket}` is not a bucket name: {problem}")));
    }
    let Ok(path) = percent_decode_str(path.trim_matches('/')).decode_utf8() else {
        return refused("the prefix is not UTF-8; write it in UTF-8, percent-encoded");
    };
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(LakeUrl::S3 {
            bucket: bucket.to_owned(),
            prefix: String::new(),
        });
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refused("the prefix has a part that is empty, `.` or `..`, which many stores reject; write it without");
    }
    if path.contains(char::is_control) {
        return refused("the prefix contains a control character, which keys must not; use another prefix");
    }
    if path.len() > PREFIX_BYTES_MAX {
        return Err(LakeUrlError(format!(
            "the prefix has {} bytes, and at most {PREFIX_BYTES_MAX} leave space for the lake's keys; use a shorter one",
            path.len()
        )));
    }
    Ok(LakeUrl::S3 {
        bucket: bucket.to_owned(),
        prefix: format!("{path}/"),
    })
}

/// The rule of S3 that the name breaks.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn bucket_problem(name: &str) -> Option<&'static str> {
    let is_end = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    match name {
        _ if name.parse::<std::net::Ipv4Addr>().is_ok() => {
            Some("it is an IP address; the address of an S3 server is set by --s3-endpoint, and the lake is s3://bucket")
        }
        _ if name.contains(':') => {
            Some("a lake's URL has no port; the address of an S3 server is set by --s3-endpoint, and the lake is s3://bucket")
        }
        _ if !(3..=63).contains(&name.len()) => Some("S3's bucket names have 3 to 63 characters"),
        _ if name.contains(|character: char| character.is_ascii_uppercase()) => Some("S3's bucket names have lower-case letters only"),
        _ if !name.chars().all(|character| is_end(character) || matches!(character, '.' | '-')) => {
            Some("S3's bucket names consist of lower-case letters, digits, `-` and `.`")
        }
        _ if !name.starts_with(is_end) || !name.ends_with(is_end) => {
            Some("S3's bucket names begin and end with a lower-case letter or a digit")
        }
        _ if name.contains("..") => Some("S3's bucket names have no two points side by side"),
        _ => None,
    }
}

fn parse_file(text: &str) -> Result<LakeUrl, LakeUrlError> {
    let url = Url::parse(text).map_err(|error| LakeUrlError(format!("this is not a URL ({error}); {FORMS}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        let reason = "a lake's URL has no query or fragment; write a `?` or `#` of the path as %3F or %23";
        return Err(LakeUrlError(reason.to_owned()));
    }
    url.to_file_path()
        .map(LakeUrl::Folder)
        .map_err(|()| LakeUrlError("the folder's path must be absolute, as in file:///abs/dir".to_owned()))
}

/// Another kind of address, and how a lake is written instead.
fn other_address(text: &str, scheme: &str, rest: &str) -> String {
    let name = rest.trim_start_matches('/');
    let lower = scheme.to_ascii_lowercase();
    match lower.as_str() {
        "s3" | "s3a" | "s3n" if name.is_empty() => format!("the bucket's name is missing; {FORMS}"),
        "s3" | "s3a" | "s3n" => format!("a lake in S3 begins with `s3://`; write s3://{name}"),
        "file" if rest.starts_with('/') && !rest.starts_with("//") => {
            format!("the URL of a folder begins with `file:///`; write file:///{name}")
        }
        "file" if scheme == "file" => {
            format!("the folder's path must be absolute in a URL; write file:///abs/{name}, or the path ./{name}")
        }
        "file" => format!("the scheme is in lower case; write file:///{name}"),
        "http" | "https" => http_address(text),
        "arn" => {
            let resource = text.rsplit(':').next().unwrap_or_default();
            format!("an ARN does not name a lake; write s3://{resource}")
        }
        "gs" | "gcs" => format!("Google Cloud Storage is not supported; {FORMS}"),
        "az" | "azure" | "abfs" | "abfss" | "adl" | "wasb" | "wasbs" => format!("Azure Storage is not supported; {FORMS}"),
        _ if scheme.len() == 1 => format!("this is a path of Windows; {FORMS}"),
        _ if rest.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("this looks like the address of a server, which is set by --s3-endpoint http://HOST:PORT; {FORMS}")
        }
        _ => format!("`{scheme}:` is not a known kind of address; {FORMS}; a folder of this name is ./{text}"),
    }
}

/// The address of a server, of a bucket there, or of a bucket at AWS.
fn http_address(text: &str) -> String {
    let why = "an HTTP address is not a lake's URL";
    let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
        return format!("{why}; {FORMS}");
    };
    let host = url.host_str().unwrap_or_default();
    let path = url.path().trim_matches('/');
    if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") {
        let bucket = host
            .split_once(".s3.")
            .or_else(|| host.split_once(".s3-"))
            .map(|(bucket, _)| bucket);
        let lake = bucket
            .into_iter()
            .chain([path])
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        return format!("{why}; write s3://{}", if lake.is_empty() { "bucket" } else { &lake });
    }
    let server = url.origin().ascii_serialization();
    let lake = if path.is_empty() { "bucket" } else { path };
    format!("{why}; write --lake s3://{lake} --s3-endpoint {server}")
}

/// Why a text without a scheme is meant as something else than the path of a folder.
fn no_path(text: &str) -> Option<String> {
    match text {
        _ if text.starts_with(['"', '\'']) => {
            Some("the value begins with a quotation mark, which files of variables take literally; remove the quotation marks".to_owned())
        }
        _ if text == "~" || text.starts_with("~/") => Some(format!(
            "`~` is replaced by shells only at the beginning of a word; write the absolute path, or ./{text}"
        )),
        _ if text.starts_with('$') => Some("the variable in the value was not replaced; write the value itself".to_owned()),
        _ if text.starts_with("s3//") => Some(format!("a lake in S3 begins with `s3://`; write s3://{}", &text[4..])),
        _ if cfg!(unix) && [r"\\", r".\", r"..\"].iter().any(|start| text.starts_with(start)) => {
            Some(format!("this is a path of Windows; {FORMS}"))
        }
        _ => None,
    }
}

/// As it is parsed again: a child process receives its lake in this text.
impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => {
                let path = prefix.strip_suffix('/').unwrap_or(prefix);
                write!(f, "s3://{bucket}/{}", utf8_percent_encode(path, IN_PREFIX))
            }
            Self::Folder(path) => match path.to_str() {
                Some(text) if text.parse().is_ok_and(|parsed: Self| parsed == *self) => f.write_str(text),
                // Only an absolute path, of a URL, is not such a text. As one part, so that nothing in it is resolved.
                _ => {
                    let bytes = path.as_os_str().as_encoded_bytes();
                    let inner = bytes.strip_prefix(b"/").unwrap_or(bytes);
                    write!(f, "file:///{}", percent_encode(inner, IN_PART))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        let url: LakeUrl = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(url.to_string(), shown, "{url:?}");
    }

    #[track_caller]
    fn check_refused(text: &str, word: &str) {
        let error = match text.parse::<LakeUrl>() {
            Ok(url) => panic!("{text} is accepted as {url:?}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(word), "{text}: {error}");
    }

    #[test]
    fn urls() {
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
        check_refused("", "empty");
        check_refused("s3://", "bucket's name is missing");
        check_refused("s3://bucket?x", "query");
        check_refused("s3://bucket#x", "fragment");
        check_refused("s3://bucket/a#x", "fragment");
        check_refused("file:///a?", "no credentials, port or query");
        check_refused("file:///a#b", "fragment");
    }

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for name in ["abc", "a-b.c", "0ab", "my.bucket.name", &"a".repeat(63)] {
            assert_eq!(bucket_problem(name), None, "{name}");
        }
        check_refused(
            "s3://Field",
            "`Field` is not a bucket name: S3's bucket names have lower-case letters only",
        );
        check_refused("s3://ab/prefix", "3 to 63");
        check_refused(&format!("s3://{}", "a".repeat(64)), "3 to 63");
        check_refused("s3://my_bucket", "consist of");
        check_refused("s3://büro", "consist of");
        check_refused("s3://my bucket", "consist of");
        check_refused("s3://-abc", "begin and end");
        check_refused("s3://abc.", "begin and end");
        check_refused("s3://a..b", "two points");
        check_refused("s3://192.168.0.1", "IP address");
        check_refused("s3://localhost:9000/bucket", "--s3-endpoint");
        check_refused("s3://%61bc", "consist of");
    }

    #[test]
    fn prefixes_are_ones_that_every_store_accepts() {
        check_refused("s3://bucket/a//b", "empty");
        check_refused("s3://bucket/a/../b", "`..`");
        check_refused("s3://bucket/a%2F..%2Fb", "`..`");
        check_refused("s3://bucket/./b", "`.`");
        check_refused("s3://bucket/a%0Ab", "control character");
        check_refused("s3://bucket/%FF", "UTF-8");
        check_refused(&format!("s3://bucket/{}", "a".repeat(769)), "769 bytes");
    }

    /// The message has the correct spelling.
    #[test]
    fn other_kinds_of_addresses_are_rejected() {
        check_refused("s3:field", "write s3://field");
        check_refused("s3:/field/a", "write s3://field/a");
        check_refused("s3:///field", "write s3://field");
        check_refused("s3//field", "write s3://field");
        check_refused("S3://field", "write s3://field");
        check_refused("s3a://field/a", "write s3://field/a");
        check_refused("s3n://field", "write s3://field");
        check_refused("arn:aws:s3:::field", "write s3://field");
        check_refused("file:/x/y", "write file:///x/y");
        check_refused("file:x", "./x");
        check_refused("file://x/y", "file:///abs/x/y");
        check_refused("FILE:///x", "write file:///x");
        check_refused("http://h:9000/field/a", "write --lake s3://field/a --s3-endpoint http://h:9000");
        check_refused("https://h", "write --lake s3://bucket --s3-endpoint https://h");
        check_refused("https://field.s3.eu-west-1.amazonaws.com/a", "write s3://field/a");
        check_refused("https://s3.eu-west-1.amazonaws.com/field/a", "write s3://field/a");
        check_refused("https://my.field.s3.amazonaws.com", "write s3://my.field");
        check_refused("gs://field", "Google Cloud Storage is not supported; a lake is s3://bucket");
        check_refused("az://field", "Azure Storage is not supported");
        check_refused("abfss://field.dfs.core.windows.net/a", "Azure Storage is not supported");
        check_refused("hdfs://field", "`hdfs:` is not a known kind of address");
        check_refused("localhost:9000", "--s3-endpoint");
        check_refused("minio:9000/field", "--s3-endpoint");
        check_refused("my:lake", "./my:lake");
        check_refused("~/lake", "absolute path");
        check_refused("$HOME/lake", "was not replaced");
        check_refused("\"s3://field\"", "quotation marks");
        check_refused(" s3://field", "white space");
        check_refused("s3://field\n", "line break");
        check_refused("./a\tb", "control character");
    }

    #[cfg(unix)]
    #[test]
    fn paths_of_windows_are_rejected() {
        for path in [r"C:\lake", "C:/lake", "c:lake", r"\\server\lake", r".\lake", r"..\lake"] {
            check_refused(path, "path of Windows");
        }
    }

    proptest::proptest! {
        /// A child process finds the lake of its parent.
        #[test]
        fn what_is_shown_is_parsed_again(path in r"([ab%?#&=+;:@ é/\\\t\n.~$]|%[0-9A-F]{2}|%2F|\.\.){0,12}", scheme in proptest::sample::select(&["s3://bucket/", "file:///", "/", "./", ""][..])) {
            if let Ok(url) = format!("{scheme}{path}").parse::<LakeUrl>() {
                proptest::prop_assert_eq!(url.to_string().parse::<LakeUrl>(), Ok(url.clone()), "shown as {}", url);
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
}
