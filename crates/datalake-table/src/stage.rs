//! Stub.
use std::sync::Arc; use datalake_store::bucket::Bucket; use crate::{error::TableError, table::{Edit, TableSettings}, version::Version};
/// Segments that are written and not yet committed.
#[derive(Debug)]
pub struct Staged;
pub(crate) async fn stage(_: &Arc<dyn Bucket>, _: TableSettings, _: Option<&Version>, _: Vec<Edit>) -> Result<Staged, TableError> { Err(TableError::unsupported("not built yet")) }
