//! Checks the head of a request before hyper reads it. hyper responds to a head that it cannot parse with an empty body, and accepts some heads
//! that RFC 9112 forbids. hyper accepts every head that is valid here.

use std::{borrow::Cow, net::Ipv6Addr};

use axum::http::Uri;
use httparse::{EMPTY_HEADER, Error, Header, Status};

use crate::{percent_encoding::is_forbidden, server::request_error::RequestError};

/// The maximum number of headers that hyper accepts.
pub(crate) const HEADERS_MAX: usize = 100;

/// The length of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This number of bytes. 0 if the request has no body.
    ContentLength(u64),
    /// Chunks. hyper finds their end.
    Chunked,
}

/// Checks a head, from the first byte of the method to the empty line.
pub(crate) fn check(head: &[u8]) -> Result<Framing, RequestError> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => {
            return Err(RequestError::malformed(
                "the head has no empty line at its end; send one after the headers",
            ));
        }
        Err(error) => return Err(parse_error(head, request.method.is_some(), error)),
    }
    let method = request.method.unwrap_or_default();
    let is_http_10 = request.version == Some(0);
    check_target(method, request.path.unwrap_or_default())?;
    check_host(request.headers, is_http_10)?;
    framing(request.headers, is_http_10)
}

/// Whether a request cannot begin with these bytes.
pub(crate) fn is_not_http(start: &[u8]) -> bool {
    start.first().is_some_and(|byte| !is_token_byte(*byte))
}

/// Percent-encodes characters of the path and the query that RFC 3986 forbids and that some clients send unencoded, as curl does with `>` and with
/// UTF-8. Returns `None` if there is nothing to encode.
pub(crate) fn encode_target(head: &[u8]) -> Option<Vec<u8>> {
    let start = head.iter().position(|byte| *byte == b' ')? + 1;
    let target = head.get(start..)?;
    let length = target.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'))?;
    let (target, rest) = target.split_at(length);
    let needs_encoding = |byte: &u8| is_forbidden(*byte);
    if target.first() != Some(&b'/') || !target.iter().any(needs_encoding) {
        return None;
    }
    let mut encoded = Vec::with_capacity(head.len() + 64);
    encoded.extend_from_slice(head.get(..start)?);
    for byte in target {
        match needs_encoding(byte) {
            true => encoded.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes()),
            false => encoded.push(*byte),
        }
    }
    encoded.extend_from_slice(rest);
    Some(encoded)
}

/// Whether the byte may be part of a method or of a header name (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Describes why httparse cannot parse the head.
fn parse_error(head: &[u8], has_method: bool, error: Error) -> RequestError {
    match error {
        Error::TooManyHeaders => RequestError::TooLarge {
            reason: format!("the request has more than {HEADERS_MAX} headers; send fewer"),
        },
        Error::Token if !has_method && head.starts_with(b"\x16\x03") => RequestError::malformed(
            "the connection begins with a TLS handshake, but this port has no TLS; use http://, or the port of the proxy that terminates TLS",
        ),
        Error::Token if !has_method => RequestError::malformed("the request does not begin with a method, such as GET"),
        Error::Token if request_line(head).bytes().any(|byte| byte.is_ascii_control()) => {
            RequestError::malformed("the request target contains a control character; percent-encode it")
        }
        Error::Token | Error::Version => version_error(head),
        Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Status => RequestError::malformed(malformed_line_error(head)),
    }
}

