//! Unique names: of a write, a staged file, a data file, a commit, an intent.

use uuid::Uuid;

use crate::simulation;

/// A UUID of version 7, which sorts by time. A simulation determines it.
#[expect(clippy::disallowed_methods, reason = "this is the only function that makes unique names")]
pub fn unique_name() -> Uuid {
    simulation::next_unique().map_or_else(Uuid::now_v7, Uuid::from_u128)
}
