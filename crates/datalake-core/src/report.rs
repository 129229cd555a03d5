//! What a run says of itself: its id, its counts, its end.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The name of one run: its Job's name on Kubernetes, made by the executable elsewhere.
/// Invariant: 1 to 128 of `A-Z a-z 0-9 . _ -`, beginning with a letter or a digit. Cheap to clone: every row names the run that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// The text is no [`RunId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 1 to 128 of A-Z a-z 0-9 . _ -, and begins with a letter or a digit")]
pub struct RunIdError;

impl RunId {
    /// Takes the id as it stands.
    pub fn parse(text: &str) -> Result<Self, RunIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        (begins_well && text.len() <= 128 && text.bytes().all(allowed))
            .then(|| Self(text.into()))
            .ok_or(RunIdError)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// Which sources a run reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// Those whose tag or size is not what the table recorded.
    #[default]
    Incremental,
    /// Every one.
    Full,
}

impl RunMode {
    /// The word that stands for the mode in arguments and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The table holds what the sources say, whether or not anything had to be done.
    Succeeded,
    /// Something outside failed, the store for one: the next run may succeed.
    Failed,
    /// Wrong usage or configuration, credentials among it, a damaged table, or a store that cannot be worked with: somebody has to mend it.
    Misconfigured,
    /// A guard refused to publish: no retry helps.
    Refused,
    /// Asked to stop by a signal; nothing was changed, or all of it.
    Stopped,
}

impl RunOutcome {
    /// The exit status of a process whose run ended so.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            // A run that was stopped is worth a retry.
            Self::Failed | Self::Stopped => 1,
            Self::Misconfigured => 2,
            Self::Refused => 4,
        }
    }

    /// The word that stands for the outcome in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Misconfigured => "misconfigured",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
        }
    }
}

/// What a run found and did. Sources are counted as objects, users as rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Objects listed under `src-data/`, its own folder marker aside.
    pub listed: u64,
    /// Users' CSVs among them.
    pub csv_listed: u64,
    /// Users' images among them.
    pub images_listed: u64,
    /// Objects that are not sources.
    pub ignored: u64,
    /// CSVs read.
    pub csv_read: u64,
    /// Images read.
    pub images_read: u64,
    /// Rows added.
    pub added: u64,
    /// Rows whose values, image included, changed.
    pub changed: u64,
    /// Rows removed.
    pub removed: u64,
    /// Rows after the run.
    pub users: u64,
    /// Images copied.
    pub images_copied: u64,
    /// Copied images removed.
    pub images_removed: u64,
    /// Sources read that were accepted after a documented correction.
    pub normalized: u64,
    /// Sources read that were rejected.
    pub rejected: u64,
    /// Sources rejected now, by whichever run.
    pub rejects_open: u64,
    /// Sources accepted with a warning.
    pub warnings: u64,
}

/// Requests sent to the store, or operations on a folder, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// Pages listed.
    pub list: u64,
    /// Objects read, in whole or in part.
    pub get: u64,
    /// Objects written.
    pub put: u64,
    /// Objects copied within the store.
    pub copy: u64,
    /// Objects removed.
    pub delete: u64,
    /// Descriptions asked for.
    pub head: u64,
}

/// One source that was remarked on or rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceNotice {
    /// The source's key.
    pub key: String,
    /// A code of [`crate::reject::Notice`] or of [`crate::reject::RejectCode`].
    pub code: String,
}

/// The users that a run would have removed, had its guard let it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedDeletions {
    /// Their number.
    pub count: u64,
    /// Users known before the run.
    pub known: u64,
    /// SHA-256, in hexadecimal digits, of all their IDs in byte order, each followed by a line feed: what a permission to remove them names.
    pub digest: String,
    /// The first of them in byte order, at most [`RunReport::NOTICES_MAX`].
    pub users: Vec<String>,
}

