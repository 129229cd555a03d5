//! datalake-processor.
