//! The header `Accept` (RFC 9110, 12.5.1): which media types a client takes, and how gladly.

use axum::http::{HeaderMap, header};

/// The media ranges of a request, each with its weight in thousandths.
#[derive(Clone, Debug)]
pub struct Accept(Vec<(String, u16)>);

/// The weight where none is given: as glad as can be.
const WHOLE: u16 = 1_000;

impl Accept {
    /// No header, and one without a range that can be understood, take everything.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(range).collect();
        if ranges.is_empty() {
            ranges.push(("*/*".to_owned(), WHOLE));
        }
        Self(ranges)
    }

    /// How gladly a type is taken; the range that names it most closely counts. 0 is not at all.
    pub fn weight(&self, media_type: &str) -> u16 {
        let kind = media_type.split('/').next().unwrap_or_default();
        let of_range = |wanted: &str| self.0.iter().find(|(range, _)| range == wanted).map(|(_, weight)| *weight);
        of_range(media_type)
            .or_else(|| of_range(&format!("{kind}/*")))
            .or_else(|| of_range("*/*"))
            .unwrap_or(0)
    }
}

fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| range.contains('/'))?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((range, weight.map_or(Some(WHOLE), thousandths)?))
}

/// `0.25` is 250. None where it is no weight, so that the range does not count.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(WHOLE),
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
    fn weights() {
        check("application/json", "application/json", 1_000);
        check("application/json", "text/csv", 0);
        check("text/plain, APPLICATION/JSON;q=0.2", "application/json", 200);
        check("text/*;q=0.5, */*;q=0.1", "text/csv", 500);
        check("text/*;q=0.5, */*;q=0.1", "application/json", 100);
        check("text/csv;header=present;q=0.25", "text/csv", 250);
        check("*/*, text/csv;q=0", "text/csv", 0);
        check("", "text/csv", 1_000);
        check("nonsense, text/csv;q=2, */*;q=x", "text/csv", 1_000); // Nothing of it can be understood.
        check("text/csv;q=1.000", "text/csv", 1_000);
        check("text/csv;q=1.001, text/*;q=0.3", "text/csv", 300);
        assert_eq!(Accept::from_headers(&HeaderMap::new()).weight("text/csv"), 1_000);
    }
}
