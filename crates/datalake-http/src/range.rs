//! Range requests for one range of bytes (RFC 9110, section 14). Requests for several ranges get the full representation.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, IntoResponseParts, Response},
};

/// The part of a representation that a client requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// All bytes: the header is malformed, has another unit, or contains several ranges.
    Full,
    /// These bytes. The range is not empty.
    Partial(Range<u64>),
    /// No bytes of the representation.
    Unsatisfiable,
}

/// Parses the header for a representation of `bytes` bytes.
pub fn parse_range(header: &str, bytes: u64) -> RangeRequest {
    let Some((first, last)) = first_and_last(header) else {
        return RangeRequest::Full;
    };
    let range = match (first, last) {
        (Some(first), Some(last)) if first > last => return RangeRequest::Full,
        (Some(first), last) => first..last.map_or(bytes, |last| last.saturating_add(1).min(bytes)),
        // A suffix that is longer than the representation is the whole of it.
        (None, Some(length)) => bytes.saturating_sub(length)..bytes,
        (None, None) => return RangeRequest::Full,
    };
    match range.is_empty() {
        true => RangeRequest::Unsatisfiable,
        false => RangeRequest::Partial(range),
    }
}

/// The requested range contains no byte of the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeNotSatisfiable {
    /// The size of the representation in bytes.
    pub bytes: u64,
}

/// The full or partial response for a representation of `bytes` bytes. `range` is the value of the header `Range`, and `body` returns headers and the
/// bytes of a range.
pub fn range_response<H: IntoResponseParts>(
    bytes: u64,
    range: Option<&HeaderValue>,
    body: impl FnOnce(Range<u64>) -> (H, Body),
) -> Result<Response, RangeNotSatisfiable> {
    let accepts = (header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = range.and_then(|range| range.to_str().ok());
    let part = match range.map_or(RangeRequest::Full, |range| parse_range(range, bytes)) {
        RangeRequest::Full => {
            let length = (header::CONTENT_LENGTH, HeaderValue::from(bytes));
            return Ok(([accepts, length], body(0..bytes)).into_response());
        }
        RangeRequest::Partial(part) => part,
        RangeRequest::Unsatisfiable => return Err(RangeNotSatisfiable { bytes }),
    };
    let content_range = HeaderValue::try_from(format!("bytes {}-{}/{bytes}", part.start, part.end - 1))
        .expect("the value consists of visible ASCII characters");
    let headers = [
        accepts,
        (header::CONTENT_RANGE, content_range),
        (header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, body(part)).into_response())
}

/// The first and the last position of the only range. Each of them may be missing.
fn first_and_last(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let is_unit_bytes = unit.trim().eq_ignore_ascii_case("bytes");
    let number = |text: &str| match text {
        "" => Some(None),
        // A number that overflows is after the end of every representation.
        _ => text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| Some(text.parse().unwrap_or(u64::MAX))),
    };
    is_unit_bytes.then_some(())?;
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: &RangeRequest) {
        assert_eq!(&parse_range(header, 100), expected, "{header}");
    }

    #[test]
    fn ranges_are_parsed() {
        check("bytes=0-9", &RangeRequest::Partial(0..10));
        check("bytes=90-", &RangeRequest::Partial(90..100));
        check("bytes=90-1000", &RangeRequest::Partial(90..100));
        check("Bytes = 5-5", &RangeRequest::Partial(5..6));
        check("bytes=-8", &RangeRequest::Partial(92..100));
        check("bytes=-65536", &RangeRequest::Partial(0..100));
        check("bytes=0-99999999999999999999999", &RangeRequest::Partial(0..100));
        check("bytes=100-", &RangeRequest::Unsatisfiable);
        check("bytes=99999999999999999999999-", &RangeRequest::Unsatisfiable);
        check("bytes=-0", &RangeRequest::Unsatisfiable);
        for ignored in [
            "bytes=5-2",
            "bytes=0-9,5-20",
            "bytes=0-9, 99999999-",
            "bytes=-",
            "bytes=a-",
            "rows=0-9",
            "bytes",
            "bytes=+1-2",
            "",
        ] {
            check(ignored, &RangeRequest::Full);
        }
    }

    #[test]
    fn range_of_empty_representation_is_unsatisfiable() {
        assert_eq!(parse_range("bytes=0-", 0), RangeRequest::Unsatisfiable);
        assert_eq!(parse_range("bytes=-1", 0), RangeRequest::Unsatisfiable);
    }
}
