//! How long the table keeps superseded objects, as `metaData.configuration` promises to readers of every engine.

use jiff::SignedDuration;

use crate::delta::{
    actions::Metadata,
    schema::{DELETED_FILE_RETENTION_PROPERTY, LOG_RETENTION_PROPERTY},
};

/// The defaults of Delta for tables without the properties: a week for data files, 30 days for log entries.
const DELETED_FILES_DEFAULT: SignedDuration = SignedDuration::from_hours(7 * 24);
const LOG_DEFAULT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The minimum, whatever the properties say: a commit abandons files that were staged 12 hours ago, and clocks and requests need a margin.
const RETENTION_MIN: SignedDuration = SignedDuration::from_hours(48);

/// How long a table keeps objects that are not part of its newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// For data files that were removed from the table, and for files that no version names.
    pub(crate) deleted_files: SignedDuration,
    /// For log entries.
    pub(crate) log: SignedDuration,
}

impl Retention {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let kept = |property, default| {
            let configured = metadata.configured(property).and_then(parse_interval);
            configured.unwrap_or(default).max(RETENTION_MIN)
        };
        Self {
            deleted_files: kept(DELETED_FILE_RETENTION_PROPERTY, DELETED_FILES_DEFAULT),
            log: kept(LOG_RETENTION_PROPERTY, LOG_DEFAULT),
        }
    }
}

/// Parses a duration of Delta's properties: `interval 7 days`, `interval 1 week 12 hours`, also without the first word. None for everything
/// else, including months and years, which have no fixed length.
fn parse_interval(text: &str) -> Option<SignedDuration> {
    let text = text.trim().to_ascii_lowercase();
    let mut words = text.split_ascii_whitespace().peekable();
    words.next_if_eq(&"interval");
    let mut total = None::<SignedDuration>;
    while let Some(number) = words.next() {
        let number: i64 = number.parse().ok()?;
        let unit = words.next()?;
        let unit_ns = match unit.strip_suffix('s').unwrap_or(unit) {
            "nanosecond" => 1,
            "microsecond" => 1_000,
            "millisecond" => 1_000_000,
            "second" => 1_000_000_000,
            "minute" => 60 * 1_000_000_000,
            "hour" => 3_600 * 1_000_000_000,
            "day" => 24 * 3_600 * 1_000_000_000,
            "week" => 7 * 24 * 3_600 * 1_000_000_000,
            _ => return None,
        };
        let part = SignedDuration::from_nanos(unit_ns).checked_mul(i32::try_from(number).ok()?)?;
        total = Some(total.unwrap_or_default().checked_add(part)?);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::schema;

    #[track_caller]
    fn check(text: &str, hours: Option<i64>) {
        assert_eq!(parse_interval(text), hours.map(SignedDuration::from_hours), "{text:?}");
    }

    #[test]
    fn intervals_are_parsed() {
        check("interval 7 days", Some(168));
        check("interval 1 week", Some(168));
        check(" INTERVAL 30 Days ", Some(720));
        check("1 week 12 hours", Some(180));
        check("interval 7200 seconds", Some(2));
        check("interval -1 day", Some(-24));
        check("interval 9999999999 weeks", None);
        check("interval 1 month", None);
        check("interval", None);
        check("7", None);
        check("", None);
    }

    #[test]
    fn retention_is_configured_but_at_least_two_days() {
        let mut metadata = schema::metadata(
            "id".into(),
            0,
            &schema::TableSchema::of(datalake_core::dataset::Dataset::shared_users()),
            &schema::RejectsState::default(),
        );
        let mut check = |value: Option<&str>, days: (i64, i64)| {
            for property in [DELETED_FILE_RETENTION_PROPERTY, LOG_RETENTION_PROPERTY] {
                let configuration = metadata.configuration.get_or_insert_default();
                configuration.insert(property.to_owned(), value.map(str::to_owned));
            }
            let (deleted_files, log) = (SignedDuration::from_hours(24 * days.0), SignedDuration::from_hours(24 * days.1));
            assert_eq!(Retention::of(&metadata), Retention { deleted_files, log }, "{value:?}");
        };
        check(None, (7, 30));
        check(Some("interval 7 days"), (7, 7));
        check(Some("interval 30 days"), (30, 30));
        check(Some("interval 1 hour"), (2, 2));
        check(Some("interval -3 days"), (2, 2));
        check(Some("forever"), (7, 30));
    }
}
