//! Unique names: of a data file, of the writer of a commit, of a table.

use datalake_store::simulation;
use uuid::Uuid;

/// A UUID of version 7, which sorts by time.
#[expect(clippy::disallowed_methods, reason = "this is the only place that makes unique names")]
pub(crate) fn unique() -> String {
    simulation::next_unique().map_or_else(Uuid::now_v7, Uuid::from_u128).to_string()
}
