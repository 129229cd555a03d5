//! The kinds of requests to S3: how errors name them, the permissions that they need, and how they are counted.

use super::bucket_client::BucketClient;
use crate::request_counter::RequestCounter;

/// A request and its object.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Lists a prefix.
    List(String),
    /// Reads an object.
    Get(String),
    /// Reads the description of an object.
    Head(String),
    /// Writes an object, or a part of one.
    Put(String),
    /// Copies one object to another key.
    Copy { from: String, to: String },
    /// Removes an object.
    Delete(String),
    /// Lists the multipart uploads under a prefix.
    ListUploads(String),
    /// Removes the parts of an upload.
    AbortUpload(String),
    /// Checks whether the bucket exists.
    HeadBucket,
    /// Creates the bucket.
    CreateBucket,
}

impl Request {
    pub(super) fn count(&self, counter: &RequestCounter) {
        match self {
            Self::List(_) | Self::ListUploads(_) => counter.count_list(),
            Self::Get(_) => counter.count_get(),
            Self::Head(_) | Self::HeadBucket => counter.count_head(),
            Self::Put(_) | Self::CreateBucket => counter.count_put(),
            Self::Copy { .. } => counter.count_copy(),
            Self::Delete(_) | Self::AbortUpload(_) => counter.count_delete(),
        }
    }

    /// The key in the lake for errors of this request. For a copy, the key of the source.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::List(key)
            | Self::Get(key)
            | Self::Head(key)
            | Self::Put(key)
            | Self::Delete(key)
            | Self::ListUploads(key)
            | Self::AbortUpload(key) => key,
            Self::Copy { from, .. } => from,
            Self::HeadBucket | Self::CreateBucket => "",
        }
    }

    /// The request as a phrase after the word "cannot".
    pub(super) fn describe(&self, client: &BucketClient) -> String {
        let bucket = &client.bucket;
        match self {
            Self::List(prefix) => format!("list {}", at(prefix, bucket)),
            Self::Get(key) | Self::Head(key) => format!("read {key} in bucket {bucket}"),
            Self::Put(key) => format!("write {key} in bucket {bucket}"),
            Self::Copy { from, to } => format!("copy {from} to {to} in bucket {bucket}"),
            Self::Delete(key) => format!("remove {key} in bucket {bucket}"),
            Self::ListUploads(prefix) => format!("list the multipart uploads of {}", at(prefix, bucket)),
            Self::AbortUpload(key) => format!("abort the upload of {key} in bucket {bucket}"),
            Self::HeadBucket => format!("read bucket {bucket}"),
            Self::CreateBucket => format!("create bucket {bucket}"),
        }
    }

    /// The IAM actions that the request needs, with their resources.
    pub(super) fn permissions(&self, client: &BucketClient) -> String {
        let object = |key: &str| format!("arn:aws:s3:::{}/{}", client.bucket, client.key(key));
        let bucket = format!("arn:aws:s3:::{}", client.bucket);
        match self {
            Self::List(_) | Self::HeadBucket => format!("s3:ListBucket on {bucket}"),
            Self::Get(key) | Self::Head(key) => format!("s3:GetObject on {}", object(key)),
            Self::Put(key) => format!("s3:PutObject on {}", object(key)),
            Self::Copy { from, to } => format!("s3:GetObject on {} and s3:PutObject on {}", object(from), object(to)),
            Self::Delete(key) => format!("s3:DeleteObject on {}", object(key)),
            Self::ListUploads(_) => format!("s3:ListBucketMultipartUploads on {bucket}"),
            Self::AbortUpload(key) => format!("s3:AbortMultipartUpload on {}", object(key)),
            Self::CreateBucket => format!("s3:CreateBucket on {bucket}"),
        }
    }
}

fn at(prefix: &str, bucket: &str) -> String {
    match prefix {
        "" => format!("bucket {bucket}"),
        prefix => format!("{prefix} in bucket {bucket}"),
    }
}
