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

/// Whether a path or a query cannot contain the byte, although some clients send it unencoded.
pub(crate) fn is_forbidden(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

/// Percent-encodes the bytes that a query cannot contain. Percent signs are kept, so the text may be encoded already.
pub fn encode_query(text: &str) -> String {
    let encode = |byte: u8| match is_forbidden(byte) || byte <= b' ' || matches!(byte, b'#' | 0x7f) {
        true => percent_encoding::percent_encode_byte(byte).to_owned(),
        false => char::from(byte).to_string(),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_of_a_command_line_is_encoded() {
        assert_eq!(
            encode_query("last_name=de la Cruz&age>=30#"),
            "last_name=de%20la%20Cruz&age%3E=30%23"
        );
        assert_eq!(encode_query("first_name=\u{17b}aneta"), "first_name=%C5%BBaneta");
        assert_eq!(encode_query("a=100%25&b=+"), "a=100%25&b=+");
    }

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
