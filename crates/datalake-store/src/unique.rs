//! Names that nobody else gives: of a write, of a file that is not finished.

use uuid::Uuid;

/// A name that sorts by time and that no two callers on earth get.
#[expect(clippy::disallowed_methods, reason = "this is the place that owns fresh names")]
pub(crate) fn unique() -> Uuid {
    Uuid::now_v7()
}
