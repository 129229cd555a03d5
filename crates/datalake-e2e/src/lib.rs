//! Tests of the product as users run it: the executable, browsers, Docker Compose, Kubernetes, and runs that are killed or paused.
//!
//! All of them are in `tests/`. Features select those that need a browser, an engine, a cluster or an S3 server; each takes its address from the
//! environment. It must never be a dependency of another crate, or depend on the internals of one.
