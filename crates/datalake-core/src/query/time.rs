//! Days and times in parameters. An error states whether the format is wrong, the day does not exist, or the value is out of range.

use jiff::{SignedDuration, Timestamp, civil::Date, civil::Time};

use crate::{calendar::Day, query::error::QueryError};

/// Parses a day as YYYY-MM-DD.
pub fn parse_day(name: &str, value: &str) -> Result<Day, QueryError> {
    day(value).map_err(|reason| QueryError::value(name, &reason))
}

/// Parses an instant as RFC 3339, or a day, which means the end of that day in UTC.
pub fn parse_time(name: &str, value: &str) -> Result<Timestamp, QueryError> {
    time(value).map_err(|reason| QueryError::value(name, &reason))
}

/// Parses a day as YYYY-MM-DD, or returns the predicate of a message about the value.
pub(crate) fn day(value: &str) -> Result<Day, String> {
    let Some([year, month, day]) = numbers(value) else {
        return Err("must be a day as YYYY-MM-DD, like 2026-11-24".to_owned());
    };
    date(year, month, day)
}

/// Year, month and day of a text with the format YYYY-MM-DD.
fn numbers(value: &str) -> Option<[i16; 3]> {
    let has_format = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    if value.len() != 10 || !value.bytes().enumerate().all(has_format) {
        return None;
    }
    let number = |from: usize, to: usize| value.get(from..to)?.parse().ok();
    Some([number(0, 4)?, number(5, 7)?, number(8, 10)?])
}

fn date(year: i16, month: i16, day: i16) -> Result<Day, String> {
    let small = |number: i16| i8::try_from(number).unwrap_or_default();
    let Ok(first) = Date::new(year, small(month), 1) else {
        return Err(format!("names month {month:02}, and months are 01 to 12"));
    };
    let days = first.days_in_month();
    let Ok(date) = Date::new(year, small(month), small(day)) else {
        return Err(format!("is not a valid date: {year:04}-{month:02} has the days 01 to {days}"));
    };
    Day::from_date(date).ok_or_else(|| {
        format!(
            "is out of range: days from {} to {} are supported",
            Day::FIRST.date(),
            Day::LAST.date()
        )
    })
}

fn time(value: &str) -> Result<Timestamp, String> {
    const FORMAT: &str = "must be a time in the format of RFC 3339, like 2026-11-24T12:00:00Z (a plus sign is written %2B), or a day like 2026-11-24, \
                         which means its end in UTC";
    let (day_text, time_text) = value.split_at_checked(10).unwrap_or((value, ""));
    let Some([year, month, day]) = numbers(day_text) else {
        return Err(FORMAT.to_owned());
    };
    let day = date(year, month, day)?;
    if time_text.is_empty() {
        return day
            .end()
            .ok_or_else(|| format!("is out of range: the end of {day_text} is; give a time of that day"));
    }
    let Some(clock) = time_text.strip_prefix(['T', 't', ' ']) else {
        return Err(FORMAT.to_owned());
    };
    let (clock, offset) = clock.find(['Z', 'z', '+', '-', ' ']).map_or((clock, ""), |at| clock.split_at(at));
    if !clock.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')) || !clock.contains(':') {
        return Err(FORMAT.to_owned());
    }
    if clock.parse::<Time>().is_err() {
        return Err(format!("names the time {clock}, and a day has the times 00:00:00 to 23:59:59"));
    }
    match offset.bytes().next() {
        None => Err("has no offset from UTC; write Z after the time for UTC".to_owned()),
        Some(b' ') => Err("has a space for the sign of the offset; write a plus sign as %2B".to_owned()),
        Some(_) => value
            .parse()
            .map_err(|_| format!("has the offset {offset}, or a time that is out of range; write Z for UTC, or an offset like %2B01:00")),
    }
}

impl Day {
    /// The last instant of the day in UTC; none if it is after the supported range.
    fn end(self) -> Option<Timestamp> {
        let start = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(i64::from(self.number()) * 24));
        start.ok()?.checked_add(SignedDuration::new(24 * 60 * 60 - 1, 999_999_999)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_invalid_day(value: &str, message: &str) {
        for parsed in [parse_day("on", value).map(|_| ()), parse_time("on", value).map(|_| ())] {
            let error = parsed.expect_err(value);
            assert_eq!(error.parameter, "on");
            assert!(error.reason.contains(message), "{value}: {error}");
        }
    }

    #[test]
    fn invalid_days_are_rejected_with_the_cause() {
        for value in ["2023-02-30", "2026-02-29", "1900-02-29"] {
            check_invalid_day(value, "-02 has the days 01 to 28");
        }
        check_invalid_day("2024-02-30", "2024-02 has the days 01 to 29");
        check_invalid_day("2026-04-31", "2026-04 has the days 01 to 30");
        check_invalid_day("2026-11-00", "2026-11 has the days 01 to 30");
        check_invalid_day("2026-12-99", "2026-12 has the days 01 to 31");
        check_invalid_day("2026-13-01", "months are 01 to 12");
        check_invalid_day("2026-00-01", "months are 01 to 12");
        check_invalid_day("9999-12-31", "days from 0000-01-01 to 9999-12-30 are supported");
        for value in [
            "",
            "today",
            "2026-2-3",
            "20261124",
            "2026/11/24",
            "24.11.2026",
            "-001-01-01",
            "２026-11-2",
        ] {
            check_invalid_day(value, "like 2026-11-24");
        }
    }

    #[track_caller]
    fn check_invalid_time(value: &str, message: &str) {
        let error = parse_time("as_of", value).expect_err(value);
        assert!(error.reason.contains(message), "{value}: {error}");
    }

    #[test]
    fn invalid_times_are_rejected_with_the_cause() {
        check_invalid_time("2023-02-30T12:00:00Z", "2023-02 has the days 01 to 28");
        check_invalid_time("9999-12-31T00:00:00Z", "days from 0000-01-01 to 9999-12-30");
        check_invalid_time("9999-12-30", "the end of 9999-12-30");
        check_invalid_time("2026-11-24T25:00:00Z", "the time 25:00:00");
        check_invalid_time("2026-11-24T12:60:00Z", "the time 12:60:00");
        check_invalid_time("2026-11-24T12:00:00", "no offset");
        check_invalid_time("2026-11-24T12:00:00 01:00", "plus sign as %2B");
        check_invalid_time("2026-11-24T12:00:00+99:00", "offset +99:00");
        check_invalid_time("2026-11-24T12:00:00Zulu", "offset Zulu");
        check_invalid_time("2026-11-24Tnoon", "RFC 3339");
        check_invalid_time("2026-11-24x", "RFC 3339");
        check_invalid_time("12:00:00Z", "RFC 3339");
        check_invalid_time("1795478400", "RFC 3339");
    }

    #[test]
    fn the_range_is_the_calendar() {
        assert_eq!(parse_day("on", "0000-01-01").unwrap(), Day::FIRST);
        assert_eq!(parse_day("on", "9999-12-30").unwrap(), Day::LAST);
        assert!(parse_time("as_of", "0000-01-01").is_ok() && parse_time("as_of", "9999-12-30T12:00:00Z").is_ok());
    }
}
