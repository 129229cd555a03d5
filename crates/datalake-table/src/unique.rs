//! Names that nobody else gives: of a data file, of a commit's writer, of a table.

use uuid::Uuid;

/// A name that sorts by time and that no two callers on earth get.
#[expect(clippy::disallowed_methods, reason = "this is the place that owns fresh names")]
pub(crate) fn unique() -> String {
    Uuid::now_v7().to_string()
}
