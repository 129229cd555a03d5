//! When the next run is due, outside Kubernetes.

use std::{str::FromStr, time::Duration};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

/// A cron expression, in UTC: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(Cron);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Cron::from_str(text)
            .map(Self)
            .map_err(|error| format!("{error}; write five fields like \"0 * * * *\" for every full hour"))
    }
}

impl Schedule {
    /// How long from `now` to the next run; none where there is none for years.
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
    fn delays() {
        check("0 * * * *", "2026-11-24T07:59:30Z", 30);
        check("0 * * * *", "2026-11-24T08:00:00Z", 3_600);
        check("*/5 * * * *", "2026-11-24T08:01:00Z", 240);
        check("30 2 * * *", "2026-11-24T02:30:00Z", 86_400);
    }

    #[test]
    fn refusals() {
        assert!("hourly please".parse::<Schedule>().unwrap_err().contains("five fields"));
        assert!("61 * * * *".parse::<Schedule>().is_err());
        assert!("".parse::<Schedule>().is_err());
    }
}
