//! Stub.
use std::sync::Arc; use datalake_core::reject::OpenRefusal; use datalake_store::bucket::Bucket; use crate::{error::TableError, version::Version};
pub(crate) async fn read(_: &Arc<dyn Bucket>, _: &Version) -> Result<Vec<OpenRefusal>, TableError> { Err(TableError::unsupported("not built yet")) }
