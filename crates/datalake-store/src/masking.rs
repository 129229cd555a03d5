//! Values of settings for messages: without credentials, in one line.

use std::borrow::Cow;

/// The forms of an `@` in a URL: plain, percent-encoded, and encoded twice.
const AT_SIGNS: [&str; 3] = ["@", "%40", "%2540"];

/// The value without possible credentials: the part before an `@` in an address, the part after a colon that is not a port, and a query.
/// Control characters are escaped, so that a line break is visible.
pub fn mask(value: &str) -> String {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), value),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) if !scheme.is_empty() => (rest, "?…"),
        _ => (rest, ""),
    };
    let rest = without_user(&scheme, rest);
    let mut masked = String::with_capacity(value.len());
    for character in format!("{scheme}{rest}{query}").chars() {
        match character.is_control() {
            true => masked.extend(character.escape_default()),
            false => masked.push(character),
        }
    }
    masked
}

/// Whether the value contains a part that [`mask`] removes.
pub(crate) fn has_secret(value: &str) -> bool {
    mask(value).contains('…') && !value.contains('…')
}

fn without_user<'a>(scheme: &str, rest: &'a str) -> Cow<'a, str> {
    let authority = rest.split('/').next().unwrap_or_default();
    let is_path = match scheme.is_empty() {
        true => rest.starts_with(['.', '/']) || !rest.contains(':'),
        false => false,
    };
    let port = match authority.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => None,
    };
    // A bucket has no port, so the part before the colon is an access key.
    let is_s3_with_key = scheme.eq_ignore_ascii_case("s3://") && authority.contains(':');
    match (end_of_user(rest), port) {
        _ if is_path => rest.into(),
        // A password may contain a slash.
        (Some(end), _) if end_of_user(authority).is_some() || port.is_some() || is_s3_with_key => format!("…@{}", &rest[end..]).into(),
        (_, Some(host)) if !scheme.is_empty() => format!("{host}:…").into(),
        _ => rest.into(),
    }
}

/// The end of the last `@`.
fn end_of_user(text: &str) -> Option<usize> {
    AT_SIGNS.iter().filter_map(|sign| Some(text.rfind(sign)? + sign.len())).max()
}

/// The text without the credentials of the URLs in it: messages of libraries may repeat a URL.
pub fn mask_urls_in(text: &str) -> String {
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '/'));
        let authority = &part[..end.unwrap_or(part.len())];
        masked.push_str("://");
        match end_of_user(authority) {
            Some(at) => {
                masked.push_str("…@");
                masked.push_str(&part[at..]);
            }
            None => masked.push_str(part),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(mask(value), expected);
    }

    #[test]
    fn credentials_are_masked() {
        check("s3://key:secret@bucket/a", "s3://…@bucket/a");
        check("s3://key:sec/r@et@bucket", "s3://…@bucket");
        check("s3://key%3Asecret%40bucket", "s3://…@bucket");
        check("s3://key%253Asecret%2540bucket", "s3://…@bucket");
        check("key:secret@bucket", "…@bucket");
        check("s3:key:secret@bucket", "…@bucket");
        check("s3://key:secret", "s3://key:…");
        check("s3://key:123/abc@bucket", "s3://…@bucket");
        check("s3://key:sec/ret", "s3://key:…");
        check("https://h/b?X-Amz-Signature=secret", "https://h/b?…");
    }

    #[test]
    fn values_without_credentials_are_unchanged() {
        check("s3://bucket/prefix", "s3://bucket/prefix");
        check("http://localhost:9000", "http://localhost:9000");
        check("http://[::1]:9000", "http://[::1]:9000");
        check("s3://bucket/me@home", "s3://bucket/me@home");
        check("file:///me@home", "file:///me@home");
        check("./me:1@home?", "./me:1@home?");
        check("admin\n", "admin\\n");
        assert!(!has_secret("http://localhost:9000") && has_secret("http://a:b@c"));
    }

    #[test]
    fn credentials_of_urls_in_a_message_are_masked() {
        assert_eq!(
            mask_urls_in("cannot reach `http://me:secret@h:1/x` or http://h2/@a"),
            "cannot reach `http://…@h:1/x` or http://h2/@a"
        );
    }
}
