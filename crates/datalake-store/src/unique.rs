//! Unique names: of a write, of a staged file.

use uuid::Uuid;

/// A UUID of version 7, which sorts by time.
#[expect(clippy::disallowed_methods, reason = "this is the only place that makes unique names")]
pub(crate) fn unique() -> Uuid {
    Uuid::now_v7()
}
