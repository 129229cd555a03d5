//! An S3 server in this process: `s3s` implements the protocol, `s3s-fs` stores bytes, ETags and metadata and supports multipart uploads.
//!
//! s3s-fs 0.14 differs from S3 in four points, which are fixed here, so that the whole contract suite can run on it:
//! - it uses keys as paths: here a key is stored under its digest, so it can have any length, and be a prefix of another key;
//! - it checks a condition and writes in two steps, and writes an object and its attributes separately: here requests wait for each other;
//! - it ignores the conditions of a get and a delete: here they are checked;
//! - it lists objects without their ETags, and does not encode a listing: here listings are made from what was written.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::{
    S3, S3Request, S3Response, S3Result,
    auth::SimpleAuth,
    config::{S3Config, StaticConfigProvider},
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
        CopyObjectInput, CopyObjectOutput, CopySource, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, EncodingType, GetObjectInput,
        GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
        Object, PutObjectInput, PutObjectOutput, Timestamp, UploadPartInput, UploadPartOutput,
    },
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// How the server treats preconditions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// False for a server that ignores them, and overwrites existing objects.
    pub(crate) are_obeyed: bool,
}

/// A server on an empty folder, without a bucket, for one user and password.
pub(crate) fn server(root: Arc<TempDir>, [user, password]: [&str; 2], conditions: Conditions) -> S3Service {
    let server = FixedServer {
        files: FileSystem::new(root.path()).unwrap(),
        root,
        conditions,
        objects: Mutex::default(),
    };
    let mut builder = S3ServiceBuilder::new(server);
    builder.set_auth(SimpleAuth::from_single(user, password));
    // A test may set the clock that clients see: `s3_clock.rs`.
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// The path of an object's bytes in the server's folder.
pub(crate) fn path_of(root: &Path, bucket: &str, key: &str) -> PathBuf {
    [root, Path::new(bucket), Path::new(&name_of(key))].iter().collect()
}

/// The file name of a key, with a length and characters that every file system accepts.
fn name_of(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").unwrap();
        name
    })
}

#[derive(Debug)]
struct FixedServer {
    files: FileSystem,
    root: Arc<TempDir>,
    conditions: Conditions,
    objects: Mutex<Objects>,
}

/// A bucket and a key.
type Place = (String, String);

/// The objects of all buckets.
#[derive(Debug, Default)]
struct Objects(BTreeMap<Place, Stored>);

#[derive(Debug)]
struct Stored {
    etag: ETag,
    size: i64,
    modified: Timestamp,
}

impl Objects {
    /// Records a written object with the ETag that s3s-fs returned.
    fn record(&mut self, root: &Path, place: Place, etag: Option<ETag>) -> S3Result<()> {
        let path = path_of(root, &place.0, &place.1);
        let described = std::fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?)));
        let (size, modified) = described.map_err(|error| s3_error!(error, InternalError))?;
        let stored = Stored {
            etag: etag.ok_or_else(|| s3_error!(InternalError))?,
            size: i64::try_from(size).map_err(|error| s3_error!(error, InternalError))?,
            modified: modified.into(),
        };
        self.0.insert(place, stored);
        Ok(())
    }

    /// Fails if the object does not exist or does not match a condition.
    fn require(&self, place: &Place, if_match: Option<&ETagCondition>) -> S3Result<()> {
        let stored = self.0.get(place).ok_or_else(|| s3_error!(NoSuchKey))?;
        match if_match.and_then(ETagCondition::as_etag) {
            Some(expected) if *expected != stored.etag => Err(s3_error!(PreconditionFailed)),
            _ => Ok(()),
        }
    }
}

/// Replaces a key by the name of its file, and returns the bucket and the key.
fn rename(bucket: &str, key: &mut String) -> Place {
    let name = name_of(key);
    (bucket.to_owned(), std::mem::replace(key, name))
}

impl FixedServer {
    fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        match self.root.path().join(bucket).is_dir() {
            true => Ok(()),
            false => Err(s3_error!(NoSuchBucket)),
        }
    }

    fn forget(&self, conditions: [&mut Option<ETagCondition>; 2]) {
        if !self.conditions.are_obeyed {
            for condition in conditions {
                *condition = None;
            }
        }
    }
}

