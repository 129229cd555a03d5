//! What is on disk: the log of a Delta Lake table, its checkpoints and its data files.

mod actions;
mod checkpoint;
pub mod commit;
pub(crate) mod data_file;
pub mod history;
pub mod log;
pub(crate) mod parquet_rows;
pub(crate) mod parquet_writer;
pub(crate) mod rejects_file;
mod replay;
mod retention;
pub(crate) mod schema;
mod shred;
pub mod stage;
mod unique_name;
pub mod vacuum;
pub mod version;
