//! A run, from the outside: sources in, table, CSV, pictures and report out.

mod edits;
mod faults;
mod histories;
mod lake;
mod rules;
