//! Keys that are not UTF-8, as text.

use std::fmt::Write;

/// The bytes of a key as text. Bytes that are not UTF-8 are percent-encoded (`%E9`), so different keys stay different. No user ID
/// contains `%`, so no such key is a user's source.
pub(crate) fn key_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "%{byte:02X}").expect("writing to a string cannot fail");
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
    fn bytes_that_are_not_utf8_are_percent_encoded() {
        check(b"", "");
        check("é.csv".as_bytes(), "é.csv");
        check(b"caf\xE9.csv", "caf%E9.csv");
        check(b"caf\xE8.csv", "caf%E8.csv");
        check(b"\xFF\xFEa", "%FF%FEa");
        check(b"\xE2\x82", "%E2%82");
    }
}
