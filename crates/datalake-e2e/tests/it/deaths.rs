//! Real processes that die or are paused at every request or system call, networks that fail, and derived objects that are damaged.
//!
//! The tests run the executable as it is and check what the contract promises afterwards. Those under `s3` need a server that
//! `DATALAKE_TEST_S3_ENDPOINT` names, and its key as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. A sample of the boundaries is tested
//! unless `DATALAKE_DEATHS` is `all`, `1/4` (every fourth boundary) or `17` (that one boundary); `DATALAKE_DEATHS_ROUNDS` and
//! `DATALAKE_DEATHS_SEED` are for the tests with random numbers.

#![expect(clippy::print_stdout, reason = "each test reports how much it has tested")]

mod check;
mod crowd;
mod folder;
mod http;
mod lake;
mod long_pauses;
mod moved_clock;
mod process;
mod proxy;
mod s3;
mod s3_client;
mod scenario;
mod settings;
mod tracer;
