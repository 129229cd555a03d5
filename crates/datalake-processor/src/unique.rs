//! Unique names, for intents and for the check of the store.

use datalake_store::simulation;
use uuid::Uuid;

/// A UUID that sorts by time.
#[expect(clippy::disallowed_methods, reason = "the only place in this crate that generates names")]
pub(crate) fn unique() -> String {
    simulation::next_unique().map_or_else(Uuid::now_v7, Uuid::from_u128).to_string()
}
