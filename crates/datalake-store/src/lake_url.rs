//! The location of a lake, and what is wrong with a text that does not name one.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use url::Url;

use crate::{masking::has_secret, setting_text::white_space_problem};

/// The location of a lake: `s3://bucket`, `s3://bucket/prefix`, `file:///abs/dir`, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeUrl {
    /// A bucket, or a part of one.
    S3 {
        /// The bucket's name, valid by the rules of S3.
        bucket: String,
        /// The prefix of all keys in the bucket: empty, or ending with `/`.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

/// The text does not name a lake. The message does not repeat the text, but may contain a corrected form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LakeUrlError(String);

const FORMS: &str = "a lake is s3://bucket, s3://bucket/prefix, file:///abs/dir, or the path of a folder";

/// A key has at most 1,024 bytes in S3. The longest key of a lake is shorter than 256.
const PREFIX_BYTES_MAX: usize = 768;

/// The characters that are not encoded in the prefix of a URL.
const IN_PREFIX: &AsciiSet = &IN_PART.remove(b'/');

/// The characters that are not encoded in one part of the prefix of a URL.
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
            None => match path_problem(text) {
                Some(reason) => Err(LakeUrlError(reason)),
                None => Ok(Self::Folder(PathBuf::from(text))),
            },
        }
    }
}

/// The parts before and after the first colon, if the text starts like an address. A path may contain a colon further on.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'));
    // A single letter is a drive on Windows.
    (is_scheme && !(cfg!(windows) && scheme.len() == 1)).then_some((scheme, rest))
}

fn parse_s3(rest: &str) -> Result<LakeUrl, LakeUrlError> {
    let rejected = |reason: &str| Err(LakeUrlError(reason.to_owned()));
    if rest.contains(['?', '#']) {
        return rejected("a lake's URL has no query or fragment; write a `?` or `#` of the prefix as %3F or %23");
    }
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return rejected("the bucket's name is missing; write s3://bucket or s3://bucket/prefix");
    }
    if let Some(problem) = bucket_problem(bucket) {
        return Err(LakeUrlError(format!("`{bucket}` is not a bucket name: {problem}")));
    }
    let Ok(path) = percent_decode_str(path.trim_matches('/')).decode_utf8() else {
        return rejected("the prefix is not UTF-8; write it in UTF-8, percent-encoded");
    };
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(LakeUrl::S3 {
            bucket: bucket.to_owned(),
            prefix: String::new(),
        });
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return rejected("the prefix has a part that is empty, `.` or `..`, which many stores reject; write it without");
    }
    if path.contains(char::is_control) {
        return rejected("the prefix contains a control character, which keys must not; use another prefix");
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

/// The rule of S3 that the bucket name breaks.
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

/// The message for another kind of address, with the form of a lake's URL.
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

/// The message for the address of a server, of a bucket on it, or of a bucket at AWS.
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

/// Why a text without a scheme is probably not the path of a folder.
fn path_problem(text: &str) -> Option<String> {
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

/// Formats the URL so that parsing it returns the same value: a child process receives its lake in this form.
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
                // Only an absolute path, from a URL, cannot be parsed again. It is encoded as one part, so that nothing in it is resolved.
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
mod tests;
