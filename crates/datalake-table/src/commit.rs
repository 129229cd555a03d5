//! Stub.
use datalake_core::reject::OpenRefusal; use crate::{error::{TableError, CommitError}, stage::Staged, table::{CommitDetails, Table}, version::Version};
pub(crate) async fn commit(_: &Table, _: Option<&Version>, _: Staged, _: &[OpenRefusal], _: &CommitDetails) -> Result<Version, CommitError> { Err(CommitError::Table(TableError::unsupported("not built yet"))) }
