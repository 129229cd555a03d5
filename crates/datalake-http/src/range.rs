//! The header `Range`, as far as a server has to follow it: one range of bytes. RFC 9110, 14.1.2 and 14.2.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, IntoResponseParts, Response},
};

/// What a client wants of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// All of it: the header is none that this server follows, as one of several ranges, or one that is malformed.
    Full,
    /// These bytes, at least one.
    Partial(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// What `header` wants of a representation of `bytes` bytes.
pub fn parse_range(header: &str, bytes: u64) -> RangeRequest {
    let Some((first, last)) = first_and_last(header) else {
        return RangeRequest::Full;
    };
    let range = match (first, last) {
        (Some(first), Some(last)) if first > last => return RangeRequest::Full,
        (Some(first), last) => first..last.map_or(bytes, |last| last.saturating_add(1).min(bytes)),
        // A longer end than there is means all of it.
        (None, Some(length)) => bytes.saturating_sub(length)..bytes,
        (None, None) => return RangeRequest::Full,
    };
    match range.is_empty() {
        true => RangeRequest::Unsatisfiable,
        false => RangeRequest::Partial(range),
    }
}

/// The range begins after the end of the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeNotSatisfiable {
    /// Bytes of the representation.
    pub bytes: u64,
}

/// The whole of so many bytes, or the part of it that is asked for. Of several parts the client gets the whole, as RFC 9110 leaves it to the
/// server.
pub fn range_response<H: IntoResponseParts>(
    bytes: u64,
    range: Option<&HeaderValue>,
    body: impl FnOnce(Range<u64>) -> (H, Body),
) -> Result<Response, RangeNotSatisfiable> {
    let accepts = (header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let asked = range.and_then(|range| range.to_str().ok());
    let part = match asked.map_or(RangeRequest::Full, |asked| parse_range(asked, bytes)) {
        RangeRequest::Full => {
            let length = (header::CONTENT_LENGTH, HeaderValue::from(bytes));
            return Ok(([accepts, length], body(0..bytes)).into_response());
        }
        RangeRequest::Partial(part) => part,
        RangeRequest::Unsatisfiable => return Err(RangeNotSatisfiable { bytes }),
    };
    let told =
        HeaderValue::try_from(format!("bytes {}-{}/{bytes}", part.start, part.end - 1)).expect("digits are visible ASCII characters");
    let headers = [
        accepts,
        (header::CONTENT_RANGE, told),
        (header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, body(part)).into_response())
}

/// The two numbers of the only range, each of which may be missing.
fn first_and_last(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let is_of_bytes = unit.trim().eq_ignore_ascii_case("bytes");
    let number = |text: &str| match text {
        "" => Some(None),
        // A number of more digits than fit is behind every end.
        _ => text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| Some(text.parse().unwrap_or(u64::MAX))),
    };
    is_of_bytes.then_some(())?;
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
    fn ranges_of_a_hundred_bytes() {
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
    fn of_nothing_there_is_no_part() {
        assert_eq!(parse_range("bytes=0-", 0), RangeRequest::Unsatisfiable);
        assert_eq!(parse_range("bytes=-1", 0), RangeRequest::Unsatisfiable);
    }
}
