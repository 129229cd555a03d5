//! Short digests that name texts and versions. They are the same on every replica.

use datalake_table::delta::version::Version;
use sha2::{Digest, Sha256};

/// The first 64 bits of the SHA-256 in hexadecimal digits.
pub fn text_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

/// Identifies a version of a table. The number alone does not: after a rollback, or in a table that replaced another, another version has
/// it.
pub fn version_digest(version: &Version) -> String {
    text_digest(&format!("{}\n{}", version.table_id(), version.digest()))
}
