//! Reads files that their owners may be writing.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    thread,
    time::Duration,
};

use bytes::Bytes;
use datalake_core::keys;

use super::{beneath, errors::store_error, etags};
use crate::{
    bucket::{ObjectMeta, require_readable},
    error::StoreError,
};

/// How often a file that changes during the read is read again.
const READ_ATTEMPTS_MAX: u32 = 8;

/// The time between two checks of a source that its owner may still be writing: programs that copy a file write at least every few
/// milliseconds.
const WRITER_PAUSE: Duration = Duration::from_millis(200);

/// The description of an object, whose path is resolved within the lake.
pub(super) fn describe_within(root: &Path, key: &str) -> Result<ObjectMeta, StoreError> {
    let missing = || StoreError::NotFound { key: key.to_owned() };
    match beneath::describe(root, Path::new(key)) {
        Ok(metadata) => etags::object_meta(key.to_owned(), &metadata).ok_or_else(missing),
        Err(error) => Err(store_error(key, error)),
    }
}

/// The description of an object by the path of its file.
pub(super) fn describe(path: &Path, key: &str) -> Result<ObjectMeta, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| store_error(key, error))?;
    etags::object_meta(key.to_owned(), &metadata).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })
}

/// Reads a file so that all bytes belong to the same state, although owners edit sources in place. `choose` gets the file's description and
/// returns the range to read. A source that changes during the read is [`StoreError::Conflict`].
pub(super) fn read_stable(
    root: &Path,
    key: &str,
    choose: impl Fn(&ObjectMeta) -> Result<Option<Range<u64>>, StoreError>,
) -> Result<(ObjectMeta, Bytes), StoreError> {
    let missing = || StoreError::NotFound { key: key.to_owned() };
    let failed = |error| store_error(key, error);
    for _ in 0..READ_ATTEMPTS_MAX {
        let mut file = beneath::open(root, key).map_err(failed)?;
        let meta = etags::object_meta(key.to_owned(), &file.metadata().map_err(failed)?).ok_or_else(missing)?;
        let range = choose(&meta)?.unwrap_or(0..meta.size);
        let length = range.end - range.start;
        require_readable(key, length)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        }
        Read::by_ref(&mut file).take(length).read_to_end(&mut bytes).map_err(failed)?;
        let is_whole = u64::try_from(bytes.len()) == Ok(length);
        let described = file.metadata().map_err(failed)?;
        if !is_whole || etags::etag_of(key, &described) != meta.etag {
            continue;
        }
        if keys::may_be_source(key) && etags::may_be_written(&described) {
            thread::sleep(WRITER_PAUSE);
            if etags::etag_of(key, &file.metadata().map_err(failed)?) != meta.etag {
                break;
            }
        }
        return Ok((meta, bytes.into()));
    }
    if keys::may_be_source(key) {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    Err(StoreError::Unavailable {
        key: key.to_owned(),
        reason: format!("cannot read {key}: the file changes while it is read"),
        attempts: READ_ATTEMPTS_MAX,
        cause: None,
    })
}
