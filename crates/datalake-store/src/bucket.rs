//! The seam to storage: what the product asks of a store, and nothing else.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};

use crate::error::StoreError;

/// The opaque tag that a store gives to one state of an object's bytes, without quotes. Equal ETags under one key mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(Box<str>);

/// Content codings, as proxies append them to an ETag.
const CODINGS: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

impl Etag {
    /// Takes an ETag as the store or the table wrote it. Surrounding quotes are dropped, and so are the mark of a weak ETag and that of a content
    /// coding: a proxy that compresses sets them, while the store compares the ETag without them.
    pub fn new(tag: &str) -> Self {
        let opaque = tag.strip_prefix("W/").filter(|opaque| opaque.starts_with('"')).unwrap_or(tag);
        let opaque = opaque.trim_matches('"');
        // Proxies that compress mark the ETag by the coding: `"…-gzip"` (Apache), `"…--gzip"` (Jetty), `"…;br"`.
        let unmarked = CODINGS.iter().find_map(|coding| {
            let rest = opaque.strip_suffix(coding)?;
            let rest = rest.strip_suffix("--").or_else(|| rest.strip_suffix(['-', ';']))?;
            (!rest.is_empty()).then_some(rest)
        });
        Self(unmarked.unwrap_or(opaque).into())
    }

    /// The tag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// User metadata of an object: lower-case ASCII names and printable ASCII values, at most 2 KiB in all (S3's limit).
pub type Metadata = BTreeMap<String, String>;

/// What a listing or a head says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The raw key, relative to the lake's root. Any string: a listing never stops at a strange name.
    pub key: String,
    /// The tag of the object's present bytes.
    pub etag: Etag,
    /// Bytes of the object.
    pub size: u64,
    /// When the store took the object's present bytes.
    pub modified: Timestamp,
    /// Whether it can be read.
    pub kind: ObjectKind,
}

/// Whether what a listing names is an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectKind {
    /// An object.
    #[default]
    Object,
    /// In a folder: a FIFO, a socket, a device, a link that leads nowhere or out of the folder, or a link to a folder that is being listed. It is
    /// listed so that it can be reported. Reading it returns [`StoreError::NotFound`], and nothing opens it.
    NotAFile,
}

/// An object's description and the user metadata it was put with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The object.
    pub meta: ObjectMeta,
    /// What it was put with.
    pub metadata: Metadata,
}

/// The answer to a get: bytes and description belong to one state of the object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The object; `meta.size` is the whole object's size, also for a range.
    pub meta: ObjectMeta,
    /// What it was put with.
    pub metadata: Metadata,
    /// The bytes asked for.
    pub bytes: Bytes,
}

/// What must hold of the key for a put to take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// There is no object under the key: `If-None-Match: *`. Of any number of racing creates exactly one wins.
    Create,
    /// Nothing: the last writer wins.
    Replace,
    /// The object under the key has this tag: `If-Match`. A missing object is [`StoreError::NotFound`] or a conflict, never a success.
    Update(Etag),
}

/// A view of a store whose writes expire.
#[derive(Clone, Debug)]
pub struct Fenced {
    /// The same objects. A put, copy or delete through it has no effect once the view has expired: the operation returns
    /// [`StoreError::Expired`]. Reads and listings never expire.
    pub bucket: Arc<dyn Bucket>,
    /// The store's own time, not later than the moment at which the view was made.
    pub store_time: Timestamp,
}

/// The six operations that the product needs of a store, with their preconditions in the signature, and what guards writes against
/// processes that were paused.
///
/// Contract, held by one suite over all implementations:
/// - an object appears whole or not at all, and a reader never sees half of one;
/// - a read that starts after a write has returned sees that write;
/// - after [`StoreError::Unavailable`] a write may or may not have taken effect;
/// - implementations retry what is worth a retry themselves, with back-off and a bound.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// The objects whose key begins with `prefix` and is greater than `start_after`, in byte order of their keys.
    ///
    /// Pages are fetched as the stream is polled. A missing bucket or folder is `Denied`; a prefix without objects is an empty stream.
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>>;

    /// The object's bytes, or those of `range` (clipped at the object's end; a start at or past it is `Invalid`). More than
    /// [`GET_BYTES_MAX`] are `Invalid` as well: the size of an object that another program wrote is not to be trusted.
    /// `Conflict` where the object no longer has the tag `if_match`.
    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError>;

    /// Writes the object whole and gives its new tag. `Conflict` where `mode` does not hold.
    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError>;

    /// Copies within the store, without the bytes passing through here, and gives the copy's tag; an object under `to` is replaced.
    /// `Conflict` where the source no longer has the tag `source_if_match`, `NotFound` where there is none.
    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError>;

    /// Removes the object. One that is not there is a success without `if_match`; with it, `NotFound`, or `Conflict` where the tag
    /// differs. A store that cannot delete on condition (S3's general purpose buckets before 2024, some servers) compares first.
    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError>;

    /// The object's description.
    async fn head(&self, key: &str) -> Result<Head, StoreError>;

    /// A view whose writes expire, by the store's clock: after [`FENCE_LIFETIME`] where the store checks it with each request; in a folder
    /// once another process has swept it, which happens after [`STAGED_AGE_MAX`]. A store that can do neither returns a view that never
    /// expires.
    ///
    /// Made before checks whose result a write relies on: a process that is paused between the checks and the write then writes nothing.
    async fn fenced(&self) -> Result<Fenced, StoreError>;

    /// Removes what writers that died have left and no key names (staged files, parts of uploads), if it is older than [`STAGED_AGE_MAX`] by
    /// the store's clock, and returns how much was removed. Writes through a view that was swept have no effect afterwards.
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// The store and the place in it: equal texts mean the same objects. Without credentials.
    fn identity(&self) -> String;
}

/// The time after which a fenced write has no effect on a store that checks it: long enough for a request and its retries, short enough that
/// a writer that was suspended is refused.
pub const FENCE_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// The age after which staged bytes belong to a writer that died or was suspended: staging and publishing take minutes.
pub const STAGED_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The most bytes that one get returns. Data files, the largest objects that are read whole, have some 50 bytes per row: 20 million users.
pub const GET_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Refuses to read more than [`GET_BYTES_MAX`] bytes.
pub(crate) fn require_readable(key: &str, bytes: u64) -> Result<(), StoreError> {
    if bytes <= GET_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::Invalid {
        key: key.to_owned(),
        reason: format!("the object is too large to be read: {bytes} bytes; remove it if it is not an object of the lake"),
    })
}

/// The part of an object's bytes that `range` names, clipped at their end.
pub(crate) fn slice(bytes: &Bytes, range: &Range<u64>, key: &str) -> Result<Bytes, StoreError> {
    let range = clip(range, u64::try_from(bytes.len()).unwrap_or(u64::MAX), key)?;
    let at = |offset| usize::try_from(offset).expect("a clipped offset is within bytes in memory");
    Ok(bytes.slice(at(range.start)..at(range.end)))
}

/// A range within an object of `size` bytes; `Invalid` where nothing of it is.
pub(crate) fn clip(range: &Range<u64>, size: u64, key: &str) -> Result<Range<u64>, StoreError> {
    let end = range.end.min(size);
    if range.start >= end {
        let reason = format!(
            "the range {}..{} is empty or begins past the object's {size} bytes",
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
    fn etags_are_read_without_quotes_and_marks() {
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
