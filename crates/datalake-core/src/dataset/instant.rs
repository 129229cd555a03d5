//! Days and instants as declarations and sources write them.

use jiff::Timestamp;

use crate::{calendar::Day, query::time};

/// A day as `YYYY-MM-DD`.
pub(crate) fn parse_day(text: &str) -> Option<Day> {
    time::day(text).ok()
}

/// The first instant of a day in UTC.
pub(crate) fn start_of_day(day: Day) -> Option<Timestamp> {
    Timestamp::from_second(i64::from(day.number()) * 24 * 60 * 60).ok()
}

/// An instant in the format of RFC 3339, with its offset from UTC.
pub(crate) fn parse_instant(text: &str) -> Option<Timestamp> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_clock =
        |text: &str, parts: usize| text.split(':').count() == parts && text.split(':').all(|part| part.len() == 2 && is_digits(part));
    let (_, rest) = text.split_at_checked(10)?;
    let (clock, offset) = rest.strip_prefix(['T', 't', ' '])?.split_at(rest.find(['Z', 'z', '+', '-'])? - 1);
    let (seconds, fraction) = clock
        .split_once('.')
        .map_or((clock, None), |(seconds, fraction)| (seconds, Some(fraction)));
    let is_offset = match offset.strip_prefix(['+', '-']) {
        Some(offset) => is_clock(offset, 2),
        None => matches!(offset, "Z" | "z"),
    };
    if !is_clock(seconds, 3) || !fraction.is_none_or(is_digits) || !is_offset {
        return None;
    }
    // More digits than nanoseconds are cut off, as those after microseconds are.
    match fraction {
        Some(fraction) if fraction.len() > 9 => format!("{}T{seconds}.{}{offset}", &text[..10], &fraction[..9]).parse().ok(),
        _ => format!("{}T{clock}{offset}", &text[..10]).parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = parse_instant(text).map(|instant| instant.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn instants_have_a_time_and_an_offset() {
        check("2026-11-24T12:00:00Z", Some("2026-11-24T12:00:00Z"));
        check("2026-11-24t12:00:00z", Some("2026-11-24T12:00:00Z"));
        check("2026-11-24 12:00:00.5+01:00", Some("2026-11-24T11:00:00.5Z"));
        check("2026-11-24T12:00:00.1234567891Z", Some("2026-11-24T12:00:00.123456789Z"));
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T12:00:00",
            "2026-11-24T12:00Z",
            "2026-11-24T12:00:00.Z",
            "2026-11-24T12:00:00+1",
            "2026-11-24T12:00:00Z[UTC]",
            "2026-11-24T25:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-11-24TZ",
            "２０２６-11-24T12:00:00Z",
        ] {
            check(text, None);
        }
    }
}
