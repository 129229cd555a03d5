//! ETags of files.
//!
//! An ETag consists of the file's inode, size and modification time in ns. That is enough for files that this store writes, because it
//! makes each modification time unique. For other files, all three can be those of an earlier file: `tar`, `rsync -a` and `cp -p` set the
//! modification time, and a file system gives a freed inode to the next file. Only the system sets the change time, so ETags of
//! sources contain it as well.
//!
//! A link, a rename and a change of the mode also set the change time. The source then counts as changed, and is read again.

use std::{
    fs::{File, Metadata as FileMetadata},
    io,
    time::{Duration, SystemTime},
};

use datalake_core::keys;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    bucket::{Etag, ObjectKind, ObjectMeta},
    error::StoreError,
};

/// The description of an object's file. None for a folder or a device.
pub(super) fn object_meta(key: String, file: &FileMetadata) -> Option<ObjectMeta> {
    file.is_file().then(|| ObjectMeta {
        etag: etag_of(&key, file),
        size: file.len(),
        modified: modified(file),
        kind: ObjectKind::Object,
        key,
    })
}

/// The description of something that is not a file, for a listing.
pub(super) fn other_meta(key: String, found: &FileMetadata) -> ObjectMeta {
    ObjectMeta {
        etag: etag_of(&key, found),
        size: 0,
        modified: modified(found),
        kind: ObjectKind::NotAFile,
        key,
    }
}

/// Fails if the object does not have the ETag that a condition requires.
pub(super) fn require(meta: &ObjectMeta, if_match: Option<&Etag>) -> Result<(), StoreError> {
    match if_match {
        Some(etag) if *etag != meta.etag => Err(StoreError::Conflict { key: meta.key.clone() }),
        _ => Ok(()),
    }
}

/// The ETag of a file as the object of this key.
pub(super) fn etag_of(key: &str, file: &FileMetadata) -> Etag {
    named(key, &content_name(file), file)
}

/// The ETag of a file that was described when it was written, and has been linked or renamed since.
pub(super) fn etag_of_written(key: &str, written: &FileMetadata, now: &FileMetadata) -> Etag {
    // If the owner has already edited the file, this ETag belongs to neither state, so the edit is detected.
    named(key, &content_name(written), now)
}

fn named(key: &str, content: &str, now: &FileMetadata) -> Etag {
    match keys::may_be_source(key) {
        true => Etag::new(&format!("{content}-{}", change_name(now))),
        false => Etag::new(content),
    }
}

/// The part of an ETag that does not change when the file gets its name. It names the side file with the metadata.
pub(super) fn content_part(etag: &Etag) -> &str {
    let end = etag.as_str().match_indices('-').nth(CONTENT_PARTS - 1).map(|(at, _)| at);
    &etag.as_str()[..end.unwrap_or(etag.as_str().len())]
}

const CONTENT_PARTS: usize = 3;

fn content_name(file: &FileMetadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{:x}-{:x}-{:x}.{:x}", file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}

fn change_name(file: &FileMetadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{:x}.{:x}", file.ctime(), file.ctime_nsec())
}

/// Whether the file's owner may still be writing it in place: it was written in the last seconds, and was not renamed or linked since, as a
/// file is that is written under another name. False if the clocks of this machine and of the file system differ.
pub(super) fn may_be_written(file: &FileMetadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    /// A copy that has not written for so long has ended.
    const YOUNG: Duration = Duration::from_secs(2);
    let was_written_last = (file.mtime(), file.mtime_nsec()) == (file.ctime(), file.ctime_nsec());
    let age = file.modified().ok().and_then(|time| time.elapsed().ok());
    was_written_last && age.is_some_and(|age| age < YOUNG)
}

fn modified(file: &FileMetadata) -> Timestamp {
    let modified = file.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    modified.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Changes the file's modification time within its millisecond. A file system gives a freed inode to the next file, and its clock may not
/// advance for milliseconds. Without the change, two states of an object could have the same ETag, and an update could overwrite a state
/// that its writer never read.
pub(super) fn make_unique(file: &File, id: Uuid) -> io::Result<()> {
    const MILLISECOND_NS: u32 = 1_000_000;
    let modified = file.metadata()?.modified()?;
    let Ok(since_epoch) = modified.duration_since(SystemTime::UNIX_EPOCH) else {
        return Ok(());
    };
    let within = u32::try_from(id.as_u128() % u128::from(MILLISECOND_NS)).expect("a remainder is less than its divisor");
    let whole_milliseconds_ns = since_epoch.subsec_nanos() / MILLISECOND_NS * MILLISECOND_NS;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(since_epoch.as_secs(), whole_milliseconds_ns + within))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_recent_file_that_was_written_in_place_may_be_written() {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let path = folder.path().join("1.csv");
        fs::write(&path, "x").expect("the file can be written");
        let described = |path: &std::path::Path| fs::metadata(path).expect("the file is there");
        assert!(may_be_written(&described(&path)));
        let file = File::options().write(true).open(&path).expect("the file can be opened");
        // `cp -p` and `rsync` set the time when the copy is complete.
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .expect("the time can be set");
        assert!(!may_be_written(&described(&path)));
    }
}
