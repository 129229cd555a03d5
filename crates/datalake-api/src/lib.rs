//! datalake-api.