/// Describes why the request line does not end with `HTTP/1.0` or `HTTP/1.1`.
fn version_error(head: &[u8]) -> RequestError {
    let line = request_line(head);
    let parts: Vec<_> = line.split(' ').collect();
    let version = parts.last().copied().filter(|part| part.starts_with("HTTP/"));
    match (version, parts.len()) {
        (None, _) => RequestError::malformed("the request line has no version; add HTTP/1.1 at its end"),
        (Some(_), 4..) => RequestError::malformed("the request target contains a space; encode it as %20"),
        (Some(version), _) if is_version(version) => RequestError::UnsupportedVersion,
        (Some(_), _) => RequestError::malformed("the version in the request line is malformed; send HTTP/1.1"),
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
fn malformed_line_error(head: &[u8]) -> String {
    let lines = head.split(|byte| *byte == b'\n').enumerate().skip(1);
    for (index, line) in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let number = index + 1;
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return format!("line {number} of the head continues a header (obsolete line folding); send each header in one line");
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return format!("line {number} of the head has no colon; send headers as `Name: value`");
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().copied().all(is_token_byte) {
            return format!(
                "line {number} of the head has a malformed header name; send headers as `Name: value`, without a space before the colon"
            );
        }
        let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if !value.iter().all(is_text) {
            let name = String::from_utf8_lossy(name);
            return format!("the header `{name}` contains a control character; remove it");
        }
    }
    "the head has a malformed line; end lines with CR LF".to_owned()
}

/// Checks the forms of RFC 9112, section 3.2, except for the one of `CONNECT`.
fn check_target(method: &str, target: &str) -> Result<(), RequestError> {
    if method == "CONNECT" {
        return Err(RequestError::UnsupportedConnect);
    }
    let is_absolute_form = ["http://", "https://"].iter().any(|scheme| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let is_asterisk_form = target == "*" && method == "OPTIONS";
    if !target.starts_with('/') && !is_absolute_form && !is_asterisk_form {
        return Err(RequestError::malformed(
            "the request target is not a path; send a path that begins with a slash, such as /data",
        ));
    }
    match Uri::try_from(target) {
        Ok(_) => Ok(()),
        Err(error) => Err(RequestError::malformed(format!(
            "the request target is malformed: {error}; percent-encode characters that a URI cannot contain"
        ))),
    }
}

/// Requires one `Host` header, which is optional in HTTP/1.0 (RFC 9112, section 3.2).
fn check_host(headers: &[Header<'_>], is_http_10: bool) -> Result<(), RequestError> {
    let mut hosts = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (None, _) if is_http_10 => Ok(()),
        (None, _) => Err(RequestError::malformed(
            "the request has no Host header; send one, because HTTP/1.1 requires it",
        )),
        (Some(_), Some(_)) => Err(RequestError::malformed("the request has more than one Host header; send only one")),
        (Some(host), None) if is_host(host.value) => Ok(()),
        (Some(_), None) => Err(RequestError::malformed(
            "the Host header is malformed; send a host name or an address, optionally followed by `:PORT`",
        )),
    }
}

/// Whether this is `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host may be empty.
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
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
    host.bytes().all(is_host_byte) && crate::percent_encoding::malformed_encoding(host).is_none() && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The length of the body (RFC 9112, section 6). Ambiguous lengths are errors, because a proxy may interpret them differently (request smuggling).
fn framing(headers: &[Header<'_>], is_http_10: bool) -> Result<Framing, RequestError> {
    let values = |name: &'static str| {
        let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
        headers.iter().filter(named).map(|header| String::from_utf8_lossy(header.value))
    };
    let lengths: Vec<_> = values("content-length").collect();
    let codings: Vec<_> = values("transfer-encoding").collect();
    if !codings.is_empty() {
        if is_http_10 {
            return Err(RequestError::malformed(
                "an HTTP/1.0 request has a Transfer-Encoding header; send Content-Length instead",
            ));
        }
        if !lengths.is_empty() {
            return Err(RequestError::malformed(
                "the request has both Transfer-Encoding and Content-Length; send only one of them",
            ));
        }
        return check_codings(&codings.join(",")).map(|()| Framing::Chunked);
    }
    let mut lengths = lengths.into_iter();
    let Some(first) = lengths.next() else {
        return Ok(Framing::ContentLength(0));
    };
    if lengths.any(|other| other != first) {
        return Err(RequestError::malformed(
            "the request has Content-Length headers with different values; send only one",
        ));
    }
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    // hyper reserves the two largest values.
    let length = is_number
        .then(|| first.parse().ok())
        .flatten()
        .filter(|length| *length < u64::MAX - 1);
    length
        .map(Framing::ContentLength)
        .ok_or_else(|| RequestError::malformed("the Content-Length header is not a number of bytes; send one number"))
}

/// Requires `chunked` once, and no other coding.
fn check_codings(value: &str) -> Result<(), RequestError> {
    let codings: Vec<_> = value.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect();
    match codings.as_slice() {
        [coding] if coding == "chunked" => Ok(()),
        codings if codings.iter().filter(|coding| *coding == "chunked").count() > 1 => Err(RequestError::malformed(
            "Transfer-Encoding contains `chunked` more than once; send it once",
        )),
        [.., last] if last == "chunked" => Err(RequestError::UnsupportedTransferCoding),
        codings if codings.iter().any(|coding| coding == "chunked") => Err(RequestError::malformed(
            "Transfer-Encoding does not end with `chunked`; send `chunked` alone",
        )),
        _ => Err(RequestError::UnsupportedTransferCoding),
    }
}

#[cfg(test)]
mod tests;
