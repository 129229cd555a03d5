//! Opens a lake by its URL.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use url::Url;

use crate::{bucket::Bucket, counter::RequestCounter, error::StoreError, folder::FolderBucket, s3};

/// Where a lake lies: `s3://bucket`, `s3://bucket/prefix`, `file:///abs/dir`, or a plain path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeUrl {
    /// A bucket, or a part of one.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What every key begins with in the bucket: empty, or ending with `/`.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

/// The text names no lake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; a lake is s3://bucket, s3://bucket/prefix, file:///abs/dir, or the path of a folder, url={url}")]
pub struct LakeUrlError {
    url: String,
    reason: &'static str,
}

/// What stays as it is in the prefix of a URL.
const IN_PREFIX: &AsciiSet = &IN_PART.remove(b'/');

/// The same of one part of it. A slash that is written `%2F` separates nothing.
const IN_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'=');

/// Whether a text begins as a URL does: `s3://`. A path may hold `://` further on.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'))
    })
}

impl FromStr for LakeUrl {
    type Err = LakeUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What could hold a password is not repeated.
        let refused = |reason| LakeUrlError {
            url: if text.contains('@') { "…".to_owned() } else { text.to_owned() },
            reason,
        };
        if text.is_empty() {
            return Err(refused("the lake's URL is empty"));
        }
        if !has_scheme(text) {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|_| refused("this is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "credentials do not belong into the lake's URL; give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ));
        }
        if matches!(url.scheme(), "http" | "https") {
            return Err(refused(
                "the lake's URL is s3://bucket or s3://bucket/prefix; the address of an S3 server goes to --s3-endpoint",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(refused("a lake's URL has no port, query or fragment"));
        }
        match (url.scheme(), url.host_str()) {
            ("s3", Some(bucket)) => {
                let path = percent_decode_str(url.path().trim_matches('/'))
                    .decode_utf8()
                    .map_err(|_| refused("the prefix is not UTF-8"))?;
                let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
                Ok(Self::S3 {
                    bucket: bucket.to_owned(),
                    prefix,
                })
            }
            ("s3", None) => Err(refused("the bucket's name is missing")),
            ("file", _) => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| refused("the folder's path must be absolute")),
            _ => Err(refused("this kind of store is not known")),
        }
    }
}

/// As it was parsed: a child process gets its lake by this text.
impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => {
                let path = prefix.strip_suffix('/').unwrap_or(prefix);
                // A URL's slashes at the ends are trimmed and its `..` are resolved; a key's are not.
                let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
                let kept = if is_plain { IN_PREFIX } else { IN_PART };
                write!(f, "s3://{bucket}/{}", utf8_percent_encode(path, kept))
            }
            Self::Folder(path) => match path.to_str() {
                Some(text) if !has_scheme(text) => f.write_str(text),
                // Only an absolute path of a URL is no text. As one part, so that nothing in it is resolved.
                _ => {
                    let bytes = path.as_os_str().as_encoded_bytes();
                    let inner = bytes.strip_prefix(b"/").unwrap_or(bytes);
                    write!(f, "file:///{}", percent_encode(inner, IN_PART))
                }
            },
        }
    }
}

/// How to reach a store that is not found by its URL alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The S3 server's address; none is AWS, or what the AWS SDK's own settings say.
    pub endpoint: Option<String>,
    /// The bucket's region; none is what the AWS SDK's own settings say, else `us-east-1`.
    pub region: Option<String>,
}

/// A lake that is ready for use.
#[derive(Clone, Debug)]
pub struct OpenLake {
    /// The lake's objects, with keys relative to the lake.
    pub bucket: Arc<dyn Bucket>,
    /// Counts what is asked of it.
    pub requests: Arc<RequestCounter>,
}

/// Opens a lake. Nothing is asked of the store yet: a missing bucket shows with the first operation.
pub async fn open(url: &LakeUrl, options: &OpenOptions) -> Result<OpenLake, StoreError> {
    let requests = Arc::new(RequestCounter::default());
    let bucket: Arc<dyn Bucket> = match url {
        LakeUrl::Folder(root) => Arc::new(FolderBucket::with_counter(root.clone(), Arc::clone(&requests))),
        LakeUrl::S3 { bucket, prefix } => Arc::new(s3::S3Bucket::open(bucket, prefix, options, Arc::clone(&requests)).await?),
    };
    Ok(OpenLake { bucket, requests })
}

/// Makes the bucket or the folder if there is none.
pub async fn create(url: &LakeUrl, options: &OpenOptions) -> Result<(), StoreError> {
    match url {
        LakeUrl::Folder(root) => FolderBucket::create(root.clone()).await,
        LakeUrl::S3 { bucket, .. } => s3::create_bucket(bucket, options).await,
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
        let error = text.parse::<LakeUrl>().unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("s3://bucket"), "{error}");
    }

    #[test]
    fn urls() {
        check("s3://datalake", "s3://datalake");
        check("s3://datalake/", "s3://datalake");
        check("s3://datalake/a b", "s3://datalake/a%20b");
        check("s3://datalake/a%2520b%3F", "s3://datalake/a%2520b%3F");
        check("s3://datalake/%2Fa%2F/", "s3://datalake/%2Fa%2F");
        check("s3://datalake/a%2F..%2Fb", "s3://datalake/a%2F..%2Fb");
        check("s3://datalake/day=1/é", "s3://datalake/day=1/%C3%A9");
        check("s3://datalake/a/b/", "s3://datalake/a/b");
        check("file:///var/lake", "/var/lake");
        check("./demo-lake", "./demo-lake");
        check("/var/lake", "/var/lake");
        check("file:///var/a%20b%25", "/var/a b%");
        check("file:///var/a:%2F%2Fb", "/var/a://b");
        check("file:///var/%FF", "file:///var%2F%FF");
        check_refused("", "empty");
        check_refused("s3://", "");
        check_refused("gs://bucket", "not known");
        check_refused("s3://bucket?x=1", "query");
        check_refused("file://host.example/dir", "absolute");
    }

    proptest::proptest! {
        /// A child process finds the lake of its parent.
        #[test]
        fn what_is_shown_is_parsed_again(path in r"([ab%?#&=+;:@ é/\\\t\n.]|%[0-9A-F]{2}|%2F|\.\.){0,12}", scheme in proptest::sample::select(&["s3://bucket/", "file:///", "/", "./"][..])) {
            if let Ok(url) = format!("{scheme}{path}").parse::<LakeUrl>() {
                proptest::prop_assert_eq!(url.to_string().parse::<LakeUrl>(), Ok(url.clone()), "shown as {}", url);
            }
        }
    }

    #[test]
    fn credentials_are_refused_and_not_repeated() {
        let error = "s3://key:secret@bucket".parse::<LakeUrl>().unwrap_err().to_string();
        assert!(error.contains("credentials") && !error.contains("secret"), "{error}");
    }
}
