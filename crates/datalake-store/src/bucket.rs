//! The operations that the product needs of a store.
//!
//! The crate `object_store` is not used. Version 0.13 has conditional puts (`PutMode::Create` and `PutMode::Update`) and conditional reads, but
//! no copy on condition of the source's ETag and no conditional delete, which image copies and cleanup need, and no writes that expire.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use datalake_core::count::count;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};

use crate::error::StoreError;

/// The ETag of an object, without quotes. Equal ETags under one key mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(Box<str>);

/// The content codings that proxies append to an ETag.
const CODINGS: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

impl Etag {
    /// Parses an ETag from a store or the table. Drops surrounding quotes, the mark of a weak ETag, and that of a content coding: a proxy
    /// that compresses adds both marks, while the store compares the ETag without them.
    pub fn new(tag: &str) -> Self {
        let opaque = tag.strip_prefix("W/").filter(|opaque| opaque.starts_with('"')).unwrap_or(tag);
        let opaque = opaque.trim_matches('"');
        // `"…-gzip"` is Apache's mark, `"…--gzip"` is Jetty's.
        let unmarked = CODINGS.iter().find_map(|coding| {
            let rest = opaque.strip_suffix(coding)?;
            let rest = rest.strip_suffix("--").or_else(|| rest.strip_suffix(['-', ';']))?;
            (!rest.is_empty()).then_some(rest)
        });
        Self(unmarked.unwrap_or(opaque).into())
    }

    /// The ETag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// User metadata of an object: lower-case ASCII names and printable ASCII values, at most 2 KiB in total (the limit of S3).
pub type Metadata = BTreeMap<String, String>;

/// The description of an object in a listing or a HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key, relative to the lake's root. It can be any string, because an unusual name must not stop a listing.
    pub key: String,
    /// The ETag of the current bytes.
    pub etag: Etag,
    /// The size in bytes.
    pub size: u64,
    /// When the current bytes were stored, by the store's clock.
    pub modified: Timestamp,
    /// Whether the object can be read.
    pub kind: ObjectKind,
}

/// Whether a listed name is an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectKind {
    /// An object.
    #[default]
    Object,
    /// In a folder: a FIFO, a socket, a device, a dangling link, a link out of the folder, or a link to a folder that is being listed. It
    /// is listed so that it can be reported. Reading it returns [`StoreError::NotFound`] without opening it.
    NotAFile,
}

/// The description of an object and its user metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The object.
    pub meta: ObjectMeta,
    /// The user metadata of the put.
    pub metadata: Metadata,
}

/// The result of a get. The bytes and the description belong to the same state of the object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The description. For a range, `meta.size` is still the size of the whole object.
    pub meta: ObjectMeta,
    /// The user metadata of the put.
    pub metadata: Metadata,
    /// The requested bytes.
    pub bytes: Bytes,
}

/// The precondition of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// There is no object under the key: `If-None-Match: *`. Exactly one of several concurrent creates succeeds.
    Create,
    /// None: the last writer wins.
    Replace,
    /// The object under the key has this ETag: `If-Match`. A missing object is [`StoreError::NotFound`] or a conflict, never a success.
    Update(Etag),
}

/// A view of a store whose writes expire.
#[derive(Clone, Debug)]
pub struct Fenced {
    /// A view of the same objects. When it has expired, a put, copy or delete through it has no effect and returns [`StoreError::Expired`].
    /// Reads and listings never expire.
    pub bucket: Arc<dyn Bucket>,
    /// The time of the store's clock when the view was made, or shortly before.
    pub store_time: Timestamp,
}

