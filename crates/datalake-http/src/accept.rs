//! The header `Accept` (RFC 9110, section 12.5.1): which media types a client accepts, and with which weight.

use axum::http::{HeaderMap, header};

/// The media ranges of a request, each with its weight in thousandths.
#[derive(Clone, Debug)]
pub struct Accept(Vec<(String, u16)>);

/// The weight 1, which is the default.
const WEIGHT_MAX: u16 = 1_000;

impl Accept {
    /// Reads the header. Malformed media ranges are ignored. Without a valid one, every media type is accepted.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(media_range).collect();
        if ranges.is_empty() {
            ranges.push(("*/*".to_owned(), WEIGHT_MAX));
        }
        Self(ranges)
    }

    /// The weight of a media type in thousandths, from the most specific range that matches it. 0 means that the client does not accept it.
    pub fn weight(&self, media_type: &str) -> u16 {
        let main_type = media_type.split('/').next().unwrap_or_default();
        let of_range = |name: &str| self.0.iter().find(|(range, _)| range == name).map(|(_, weight)| *weight);
        of_range(media_type)
            .or_else(|| of_range(&format!("{main_type}/*")))
            .or_else(|| of_range("*/*"))
            .unwrap_or(0)
    }
}

/// Parses a media range with its weight.
fn media_range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| range.contains('/'))?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((range, weight.map_or(Some(WEIGHT_MAX), thousandths)?))
}

/// Parses a weight (RFC 9110, section 12.4.2): `0.25` is 250. Returns `None` if it is malformed.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(WEIGHT_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(accept: &'static str, media_type: &str, expected: u16) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(
            Accept::from_headers(&headers).weight(media_type),
            expected,
            "Accept: {accept}, {media_type}"
        );
    }

    #[test]
    fn most_specific_range_determines_the_weight() {
        check("application/json", "application/json", 1_000);
        check("application/json", "text/csv", 0);
        check("text/plain, APPLICATION/JSON;q=0.2", "application/json", 200);
        check("text/*;q=0.5, */*;q=0.1", "text/csv", 500);
        check("text/*;q=0.5, */*;q=0.1", "application/json", 100);
        check("text/csv;header=present;q=0.25", "text/csv", 250);
        check("*/*, text/csv;q=0", "text/csv", 0);
        check("", "text/csv", 1_000);
        check("nonsense, text/csv;q=2, */*;q=x", "text/csv", 1_000); // No valid range.
        check("text/csv;q=1.000", "text/csv", 1_000);
        check("text/csv;q=1.001, text/*;q=0.3", "text/csv", 300);
        assert_eq!(Accept::from_headers(&HeaderMap::new()).weight("text/csv"), 1_000);
    }
}
