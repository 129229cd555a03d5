//! A time axis for column charts: buckets of equal length, with labels at round times and dates at midnight.

use jiff::Timestamp;

use crate::components::format::{short_day, short_time};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The lengths of buckets and the distances of labels, in seconds. Each divides the next one up to a day, so that labels are at starts of buckets.
const STEPS: [i64; 12] = [
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    10 * DAY,
    100 * DAY,
];

/// More columns would be too narrow to tap.
const BUCKETS_MAX: i64 = 24;

/// Fewer columns would be so wide that a single run looks like a trend.
const BUCKETS_MIN: i64 = 12;

/// Labels that fit below the axis on a phone.
const LABELS_MAX: i64 = 5;

/// Buckets of equal length up to the current time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeAxis {
    /// The start of the first bucket, in seconds since 1970.
    start: i64,
    step: i64,
    count: i64,
    now: Timestamp,
}

impl TimeAxis {
    /// The axis from before `oldest` to `now`.
    pub(crate) fn covering(oldest: Timestamp, now: Timestamp) -> Self {
        let (oldest, end) = (oldest.as_second().min(now.as_second()), now.as_second());
        let buckets = |step: i64| end.div_euclid(step) - oldest.div_euclid(step) + 1;
        let step = STEPS.into_iter().find(|step| buckets(*step) <= BUCKETS_MAX).unwrap_or(100 * DAY);
        let count = buckets(step).clamp(BUCKETS_MIN, BUCKETS_MAX);
        Self {
            start: (end.div_euclid(step) + 1 - count) * step,
            step,
            count,
            now,
        }
    }

    /// The number of buckets.
    pub(crate) fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or_default()
    }

    /// The bucket that contains a time. A time after the end is in the last bucket: clocks differ.
    pub(crate) fn bucket_of(self, at: Timestamp) -> Option<usize> {
        let bucket = (at.as_second() - self.start).div_euclid(self.step);
        usize::try_from(bucket.min(self.count - 1)).ok()
    }

    /// The label below a bucket; empty if it has none.
    pub(crate) fn label(self, bucket: usize) -> String {
        let is_fitting = |tick: &i64| *tick >= self.step && self.count * self.step <= *tick * LABELS_MAX;
        let tick = STEPS.into_iter().find(is_fitting).unwrap_or(100 * DAY);
        let start = self.start_of(bucket);
        match start {
            _ if start.as_second().rem_euclid(tick) != 0 => String::new(),
            _ if start.as_second().rem_euclid(DAY) == 0 => short_day(start),
            _ => start.strftime("%H:%M").to_string(),
        }
    }

    /// The start of a bucket with its day, for tooltips.
    pub(crate) fn title(self, bucket: usize) -> String {
        short_time(self.start_of(bucket), self.now)
    }

    fn start_of(self, bucket: usize) -> Timestamp {
        let offset = i64::try_from(bucket).unwrap_or_default() * self.step;
        Timestamp::from_second(self.start + offset).unwrap_or(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(oldest: &str, now: &str, step: i64, count: usize, labels: &[&str]) {
        let axis = TimeAxis::covering(at(oldest), at(now));
        assert_eq!((axis.step, axis.len()), (step, count), "{oldest} to {now}");
        let found: Vec<_> = (0..axis.len())
            .map(|bucket| axis.label(bucket))
            .filter(|label| !label.is_empty())
            .collect();
        assert_eq!(found, labels, "{oldest} to {now}");
        assert_eq!(axis.bucket_of(at(now)), Some(count - 1));
        assert!(axis.bucket_of(at(oldest)).is_some());
    }

    #[test]
    fn buckets_cover_the_runs() {
        check("2026-11-24T11:50:30Z", "2026-11-24T11:58:00Z", 60, 12, &["11:50", "11:55"]);
        check(
            "2026-11-23T13:00:00Z",
            "2026-11-24T12:30:00Z",
            3_600,
            24,
            &["18:00", "24 Nov", "06:00", "12:00"],
        );
        check("2026-11-04T13:00:00Z", "2026-11-24T12:30:00Z", 86_400, 21, &["13 Nov", "23 Nov"]);
    }

    #[test]
    fn time_before_the_axis_has_no_bucket() {
        let axis = TimeAxis::covering(at("2026-11-24T11:50:30Z"), at("2026-11-24T11:58:00Z"));
        assert_eq!(axis.bucket_of(at("2026-11-24T11:00:00Z")), None);
        assert_eq!(axis.bucket_of(at("2026-11-24T12:10:00Z")), Some(11));
    }
}
