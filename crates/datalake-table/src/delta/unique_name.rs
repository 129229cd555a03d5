//! Names that nobody else gives: of a data file, of a commit's writer, of a table.

use datalake_store::simulation;
use uuid::Uuid;

/// A name that sorts by time and that no two callers on earth get.
#[expect(clippy::disallowed_methods, reason = "this is the place that owns fresh names")]
pub(crate) fn unique() -> String {
    simulation::next_unique().map_or_else(Uuid::now_v7, Uuid::from_u128).to_string()
}
