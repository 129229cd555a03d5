//! The executable as its users meet it, and the rules that the workspace keeps.

mod demo;
mod readme;
mod server;
mod workspace;
