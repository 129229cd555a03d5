//! Tests of the documentation against the command line.

mod configuration_page;
mod quoted_commands;
mod troubleshooting;
