//! datalake-e2e.
