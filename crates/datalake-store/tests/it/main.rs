//! Every store against the one contract.

mod folder;
#[cfg(unix)]
mod folder_names;
mod memory;
mod s3;