#[async_trait]
impl S3 for FixedServer {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        self.forget([&mut input.if_match, &mut input.if_none_match]);
        let mut objects = self.objects.lock().await;
        let place = rename(&input.bucket, &mut input.key);
        let written = self.files.put_object(request).await?;
        objects.record(self.root.path(), place, written.output.e_tag.clone())?;
        Ok(written)
    }

    async fn get_object(&self, mut request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        let objects = self.objects.lock().await;
        let place = rename(&input.bucket, &mut input.key);
        objects.require(&place, input.if_match.as_ref())?;
        self.files.get_object(request).await
    }

    async fn head_object(&self, mut request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        let objects = self.objects.lock().await;
        let place = rename(&input.bucket, &mut input.key);
        objects.require(&place, input.if_match.as_ref())?;
        self.files.head_object(request).await
    }

    async fn copy_object(&self, mut request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        let mut objects = self.objects.lock().await;
        let CopySource::Bucket { bucket, key, .. } = &mut input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let mut name = key.to_string();
        let source = rename(bucket, &mut name);
        objects.require(&source, input.copy_source_if_match.as_ref())?;
        *key = name.into();
        let place = rename(&input.bucket, &mut input.key);
        let copied = self.files.copy_object(request).await?;
        let result = copied.output.copy_object_result.as_ref();
        objects.record(self.root.path(), place, result.and_then(|result| result.e_tag.clone()))?;
        Ok(copied)
    }

    async fn delete_object(&self, mut request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        let mut objects = self.objects.lock().await;
        let place = rename(&input.bucket, &mut input.key);
        if input.if_match.is_some() {
            objects.require(&place, input.if_match.as_ref())?;
        }
        let deleted = self.files.delete_object(request).await?;
        objects.0.remove(&place);
        Ok(deleted)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.require_bucket(&input.bucket)?;
        let is_encoded = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
        let encoded = |key: &str| utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
        let decoded = |token: String| percent_decode_str(&token).decode_utf8_lossy().into_owned();
        let prefix = input.prefix.unwrap_or_default();
        let after = input.continuation_token.map(decoded).max(input.start_after);
        let from = after.clone().unwrap_or_default().max(prefix.clone());
        let keys_max = usize::try_from(input.max_keys.unwrap_or(1_000)).map_err(|error| s3_error!(error, InvalidArgument))?;

        let objects = self.objects.lock().await;
        let mut matching = objects
            .0
            .range((input.bucket.clone(), from)..)
            .take_while(|((bucket, key), _)| *bucket == input.bucket && key.starts_with(&prefix))
            .filter(|((_, key), _)| after.as_ref().is_none_or(|after| key > after));
        let page: Vec<_> = matching.by_ref().take(keys_max).collect();
        let is_truncated = matching.next().is_some();
        let last = page.last().map(|((_, key), _)| encoded(key));
        let contents: Vec<_> = page
            .iter()
            .map(|((_, key), stored)| Object {
                key: Some(if is_encoded { encoded(key) } else { key.clone() }),
                e_tag: Some(stored.etag.clone()),
                size: Some(stored.size),
                last_modified: Some(stored.modified.clone()),
                ..Object::default()
            })
            .collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(contents.len()).ok(),
            max_keys: input.max_keys,
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(contents),
            encoding_type: input.encoding_type,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut request.input;
        self.require_bucket(&input.bucket)?;
        rename(&input.bucket, &mut input.key);
        self.files.create_multipart_upload(request).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        self.forget([&mut input.if_match, &mut input.if_none_match]);
        let mut objects = self.objects.lock().await;
        let place = rename(&input.bucket, &mut input.key);
        if input.if_none_match.is_some() && objects.0.contains_key(&place) {
            return Err(s3_error!(PreconditionFailed));
        }
        if input.if_match.is_some() {
            objects.require(&place, input.if_match.as_ref())?;
        }
        let mut completed = self.files.complete_multipart_upload(request).await?;
        // Like S3, s3s-fs starts its response before the upload is complete. Here it must be complete before other requests are handled.
        if let Some(rest) = completed.output.future.take() {
            completed.output = rest.await?;
        }
        objects.record(self.root.path(), place, completed.output.e_tag.clone())?;
        Ok(completed)
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = &mut request.input;
        rename(&input.bucket, &mut input.key);
        self.files.abort_multipart_upload(request).await
    }
}
