//! Stub.
use bytes::Bytes; use crate::{actions::Action, error::TableError};
pub(crate) fn decode(_: &str, _: Bytes) -> Result<Vec<Action>, TableError> { Err(TableError::unsupported("not built yet")) }
