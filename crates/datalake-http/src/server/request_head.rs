//! The head of a request, checked before hyper reads it: hyper answers what it cannot parse with an empty body, and accepts some of what
//! RFC 9112 forbids. A head that passes here is one that hyper accepts.

use std::{borrow::Cow, net::Ipv6Addr};

use axum::http::Uri;
use httparse::{EMPTY_HEADER, Error, Header, Status};

use crate::server::request_error::RequestError;

/// hyper's own bound.
pub(crate) const HEADERS_MAX: usize = 100;

/// How much of the request follows its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Bytes(u64),
    /// Chunks, of which only hyper finds the end.
    Chunks,
}

/// Checks a head, from the first byte of the method to the empty line.
pub(crate) fn check(head: &[u8]) -> Result<Framing, RequestError> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(RequestError::malformed("the head ends before its empty line")),
        Err(error) => return Err(unparsed(head, request.method.is_some(), error)),
    }
    let method = request.method.unwrap_or_default();
    let is_http_10 = request.version == Some(0);
    check_target(method, request.path.unwrap_or_default())?;
    check_host(request.headers, is_http_10)?;
    framing(request.headers, is_http_10)
}

/// Whether bytes that cannot begin a request have come.
pub(crate) fn is_no_http(start: &[u8]) -> bool {
    start.first().is_some_and(|byte| !is_token(*byte))
}

/// Percent-encodes what clients send unencoded in the path and the query although RFC 3986 does not allow it: curl sends `>` and bytes of
/// UTF-8 as they were typed. None where there is nothing to encode.
pub(crate) fn encode_target(head: &[u8]) -> Option<Vec<u8>> {
    let start = head.iter().position(|byte| *byte == b' ')? + 1;
    let target = head.get(start..)?;
    let length = target.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'))?;
    let (target, rest) = target.split_at(length);
    let is_open = |byte: &u8| matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..);
    if target.first() != Some(&b'/') || !target.iter().any(is_open) {
        return None;
    }
    let mut encoded = Vec::with_capacity(head.len() + 64);
    encoded.extend_from_slice(head.get(..start)?);
    for byte in target {
        match is_open(byte) {
            true => encoded.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes()),
            false => encoded.push(*byte),
        }
    }
    encoded.extend_from_slice(rest);
    Some(encoded)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What of the head is no HTTP/1.1.
fn unparsed(head: &[u8], has_method: bool, error: Error) -> RequestError {
    match error {
        Error::TooManyHeaders => RequestError::TooLarge {
            reason: format!("the request has over {HEADERS_MAX} headers; send fewer"),
        },
        Error::Token if !has_method && head.starts_with(b"\x16\x03") => RequestError::malformed(
            "the connection begins with TLS, and this port speaks plain HTTP; use http://, or the port of the proxy that ends TLS",
        ),
        Error::Token if !has_method => RequestError::malformed("the request does not begin with a method, like GET"),
        Error::Token if request_line(head).bytes().any(|byte| byte.is_ascii_control()) => {
            RequestError::malformed("the request target has a control character; percent-encode it")
        }
        Error::Token | Error::Version => without_version(head),
        Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Status => RequestError::malformed(broken_line(head)),
    }
}

/// The request line does not end with `HTTP/1.0` or `HTTP/1.1`.
fn without_version(head: &[u8]) -> RequestError {
    let line = request_line(head);
    let words: Vec<_> = line.split(' ').collect();
    let version = words.last().copied().filter(|word| word.starts_with("HTTP/"));
    match (version, words.len()) {
        (None, _) => RequestError::malformed("the request line has no version; end it with HTTP/1.1"),
        (Some(_), 4..) => RequestError::malformed("the request target has a space; write it as %20"),
        (Some(version), _) if is_version(version) => RequestError::UnsupportedVersion,
        (Some(_), _) => RequestError::malformed("the version of the request line is malformed; end it with HTTP/1.1"),
    }
}

