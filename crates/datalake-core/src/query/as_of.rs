//! Time travel: the version of the table that a read selects with `version`, `as_of`, `min_version` and `wait`.

use std::time::Duration;

use jiff::Timestamp;

use crate::query::{error::QueryError, time::parse_time};

/// The version of the table that a request selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionSelector {
    /// The latest version.
    #[default]
    Newest,
    /// The version with this number.
    Version(u64),
    /// The latest version that was committed at this time or before.
    AsOf(Timestamp),
}

/// The oldest version that the response may have, and how long to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinVersion {
    /// `min_version`
    pub number: u64,
    /// `wait`; zero by default.
    pub wait: Duration,
}

/// The parsed time travel parameters. The default is the latest version without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeTravel {
    /// `version` or `as_of`
    pub selector: VersionSelector,
    /// `min_version` and `wait`; only together with [`VersionSelector::Newest`].
    pub min_version: Option<MinVersion>,
}

/// The parameters of [`TimeTravel`].
pub const TIME_TRAVEL_PARAMETERS: &[&str] = &["version", "as_of", "min_version", "wait"];

/// Maximum wait, because it keeps a connection open: common proxies time out after a minute.
const WAIT_MAX: Duration = Duration::from_mins(1);

impl TimeTravel {
    /// Parses the decoded pairs of a query string, and skips names that are not in [`TIME_TRAVEL_PARAMETERS`]. A repeated name and contradicting
    /// names are errors, because neither is more likely to be meant.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryError> {
        let mut given = [None::<&str>; 4];
        for (name, value) in pairs {
            if let Some(index) = TIME_TRAVEL_PARAMETERS.iter().position(|known| *known == name)
                && given[index].replace(value).is_some()
            {
                return Err(QueryError::value(name, "given more than once"));
            }
        }
        let [version, as_of, min_version, wait] = given;
        let selector = match (version, as_of) {
            (Some(_), Some(_)) => return Err(QueryError::value("as_of", "cannot be given together with version")),
            (Some(value), None) => VersionSelector::Version(parse_version("version", value)?),
            (None, Some(value)) => VersionSelector::AsOf(parse_time("as_of", value)?),
            (None, None) => VersionSelector::Newest,
        };
        let min_version = match (min_version, wait) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(QueryError::value(
                    "wait",
                    "is the longest time to wait for min_version, which is not given",
                ));
            }
            (Some(_), _) if selector != VersionSelector::Newest => {
                return Err(QueryError::value(
                    "min_version",
                    "applies to the latest version only; omit version and as_of",
                ));
            }
            (Some(value), wait) => Some(MinVersion {
                number: parse_version("min_version", value)?,
                wait: wait.map_or(Ok(Duration::ZERO), |value| parse_wait("wait", value))?,
            }),
        };
        Ok(Self { selector, min_version })
    }
}

/// Parses the number of a version.
pub fn parse_version(name: &str, value: &str) -> Result<u64, QueryError> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| value.parse().ok()).flatten();
    number.ok_or_else(|| QueryError::value(name, "must be the number of a version, like 12"))
}

fn parse_wait(name: &str, value: &str) -> Result<Duration, QueryError> {
    let (digits, unit) = match value.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis(1)),
        None => (value.strip_suffix('s').unwrap_or_default(), Duration::from_secs(1)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u32> = is_number.then(|| digits.parse().ok()).flatten();
    let wait = number.and_then(|number| unit.checked_mul(number)).filter(|wait| *wait <= WAIT_MAX);
    wait.ok_or_else(|| QueryError::value(name, "must be a duration like 30s or 500ms, at most 60s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], selector: VersionSelector, min_version: Option<(u64, u64)>) {
        let min_version = min_version.map(|(number, wait_ms)| MinVersion {
            number,
            wait: Duration::from_millis(wait_ms),
        });
        let expected = TimeTravel { selector, min_version };
        assert_eq!(TimeTravel::parse(pairs.iter().copied()), Ok(expected), "pairs: {pairs:?}");
    }

    #[track_caller]
    fn check_rejected(pairs: &[(&str, &str)], parameter: &str) {
        let error = TimeTravel::parse(pairs.iter().copied()).expect_err("must be an error");
        assert_eq!(error.parameter, parameter, "pairs: {pairs:?}");
    }

    fn as_of(time: &str) -> VersionSelector {
        VersionSelector::AsOf(time.parse().unwrap())
    }

    #[test]
    fn time_travel_parameters_are_parsed() {
        check(&[], VersionSelector::Newest, None);
        check(&[("min_age", "3"), ("x", ""), ("x", "")], VersionSelector::Newest, None);
        check(&[("version", "0")], VersionSelector::Version(0), None);
        check(&[("version", "007")], VersionSelector::Version(7), None);
        check(&[("as_of", "2026-11-24T12:00:00Z")], as_of("2026-11-24T12:00:00Z"), None);
        check(&[("as_of", "2026-11-24T12:00:00.5+01:00")], as_of("2026-11-24T11:00:00.5Z"), None);
        check(&[("as_of", "2026-11-24")], as_of("2026-11-24T23:59:59.999999999Z"), None);
        check(&[("as_of", "2028-02-29")], as_of("2028-02-29T23:59:59.999999999Z"), None);
        check(&[("min_version", "3")], VersionSelector::Newest, Some((3, 0)));
        check(&[("min_version", "3"), ("wait", "5s")], VersionSelector::Newest, Some((3, 5_000)));
        check(&[("wait", "500ms"), ("min_version", "3")], VersionSelector::Newest, Some((3, 500)));
        check(&[("min_version", "3"), ("wait", "60s")], VersionSelector::Newest, Some((3, 60_000)));
        check(
            &[("min_version", "3"), ("wait", "60000ms")],
            VersionSelector::Newest,
            Some((3, 60_000)),
        );
        check(&[("min_version", "3"), ("wait", "0s")], VersionSelector::Newest, Some((3, 0)));
    }

    #[test]
    fn invalid_time_travel_parameters_are_rejected() {
        for value in ["", "-1", "+1", "1.0", "x", "99999999999999999999999", "latest"] {
            check_rejected(&[("version", value)], "version");
            check_rejected(&[("min_version", value)], "min_version");
        }
        for value in [
            "",
            "now",
            "2026-11-24T12:00:00",
            "2026-11-24T12:00:00 01:00",
            "2026-02-29",
            "2026-13-01",
            "20261124",
            "2026-11",
            "12:00:00Z",
            "9999-12-31",
            "1795478400",
        ] {
            check_rejected(&[("as_of", value)], "as_of");
        }
        for value in [
            "",
            "5",
            "s",
            "ms",
            "-5s",
            "+5s",
            "5.5s",
            "61s",
            "60001ms",
            "1m",
            "99999999999s",
            "5 s",
            "5S",
        ] {
            check_rejected(&[("min_version", "1"), ("wait", value)], "wait");
        }
        check_rejected(&[("version", "1"), ("version", "1")], "version");
        check_rejected(&[("wait", "1s"), ("wait", "1s")], "wait");
        check_rejected(&[("version", "1"), ("as_of", "2026-11-24")], "as_of");
        check_rejected(&[("version", "1"), ("min_version", "1")], "min_version");
        check_rejected(&[("as_of", "2026-11-24"), ("min_version", "1"), ("wait", "1s")], "min_version");
        check_rejected(&[("wait", "1s")], "wait");
        check_rejected(&[("version", "1"), ("wait", "1s")], "wait");
    }
}
