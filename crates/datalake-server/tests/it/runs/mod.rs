//! `POST /data` and `/runs`, with shell scripts as the processor and reports in memory.

#![expect(clippy::unwrap_used, reason = "the fixture is part of the tests")]

mod blocked;
mod idempotency;
mod join;
mod list;
mod start;
mod stop;