/// Derived objects that were missing or damaged and that a run replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The keys of the data files.
    pub data_files: Vec<String>,
    /// Whether the file of rejected and ignored sources was among them.
    pub rejects_file: bool,
    /// Rows that the data files held.
    pub rows: u64,
    /// Those among them that no source gave back: last valid rows of users whose sources are rejected or gone.
    pub rows_lost: u64,
}

/// The document `processed_data/runs/{run_id}.json`: what one run found, did, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run_id: RunId,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Which sources it read.
    pub mode: RunMode,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Milliseconds between the two, by a monotonic clock.
    pub elapsed_ms: u64,
    /// The table's version that the run ended on; none where there is no table yet.
    pub version: Option<u64>,
    /// Whether the run made a version: false where there was nothing to do, or where another run was faster; null where the outcome of its
    /// commit could not be found out.
    pub committed: Option<bool>,
    /// What it found and did.
    pub counts: Counts,
    /// What it asked of the store, but for the report's own writing.
    pub requests: Requests,
    /// Remarks on sources that were accepted, the first [`RunReport::NOTICES_MAX`]; the counts have them all.
    #[serde(default)]
    pub notices: Vec<SourceNotice>,
    /// Sources that this run read and rejected, the first [`RunReport::NOTICES_MAX`]. A run that is refused for them changes no table
    /// that could tell them.
    #[serde(default)]
    pub rejects: Vec<SourceNotice>,
    /// Seconds that the store's clock is ahead of the run's, where that is over [`RunReport::CLOCK_SKEW_MAX`] either way.
    #[serde(default)]
    pub clock_skew_seconds: Option<i64>,
    /// The blocked run whose removals this one was allowed to make; none unless the caller named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_mass_delete_of: Option<RunId>,
    /// The removals that the guard against mass deletion refused; none unless it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_deletions: Option<BlockedDeletions>,
    /// What the run repaired of the table; none where nothing was missing or damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
    /// Why it did not succeed, in words: what, where, why, what to do.
    #[serde(default)]
    pub error: Option<String>,
}

impl RunReport {
    /// A report stays small enough to be read whole by whoever lists runs: 100 notices are about 6 KiB.
    pub const NOTICES_MAX: usize = 100;

    /// Clocks further apart than this are worth a warning; nothing depends on them.
    pub const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

    /// The value of the field: the difference of two clocks that were read at the same time, if it is worth a warning.
    pub fn clock_skew_seconds(store: Timestamp, run: Timestamp) -> Option<i64> {
        let skew = store.duration_since(run);
        (skew.abs() > Self::CLOCK_SKEW_MAX).then(|| skew.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(text: &str, accepted: bool) {
        assert_eq!(RunId::parse(text).is_ok(), accepted, "run id: {text:?}");
    }

    #[test]
    fn run_ids() {
        check_id("datalake-processor-29384756", true);
        check_id("run.1_A", true);
        check_id("", false);
        check_id(".hidden", false);
        check_id("-x", false);
        check_id("a/b", false);
        check_id(&"a".repeat(129), false);
    }

    #[track_caller]
    fn check_skew(store_seconds: i64, expected: Option<i64>) {
        let at = |seconds| Timestamp::from_second(1_000_000 + seconds).unwrap();
        assert_eq!(RunReport::clock_skew_seconds(at(store_seconds), at(0)), expected);
    }

    #[test]
    fn clocks() {
        check_skew(0, None);
        check_skew(300, None);
        check_skew(-300, None);
        check_skew(301, Some(301));
        check_skew(-3_600, Some(-3_600));
    }

    #[test]
    fn exit_statuses_are_the_contract() {
        let statuses = [
            RunOutcome::Succeeded,
            RunOutcome::Failed,
            RunOutcome::Misconfigured,
            RunOutcome::Refused,
        ];
        assert_eq!(statuses.map(RunOutcome::exit_status), [0, 1, 2, 4]);
    }
}
