//! A run that is paused for a day or a month, while others commit and clean up.

use std::time::Duration;

use super::{
    lake::{LOG, Lake},
    process::run,
    scenario::Sources,
};

/// More than the age at which a staged file, an upload or an unlinked copy may be removed, and at which the daily vacuum runs.
pub(super) const DAY: Duration = Duration::from_hours(25);
/// More than the retention of data files that were removed from the table.
pub(super) const TEN_DAYS: Duration = Duration::from_hours(10 * 24);
/// More than the retention of log entries.
pub(super) const FORTY_DAYS: Duration = Duration::from_hours(40 * 24);

/// Versions that other runs commit before the time passes. There is a checkpoint every 20 versions, and the entries before an old checkpoint can
/// be removed.
const COMMITS: usize = 21;

/// Simulates a pause: other runs process these sources, time passes, and the next runs commit and clean up. During the longer
/// pauses they commit enough versions that the log entry of the paused run's base is removed.
pub(super) fn let_time_pass(lake: &Lake, sources: &Sources, pause: Duration, pass: impl Fn(), context: &str) {
    let process = |sources: &Sources| {
        lake.set_sources(&sources.0);
        let ended = run(lake, &[]);
        assert_eq!(ended.status, Some(0), "{context}: a run during the pause fails: {ended:?}");
    };
    let is_long = pause > DAY;
    if is_long {
        for number in 0..COMMITS {
            process(sources.clone().csv("busy", &format!("Before{number}")));
        }
    }
    process(sources);
    pass();
    if is_long {
        process(sources.clone().csv("busy", "After"));
    }
    process(sources);
    if pause >= FORTY_DAYS {
        let base = format!("{LOG}{:020}.json", 1);
        assert_eq!(lake.read(&base), None, "{context}: the entry of the paused run's base is removed");
    }
}
