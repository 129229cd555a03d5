//! Tests only: see `tests/`. Nothing links this crate.