fn request_line(head: &[u8]) -> Cow<'_, str> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))
}

fn is_version(text: &str) -> bool {
    matches!(text.as_bytes(), [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Describes the first line that is not a header.
fn broken_line(head: &[u8]) -> String {
    let lines = head.split(|byte| *byte == b'\n').enumerate().skip(1);
    for (index, line) in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let number = index + 1;
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return format!("line {number} of the head continues a header; write each header in one line");
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return format!("line {number} of the head has no colon; write headers as `Name: value`");
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return format!(
                "line {number} of the head has a malformed header name; write headers as `Name: value`, without a space before the colon"
            );
        }
        let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if !value.iter().all(is_text) {
            let name = String::from_utf8_lossy(name);
            return format!("the header `{name}` has a control character; remove it");
        }
    }
    "the head has a malformed line; end lines with CR LF".to_owned()
}

fn check_target(method: &str, target: &str) -> Result<(), RequestError> {
    if method == "CONNECT" {
        return Err(RequestError::UnsupportedConnect);
    }
    let is_absolute = ["http://", "https://"].iter().any(|scheme| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let is_of_server = target == "*" && method == "OPTIONS";
    if !target.starts_with('/') && !is_absolute && !is_of_server {
        return Err(RequestError::malformed(
            "the request target is no path; send one that begins with a slash, like /data",
        ));
    }
    match Uri::try_from(target) {
        Ok(_) => Ok(()),
        Err(error) => Err(RequestError::malformed(format!(
            "the request target is malformed: {error}; percent-encode what a URI does not allow"
        ))),
    }
}

/// RFC 9112, 3.2: one `Host`, which HTTP/1.0 may leave out.
fn check_host(headers: &[Header<'_>], is_http_10: bool) -> Result<(), RequestError> {
    let mut hosts = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (None, _) if is_http_10 => Ok(()),
        (None, _) => Err(RequestError::malformed(
            "the request has no Host header; send one, which HTTP/1.1 requires",
        )),
        (Some(_), Some(_)) => Err(RequestError::malformed("the request has more than one Host header; send one")),
        (Some(host), None) if is_host(host.value) => Ok(()),
        (Some(_), None) => Err(RequestError::malformed(
            "the Host header is malformed; send a host name or an address, optionally followed by `:PORT`",
        )),
    }
}

/// `uri-host [ ":" port ]` of RFC 3986. The host may be empty.
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
            return address.parse::<Ipv6Addr>().is_ok() && port.is_some_and(is_port);
        }
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
    host.bytes().all(is_of_host) && crate::percent_encoding::malformed_encoding(host).is_none() && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// RFC 9112, 6: what of a length is doubtful is refused, since a proxy in front may read it in another way.
fn framing(headers: &[Header<'_>], is_http_10: bool) -> Result<Framing, RequestError> {
    let of = |name: &'static str| {
        let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
        headers.iter().filter(named).map(|header| String::from_utf8_lossy(header.value))
    };
    let lengths: Vec<_> = of("content-length").collect();
    let codings: Vec<_> = of("transfer-encoding").collect();
    if !codings.is_empty() {
        if is_http_10 {
            return Err(RequestError::malformed(
                "a request of HTTP/1.0 has a Transfer-Encoding header; send Content-Length",
            ));
        }
        if !lengths.is_empty() {
            return Err(RequestError::malformed(
                "the request has both Transfer-Encoding and Content-Length; send one of them",
            ));
        }
        return check_codings(&codings.join(",")).map(|()| Framing::Chunks);
    }
    let mut lengths = lengths.into_iter();
    let Some(first) = lengths.next() else {
        return Ok(Framing::Bytes(0));
    };
    if lengths.any(|other| other != first) {
        return Err(RequestError::malformed(
            "the request has Content-Length headers of different values; send one",
        ));
    }
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    // hyper reserves the two greatest numbers.
    let length = is_number
        .then(|| first.parse().ok())
        .flatten()
        .filter(|length| *length < u64::MAX - 1);
    length
        .map(Framing::Bytes)
        .ok_or_else(|| RequestError::malformed("the Content-Length header is no number of bytes; send one number"))
}

/// `chunked`, once, and nothing else.
fn check_codings(value: &str) -> Result<(), RequestError> {
    let codings: Vec<_> = value.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect();
    match codings.as_slice() {
        [coding] if coding == "chunked" => Ok(()),
        codings if codings.iter().filter(|coding| *coding == "chunked").count() > 1 => Err(RequestError::malformed(
            "Transfer-Encoding has `chunked` more than once; send it once",
        )),
        [.., last] if last == "chunked" => Err(RequestError::UnsupportedTransferCoding),
        codings if codings.iter().any(|coding| coding == "chunked") => Err(RequestError::malformed(
            "Transfer-Encoding does not end with `chunked`; send `chunked` alone",
        )),
        _ => Err(RequestError::UnsupportedTransferCoding),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The status of a refusal, and a part of its message; 0 where the head is accepted.
    #[track_caller]
    fn check_head(head: &[u8], status: u16, words: &str) {
        let text = String::from_utf8_lossy(head).into_owned();
        match check(head) {
            Ok(_) => assert_eq!((0, ""), (status, words), "accepted: {text:?}"),
            Err(error) => {
                assert_eq!(error.status(), status, "{text:?}: {}", error.detail());
                assert!(error.detail().contains(words), "{text:?}: {}", error.detail());
            }
        }
    }

    #[track_caller]
    fn check_line(line: &str, status: u16, words: &str) {
        check_head(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), status, words);
    }

    #[test]
    fn request_lines() {
        check_line("GET / HTTP/1.1", 0, "");
        check_line("GET /data?x=%zz&y=[1] HTTP/1.1", 0, "");
        check_line("get / HTTP/1.1", 0, "");
        check_line("OPTIONS * HTTP/1.1", 0, "");
        check_line("GET http://x/data HTTP/1.1", 0, "");
        check_line("GET HTTPS://x HTTP/1.1", 0, "");
        check_line("G(T / HTTP/1.1", 400, "method");
        check_line("GET /a b HTTP/1.1", 400, "space");
        check_line("GET /\u{1} HTTP/1.1", 400, "control character");
        check_line("GET /", 400, "no version");
        check_line("GET / HTTP/1.x", 400, "version");
        check_line("GET / HTTP/2.0", 505, "HTTP/1.1");
        check_line("PRI * HTTP/2.0", 505, "HTTP/1.1");
        check_line("GET data HTTP/1.1", 400, "begins with a slash");
        check_line("GET * HTTP/1.1", 400, "begins with a slash");
        check_line("GET ftp://x/ HTTP/1.1", 400, "begins with a slash");
        check_line("CONNECT x:80 HTTP/1.1", 501, "proxy");
        check_head(b"\x16\x03\x01\x02", 400, "TLS");
    }

    #[track_caller]
    fn check_headers(headers: &str, status: u16, words: &str) {
        check_head(format!("POST /data HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes(), status, words);
    }

    #[test]
    fn headers() {
        check_headers("Host: x\r\nX-A: b\tc\u{e9}", 0, "");
        check_headers("Host: x\r\nX-A : b", 400, "line 3");
        check_headers("Host: x\r\nX-A", 400, "line 3");
        check_headers("Host: x\r\n folded", 400, "continues");
        check_headers("Host: x\r\nX-A: \u{0}", 400, "`X-A`");
        check_headers(&"Host: x\r\n".repeat(101), 431, "100 headers");
    }

    #[test]
    fn hosts() {
        for host in [
            "x",
            "x:80",
            "x:",
            "",
            "localhost:8080",
            "127.0.0.1",
            "[::1]",
            "[::1]:8080",
            "a_b.example",
            "%41",
        ] {
            check_headers(&format!("Host: {host}"), 0, "");
        }
        for host in [
            "x y", "x/y", "a@b", "x:y", "x:99999", "[::1", "[x]", "[::1]x", "::1", "x?y", "x\"", "%4", "\u{e9}",
        ] {
            check_headers(&format!("Host: {host}"), 400, "Host header is malformed");
        }
        check_headers("Accept: */*", 400, "no Host");
        check_headers("Host: x\r\nHost: x", 400, "more than one Host");
        check_headers("Host: x\r\nhost: y", 400, "more than one Host");
        check_head(b"GET / HTTP/1.0\r\n\r\n", 0, "");
        check_head(b"GET / HTTP/1.0\r\nHost: x y\r\n\r\n", 400, "malformed");
    }

    #[test]
    fn lengths() {
        let framing = |headers: &str| check(format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n").as_bytes());
        assert_eq!(framing("X: y").unwrap(), Framing::Bytes(0));
        assert_eq!(framing("Content-Length: 7").unwrap(), Framing::Bytes(7));
        assert_eq!(framing("Content-Length: 7\r\nContent-Length: 7").unwrap(), Framing::Bytes(7));
        assert_eq!(framing("Transfer-Encoding: Chunked").unwrap(), Framing::Chunks);
        for length in [
            "",
            "x",
            "-1",
            "+1",
            "1.0",
            "0x1",
            "1 2",
            "7, 7",
            "99999999999999999999",
            "18446744073709551615",
        ] {
            check_headers(&format!("Host: x\r\nContent-Length: {length}"), 400, "Content-Length");
        }
        check_headers("Host: x\r\nContent-Length: 1\r\nContent-Length: 2", 400, "different");
        check_headers("Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1", 400, "both");
        check_headers("Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400, "both");
        for (codings, status) in [
            ("chunked, chunked", 400),
            ("chunked\r\nTransfer-Encoding: chunked", 400),
            ("chunked, gzip", 400),
            ("gzip, chunked", 501),
            ("gzip\r\nTransfer-Encoding: chunked", 501),
            ("gzip", 501),
            ("identity", 501),
            ("xchunked", 501),
            ("\"chunked\"", 501),
            ("chunked;q=1", 501),
            ("", 501),
        ] {
            check_headers(&format!("Host: x\r\nTransfer-Encoding: {codings}"), status, "");
        }
        check_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0");
    }

    #[track_caller]
    fn check_encoded(target: &str, expected: Option<&str>) {
        let head = |target: &str| format!("GET {target} HTTP/1.1\r\nX: <>\r\n\r\n").into_bytes();
        assert_eq!(encode_target(&head(target)), expected.map(head), "{target}");
    }

    #[test]
    fn targets_as_they_were_typed() {
        check_encoded("/data?age>=30", Some("/data?age%3E=30"));
        check_encoded("/data?last_name=\"M\u{fc}ller\"", Some("/data?last_name=%22M%C3%BCller%22"));
        check_encoded("/{a}|b\\c^d`", Some("/%7Ba%7D%7Cb%5Cc%5Ed%60"));
        check_encoded("/data?x=%3E[1]'", None);
        check_encoded("http://x/<", None);
        assert_eq!(encode_target(b""), None);
        assert_eq!(encode_target(b"GET"), None);
    }

    proptest! {
        /// Nothing is left for hyper to refuse by itself.
        #[test]
        fn an_accepted_head_has_a_target_and_headers_that_hyper_accepts(
            target in "[!-~\u{80}-\u{ff}]{0,12}",
            value in "[ -~\t\u{80}-\u{ff}]{0,12}",
        ) {
            let head = format!("GET /{target} HTTP/1.1\r\nHost: x\r\nX-A: {value}\r\n\r\n").into_bytes();
            let head = encode_target(&head).unwrap_or(head);
            prop_assert!(check(&head).is_ok(), "{:?}", String::from_utf8_lossy(&head));
        }
    }
}
