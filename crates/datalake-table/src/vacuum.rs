//! Stub.
use std::sync::Arc; use datalake_store::bucket::Bucket; use jiff::Timestamp; use crate::error::TableError;
/// What a vacuum removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumSummary { /// Data files.
 pub segments_removed: u64, /// Files of refusals.
 pub refusals_removed: u64, /// Bytes of both.
 pub bytes_removed: u64 }
pub(crate) async fn vacuum(_: &Arc<dyn Bucket>, _: Timestamp) -> Result<VacuumSummary, TableError> { Err(TableError::unsupported("not built yet")) }
