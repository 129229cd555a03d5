//! A row as the table holds it: without an age, which is of a day and not of a version.

use datalake_core::{
    keys,
    row::{Row, RowView},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A user's row as a version of the table holds it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredRow)]
pub struct StoredRowDocument<'a> {
    /// Names the user; text, also where it looks like a number.
    #[schema(example = "1000")]
    pub user_id: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    /// When the user was born, in milliseconds since 1970-01-01 UTC.
    #[schema(example = 334_540_800_000_i64)]
    pub birthts: i64,
    /// Where in the lake the user's picture lies; null where there is none.
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
