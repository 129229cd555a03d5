//! What is on disk: the log of a Delta Lake table, its checkpoints, its data files and its rejects files.
//!
//! `log` reads the objects of the log, `replay` turns their actions into a state, `load` loads versions, `stage` writes data files, `commit`
//! creates the next log entry, and `vacuum` removes what has expired. `actions` and `schema` follow the protocol document,
//! `delta-io/delta`: `PROTOCOL.md`. Nothing here depends on `memory/`.
//!
//! The crate `delta_kernel` is not used. It has snapshots, log replay, checkpoints and transactions, but it requires arrow and an
//! implementation of its engine trait, which would be a second Parquet stack beside polars. This product also commits through
//! [`datalake_store::bucket::Bucket`] with conditions that expire, and records rejected sources in `metaData`; both are outside the kernel's
//! interface. It is worth another look if the product moves from polars to arrow.

mod actions;
mod checkpoint;
pub mod commit;
pub mod commit_attempt;
pub mod data_file;
pub(crate) mod data_file_reader;
pub(crate) mod decode;
pub mod edit;
pub mod history;
mod id_bounds;
pub mod load;
pub(crate) mod log;
pub(crate) mod parquet_columns;
pub(crate) mod parquet_rows;
pub(crate) mod parquet_writer;
pub mod recorded_sources;
pub(crate) mod rejects_file;
mod replay;
mod retention;
pub(crate) mod schema;
mod shred;
pub mod stage;
pub mod vacuum;
pub mod version;
