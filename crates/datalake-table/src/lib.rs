//! datalake-table.
