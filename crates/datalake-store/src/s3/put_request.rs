//! A put as it is sent, in one request or in parts.

use bytes::Bytes;

use crate::bucket::Metadata;

/// The name of the writer ID in an object's metadata. If the response to a write is lost, the SDK sends the write again, and the store rejects
/// it because of its condition. The ID shows that the stored object is the one of the first attempt.
pub(super) const WRITER_METADATA: &str = "datalake-writer";

/// A put with its conditions as headers.
#[derive(Debug)]
pub(super) struct PutRequest<'a> {
    pub(super) key: &'a str,
    pub(super) bytes: Bytes,
    pub(super) if_none_match: Option<String>,
    pub(super) if_match: Option<String>,
    pub(super) metadata: Metadata,
}
