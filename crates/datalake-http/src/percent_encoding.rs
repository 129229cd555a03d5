//! Percent-encoding of URIs (RFC 3986, section 2.1).

/// The first percent sign that is not followed by two hexadecimal digits, with up to two characters after it. `None` if there is none.
pub fn malformed_encoding(text: &str) -> Option<&str> {
    let is_malformed = |at: &usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut signs = text.match_indices('%').map(|(at, _)| at);
    let escape = text.get(signs.find(is_malformed)?..)?;
    let end = escape.char_indices().nth(3).map_or(escape.len(), |(end, _)| end);
    escape.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_encoding(text: &str, expected: Option<&str>) {
        assert_eq!(malformed_encoding(text), expected, "{text}");
    }

    #[test]
    fn first_malformed_encoding_is_returned() {
        check_encoding("", None);
        check_encoding("a%20%C3%bc", None);
        check_encoding("%", Some("%"));
        check_encoding("a%f", Some("%f"));
        check_encoding("%zz%", Some("%zz"));
        check_encoding("%20%é1x", Some("%é1"));
        check_encoding("%%41", Some("%%4"));
    }
}