/// The six operations that the product needs of a store, with their preconditions in the signature, and expiring writes, which protect
/// against processes that were paused.
///
/// The contract, which one test suite checks for all implementations:
/// - an object appears completely or not at all, and a reader never sees a part of one;
/// - a read that starts after a write has returned sees that write;
/// - after [`StoreError::Unavailable`] a write may or may not have taken effect;
/// - implementations retry transient failures themselves, with backoff and a bound.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// The objects whose keys begin with `prefix` and are greater than `start_after`, in byte order of the keys.
    ///
    /// Fetches pages as the stream is polled. A missing bucket or folder is `Denied`; a prefix without objects is an empty stream.
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>>;

    /// The object's bytes, or those of `range`, which is clipped at the object's end. `Invalid` if the range starts at or after the end,
    /// and for more than [`GET_BYTES_MAX`] bytes, because another program may have written an object of any size. `Conflict` if the object
    /// does not have the ETag `if_match`.
    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError>;

    /// Writes the object and returns its new ETag. `Conflict` if the precondition `mode` does not hold.
    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError>;

    /// Copies within the store, so the bytes do not pass through this process, and returns the ETag of the copy. Replaces an object
    /// under `to`. `Conflict` if the source does not have the ETag `source_if_match`, `NotFound` if there is no source.
    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError>;

    /// Deletes the object. A missing object is a success without `if_match`, and `NotFound` with it. `Conflict` if the ETag differs. For a
    /// store without conditional deletes (general purpose buckets of S3 before 2024, some servers) the ETag is compared before the delete.
    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError>;

    /// Reads the object's description.
    async fn head(&self, key: &str) -> Result<Head, StoreError>;

    /// Makes a view whose writes expire by the store's clock: after [`FENCE_LIFETIME`] if the store checks the expiry of each request; in a
    /// folder when another process sweeps it, after [`STAGED_AGE_MAX`]. A store that can do neither returns a view that never expires.
    ///
    /// Make the view before the checks that a write relies on. A process that is paused between the checks and the write then writes
    /// nothing.
    async fn fenced(&self) -> Result<Fenced, StoreError>;

    /// Removes the staged files and uploaded parts of dead writers that are older than [`STAGED_AGE_MAX`] by the store's clock, and returns
    /// their number. Later writes through a view that was swept have no effect.
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// The store and the lake's location in it, without credentials. Equal identities mean the same objects.
    fn identity(&self) -> String;
}

/// The lifetime of a fence on a store that checks the expiry: long enough for a request and its retries, short enough that the writes of a
/// suspended process are rejected.
pub const FENCE_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// The age after which staged bytes are considered abandoned: staging and publishing take minutes.
pub const STAGED_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The limit for one get. A data file that another engine compacted, the largest object that is read completely, has some 50 bytes per row: 20
/// million users.
pub const GET_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Fails for more than [`GET_BYTES_MAX`] bytes.
pub(crate) fn require_readable(key: &str, bytes: u64) -> Result<(), StoreError> {
    if bytes <= GET_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::Invalid {
        key: key.to_owned(),
        reason: format!("the object is too large to read: {bytes} bytes; remove it if it is not part of the lake"),
    })
}

/// The bytes of a range, clipped at the end.
pub(crate) fn slice(bytes: &Bytes, range: &Range<u64>, key: &str) -> Result<Bytes, StoreError> {
    let range = clip(range, count(bytes.len()), key)?;
    let at = |offset| usize::try_from(offset).expect("a clipped offset is within bytes in memory");
    Ok(bytes.slice(at(range.start)..at(range.end)))
}

/// The part of a range that is within an object of `size` bytes. `Invalid` if that part is empty.
pub(crate) fn clip(range: &Range<u64>, size: u64, key: &str) -> Result<Range<u64>, StoreError> {
    let end = range.end.min(size);
    if range.start >= end {
        let reason = format!(
            "the range {}..{} is empty or starts after the object's {size} bytes",
            range.start, range.end
        );
        return Err(StoreError::Invalid {
            key: key.to_owned(),
            reason,
        });
    }
    Ok(range.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, opaque: &str) {
        assert_eq!(Etag::new(text).as_str(), opaque);
    }

    #[test]
    fn etag_is_parsed_without_quotes_and_marks() {
        check("\"a\"", "a");
        check("a", "a");
        check("W/\"a\"", "a");
        check("W/a", "W/a");
        check("\"W/a\"", "W/a");
        check("W/\"\"", "");
        check("\"a-gzip\"", "a");
        check("W/\"a--gzip\"", "a");
        check("\"a;br\"", "a");
        check("\"9b2c-2\"", "9b2c-2");
        check("-gzip", "-gzip");
    }
}
