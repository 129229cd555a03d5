//! The schedule of runs outside Kubernetes.

use std::{str::FromStr, time::Duration};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

/// A cron expression in UTC: minute, hour, day of month, month, day of week; or `@hourly` and similar. Invariant: it matches some time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(Cron);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write five fields (minute, hour, day of month, month, day of week), like \"0 * * * *\" for every hour, or @hourly, \
                            @daily, @weekly, @monthly, @yearly";
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != 5 && !text.starts_with('@') {
            let nickname = format!("@{text}");
            if NICKNAMES.iter().any(|known| known.eq_ignore_ascii_case(&nickname)) {
                return Err(format!("write {nickname}"));
            }
            return Err(format!("a schedule has five fields, but this one has {}; {FORM}", fields.len()));
        }
        if let Some(problem) = fields.iter().zip(FIELDS).find_map(|(text, field)| out_of_range(text, field)) {
            return Err(problem);
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(text)
            .map_err(|error| format!("{}; {FORM}", error.to_string().trim_end_matches('.')))?;
        // Days and months repeat every 400 years, and the search goes further.
        match cron.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), false) {
            Ok(_) => Ok(Self(cron)),
            Err(_) => Err(format!("no day matches this schedule; {FORM}")),
        }
    }
}

/// The fields of a schedule in their order, each with its minimum and maximum. 7 is Sunday as well as 0.
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
];

/// Schedules with a name.
const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

/// The problem of a field that contains a number out of its range. Steps, which follow a slash, may have any number.
fn out_of_range(text: &str, (name, least, greatest): (&str, u32, u32)) -> Option<String> {
    let ranges = text.split(',').filter_map(|range| range.split('/').next());
    let mut numbers = ranges
        .flat_map(|range| range.split('-'))
        .filter_map(|number| number.parse::<u32>().ok());
    let wrong = numbers.find(|number| !(least..=greatest).contains(number))?;
    Some(format!("the {name} must be from {least} to {greatest}, but is {wrong}"))
}

/// The delay of the retry after a scheduled run failed. It doubles with each failure in a row, and is at most the delay until the next scheduled run:
/// an hourly run that keeps failing is retried three times in the first seven minutes.
const RETRY_DELAY_FIRST: Duration = Duration::from_mins(1);

impl Schedule {
    /// The delay from `now` to the next run or retry, after this number of failures in a row. None if the schedule has ended.
    pub(crate) fn delay_after(&self, failures: u32, now: Timestamp) -> Option<Duration> {
        let delay = self.delay_from(now)?;
        let Some(doublings) = failures.checked_sub(1) else {
            return Some(delay);
        };
        Some(RETRY_DELAY_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(delay))
    }

    /// The last scheduled time that is not after `at`.
    pub(crate) fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        let last = self.0.find_previous_occurrence(&at.to_zoned(TimeZone::UTC), true).ok()?;
        Some(last.timestamp())
    }

    /// The delay from `now` to the next scheduled time. None if the schedule has ended.
    pub(crate) fn delay_from(&self, now: Timestamp) -> Option<Duration> {
        let now = now.to_zoned(TimeZone::UTC);
        let next = self.0.find_next_occurrence(&now, false).ok()?;
        Duration::try_from(next.timestamp().duration_since(now.timestamp())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: &str, now: &str, expected_secs: u64) {
        let delay = schedule.parse::<Schedule>().unwrap().delay_from(now.parse().unwrap());
        assert_eq!(delay, Some(Duration::from_secs(expected_secs)), "{schedule} from {now}");
    }

    #[test]
    fn previous_time_is_found() {
        let last = |schedule: &str, at: &str| schedule.parse::<Schedule>().unwrap().previous_scheduled(at.parse().unwrap());
        let time = |text: &str| Some(text.parse().unwrap());
        assert_eq!(last("0 * * * *", "2026-11-24T08:00:00Z"), time("2026-11-24T08:00:00Z"));
        assert_eq!(last("0 3 * * *", "2026-11-24T02:59:59Z"), time("2026-11-23T03:00:00Z"));
    }

    #[test]
    fn delay_ends_at_the_next_scheduled_time() {
        check("0 * * * *", "2026-11-24T07:59:30Z", 30);
        check("0 * * * *", "2026-11-24T08:00:00Z", 3_600);
        check("*/5 * * * *", "2026-11-24T08:01:00Z", 240);
        check("30 2 * * *", "2026-11-24T02:30:00Z", 86_400);
    }

    #[track_caller]
    fn check_retry(failures: u32, now: &str, expected_secs: u64) {
        let hourly: Schedule = "0 * * * *".parse().unwrap();
        let delay = hourly.delay_after(failures, now.parse().unwrap());
        assert_eq!(delay, Some(Duration::from_secs(expected_secs)), "{failures} failures, {now}");
    }

    #[test]
    fn failed_run_is_retried_before_the_next_scheduled_run() {
        check_retry(0, "2026-11-24T08:00:10Z", 3_590);
        check_retry(1, "2026-11-24T08:00:10Z", 60);
        check_retry(2, "2026-11-24T08:01:20Z", 120);
        check_retry(6, "2026-11-24T08:01:20Z", 1_920);
        check_retry(7, "2026-11-24T08:01:20Z", 3_520);
        check_retry(u32::MAX, "2026-11-24T08:59:50Z", 10);
    }

    #[test]
    fn invalid_schedule_is_rejected_with_the_correct_form() {
        assert!("hourly please".parse::<Schedule>().unwrap_err().contains("five fields"));
        for (text, expected) in [
            ("61 * * * *", "the minute must be from 0 to 59, but is 61"),
            ("0 */5 1-32 * *", "the day of month must be from 1 to 31, but is 32"),
            ("0 0 1 13 *", "the month must be from 1 to 12, but is 13"),
            ("0 0 * * 1,8", "the day of week must be from 0 to 7, but is 8"),
            ("hourly", "write @hourly"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap_err(), expected, "{text}");
        }
        assert!("".parse::<Schedule>().is_err());
        for (text, word) in [
            ("* * * * * *", "but this one has 6"),
            ("0 0 * * * * 2027", "but this one has 7"),
            ("0 0 * *", "but this one has 4"),
            ("0 0 31 2 *", "no day matches"),
            ("0 0 30 2 *", "no day matches"),
            ("0 0 31 4,6,9,11 *", "no day matches"),
            ("@often", "@hourly"),
            ("@reboot", "@hourly"),
        ] {
            let error = text.parse::<Schedule>().expect_err(text);
            assert!(error.contains(word) && error.contains("five fields"), "{text}: {error}");
        }
    }

    #[test]
    fn names_and_extensions_of_cron_are_accepted() {
        check("@hourly", "2026-11-24T07:59:30Z", 30);
        check("@Daily", "2026-11-24T23:59:00Z", 60);
        check("0 0 L * *", "2026-11-29T00:00:00Z", 86_400);
        check("0 0 ? * MON", "2026-11-29T00:00:00Z", 86_400);
        check("0 0 * * MON#1", "2026-12-06T00:00:00Z", 86_400);
        check("0 0 29 2 *", "2028-02-28T00:00:00Z", 86_400);
        check("*/5 9-17 * JAN-DEC MON-FRI", "2026-11-24T09:01:00Z", 240);
    }
}
