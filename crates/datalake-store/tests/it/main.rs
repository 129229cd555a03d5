//! Every store against the one contract.

mod folder;
mod memory;
mod s3;
