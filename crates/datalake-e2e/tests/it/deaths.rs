//! Real processes that are killed or paused at every request or system call, networks that fail, and derived objects that are damaged.
//!
//! The tests run the unmodified executable and then check the guarantees of the contract. Those under `s3` need a server that
//! `DATALAKE_TEST_S3_ENDPOINT` names, and its credentials as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. A sample of the boundaries is tested
//! unless `DATALAKE_DEATHS` is `all`, `1/4` (every fourth boundary) or `17` (that one boundary); `DATALAKE_DEATHS_ROUNDS` and
//! `DATALAKE_DEATHS_SEED` configure the tests with random numbers.

#![expect(clippy::print_stdout, reason = "each test reports how much it has tested")]

mod check;
mod concurrent_runs;
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
