//! One row of the table: a user's record and where each of its values came from.

use jiff::Timestamp;

use crate::{
    report::RunId,
    user::{BirthTimestamp, UserId, UserRecord},
};

/// Which state of a source object a value was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The store's tag of the bytes that were read, without quotes.
    pub etag: Box<str>,
    /// Bytes of the object.
    pub size: u64,
    /// When the store took the object.
    pub modified: Timestamp,
}

impl Provenance {
    /// Whether a listing's tag and size name the bytes that were read.
    pub fn matches(&self, etag: &str, size: u64) -> bool {
        *self.etag == *etag && self.size == size
    }
}

/// A row of the table. `img_path` is not a field: it follows from the id and from whether there is a picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whose row it is.
    pub user_id: UserId,
    /// What the CSV said when it was last good.
    pub record: UserRecord,
    /// The CSV that `record` was read from.
    pub csv: Provenance,
    /// The picture that is linked and copied; none where there is no good one.
    pub image: Option<Provenance>,
    /// The run that changed the row last.
    pub run_id: RunId,
}

impl Row {
    /// Whether a reader could tell the two apart: by a value, or by the picture's being there. Provenance does not count.
    pub fn is_visibly_equal(&self, other: &Self) -> bool {
        self.user_id == other.user_id && self.record == other.record && self.image.is_some() == other.image.is_some()
    }
}

/// What readers are shown of a row, borrowed from wherever it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView<'a> {
    /// Whose row it is.
    pub user_id: &'a str,
    /// As the source says.
    pub first_name: &'a str,
    /// As the source says.
    pub last_name: &'a str,
    /// When the user was born.
    pub birth: BirthTimestamp,
    /// Whether a picture is linked; its key is [`crate::keys::image`] of the id.
    pub has_image: bool,
}
