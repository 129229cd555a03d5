//! Names that no other process gives: of a note, of a check of the store.

use datalake_store::simulation;
use uuid::Uuid;

/// A name that sorts by time and that no two callers on earth get.
#[expect(clippy::disallowed_methods, reason = "this is the place that owns fresh names")]
pub(crate) fn unique() -> String {
    simulation::next_unique().map_or_else(Uuid::now_v7, Uuid::from_u128).to_string()
}
