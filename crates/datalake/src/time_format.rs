//! Times and durations for human readers.

use jiff::{Timestamp, tz::TimeZone};

/// A time of a document, without fractions of a second, in UTC.
pub(crate) fn time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// The time of day of a log line, in UTC.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%H:%M:%SZ").to_string()
}

/// How long ago a time of a document was.
pub(crate) fn ago(text: &str, now: Timestamp) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let seconds = now.duration_since(time).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A duration in milliseconds.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
        _ => format!("{} h {} min", milliseconds / 3_600_000, milliseconds % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_short() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        assert_eq!(time("2026-11-24T07:59:30.123Z"), "2026-11-24 07:59:30");
        let ages = [
            "2026-11-24T07:59:30Z",
            "2026-11-24T07:00:01Z",
            "2026-11-23T09:00:00Z",
            "2026-11-20T08:00:00Z",
        ];
        assert_eq!(ages.map(|time| ago(time, now)), ["30 s ago", "59 min ago", "23 h ago", "4 d ago"]);
        assert_eq!(ago("2026-11-24T09:00:00Z", now), "0 s ago", "clocks may differ");
        assert_eq!(
            [999, 1_250, 61_000, 3_660_000].map(duration),
            ["999 ms", "1.2 s", "1 min 1 s", "1 h 1 min"]
        );
    }
}
