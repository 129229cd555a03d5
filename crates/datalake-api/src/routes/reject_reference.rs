//! The address of the page about the codes of rejected, ignored and normalized sources.

/// The page about all codes.
pub const PAGE: &str = "/docs/rejects";

/// The section about a code.
pub fn address(code: &str) -> String {
    format!("{PAGE}#{code}")
}
