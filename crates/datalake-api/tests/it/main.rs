//! The API through its router, over a table in memory.

mod data;
mod fixture;
mod problems;
mod runs;
mod server;
