//! The API through its router, over lakes in memory.

mod data;
mod fixture;
mod problems;
mod runs;
mod server;
