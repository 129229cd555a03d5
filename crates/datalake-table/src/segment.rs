//! Stub.
use std::{collections::BTreeMap, sync::Arc}; use datalake_core::{row::Row, user::UserId}; use datalake_store::bucket::Bucket; use crate::{error::TableError, table::KnownRow, version::{SegmentFile, Version}};
pub(crate) fn clusters(s: &[Arc<SegmentFile>]) -> impl Iterator<Item = &[Arc<SegmentFile>]> { s.chunks(1) }
pub(crate) async fn known(_: Arc<dyn Bucket>, _: Vec<Arc<SegmentFile>>) -> Result<Vec<KnownRow>, TableError> { Err(TableError::unsupported("not built yet")) }
pub(crate) async fn rows_of(_: &Arc<dyn Bucket>, _: &Version, _: &[UserId]) -> Result<BTreeMap<UserId, Row>, TableError> { Err(TableError::unsupported("not built yet")) }
pub(crate) async fn columns(_: &Arc<dyn Bucket>, _: &SegmentFile) -> Result<crate::columns::SegmentRows, TableError> { Err(TableError::unsupported("not built yet")) }
