//! A user's row as a JSON document.

use datalake_core::{
    keys,
    row::{Row, RowView},
    user::{Age, Day, age_on},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A user's row as a version of the table stores it. It has no age, which depends on a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredRow)]
pub struct StoredRowDocument<'a> {
    /// The user's ID; a string, even if it looks like a number.
    #[schema(example = "1000")]
    pub user_id: &'a str,
    /// The user's first name.
    pub first_name: &'a str,
    /// The user's last name.
    pub last_name: &'a str,
    /// The time of birth in milliseconds since 1970-01-01 UTC.
    #[schema(example = 334_540_800_000_i64)]
    pub birthts: i64,
    /// The key of the user's image in the lake; null without an image.
    #[schema(required)]
    pub img_path: Option<String>,
}

impl<'a> From<RowView<'a>> for StoredRowDocument<'a> {
    fn from(row: RowView<'a>) -> Self {
        Self {
            user_id: row.user_id,
            first_name: row.first_name,
            last_name: row.last_name,
            birthts: row.birth.as_ms(),
            img_path: row.has_image.then(|| keys::image(row.user_id)),
        }
    }
}

impl<'a> From<&'a Row> for StoredRowDocument<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            user_id: row.user_id.as_str(),
            first_name: &row.record.first_name,
            last_name: &row.record.last_name,
            birthts: row.record.birth.as_ms(),
            img_path: row.image.is_some().then(|| keys::image(row.user_id.as_str())),
        }
    }
}

/// A user's row, with the age on the requested day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(crate) struct RowDocument<'a> {
    #[serde(flatten)]
    stored: StoredRowDocument<'a>,
    /// Completed years on the requested day; null for a user born after it.
    #[schema(required)]
    age: Option<u16>,
}

impl<'a> RowDocument<'a> {
    pub(crate) fn new(row: RowView<'a>, on: Day) -> Self {
        Self {
            stored: StoredRowDocument::from(row),
            age: age_on(row.birth.day(), on).map(Age::years),
        }
    }
}
