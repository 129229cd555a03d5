//! Keys that are no text.

use std::fmt::Write;

/// The bytes of a key as text. Bytes that are not UTF-8 are written `%E9`, so that two such keys do not become one; and as no user id
/// holds a `%`, neither becomes a user's source.
pub(crate) fn key_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "%{byte:02X}").expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(key_text(bytes), expected);
    }

    #[test]
    fn spellings() {
        check(b"", "");
        check("é.csv".as_bytes(), "é.csv");
        check(b"caf\xE9.csv", "caf%E9.csv");
        check(b"caf\xE8.csv", "caf%E8.csv");
        check(b"\xFF\xFEa", "%FF%FEa");
        check(b"\xE2\x82", "%E2%82");
    }
}
