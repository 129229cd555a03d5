//! One row of the table: a user's record and the versions of the sources that it was read from.

use jiff::Timestamp;

use crate::{
    run::RunId,
    user::{BirthTimestamp, UserId, UserRecord},
};

/// The version of the source object that a value was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The ETag of the bytes that were read, without quotes.
    pub etag: Box<str>,
    /// The size of the object in bytes.
    pub size: u64,
    /// When the store received the object.
    pub modified: Timestamp,
}

impl Provenance {
    /// Whether the ETag and size of a listing are those of the bytes that were read.
    pub fn matches(&self, etag: &str, size: u64) -> bool {
        *self.etag == *etag && self.size == size
    }
}

/// A row of the table. `img_path` is not a field: it follows from the user ID and from whether an image is linked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The user.
    pub user_id: UserId,
    /// The values of the last valid CSV.
    pub record: UserRecord,
    /// The CSV that `record` was read from.
    pub csv: Provenance,
    /// The linked image, which is copied; none if the user has never had a valid one or it was removed.
    pub image: Option<Provenance>,
    /// The last run that changed the row.
    pub run_id: RunId,
}

impl Row {
    /// Whether readers see the same in both rows: the same values, and an image or none in both. Provenance is not compared.
    pub fn is_visibly_equal(&self, other: &Self) -> bool {
        self.user_id == other.user_id && self.record == other.record && self.image.is_some() == other.image.is_some()
    }
}

/// The values of a row that readers see, borrowed from the packed columns or a row in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView<'a> {
    /// The user.
    pub user_id: &'a str,
    /// As in the source.
    pub first_name: &'a str,
    /// As in the source.
    pub last_name: &'a str,
    /// The birth time.
    pub birth: BirthTimestamp,
    /// Whether an image is linked; its key is [`crate::keys::image`] of the user ID.
    pub has_image: bool,
}
