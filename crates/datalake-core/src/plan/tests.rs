//! The comparison of one user's sources, as a table of cases.

use super::*;
use crate::keys;

pub(super) fn user(id: &str) -> RowId {
    RowId::parse(id).unwrap()
}

pub(super) fn object(name: &str, etag: &str) -> SourceObject {
    SourceObject {
        key: format!("{}{name}", keys::SOURCES).into(),
        etag: etag.into(),
        size: 1,
        modified: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn recorded(has_row: bool, csv: Option<&str>, image: Option<&str>) -> RecordedRow {
    let version = |etag: &str| SourceVersion {
        key: None,
        etag: etag.into(),
        size: 1,
    };
    RecordedRow {
        row_id: user("1"),
        has_row,
        csv: csv.map(version),
        files: [RecordedFile {
            version: image.map(version),
            exists: image.is_some(),
            is_linked: image.is_some(),
        }]
        .into(),
    }
}

fn listed(csv: &str, image: Option<&str>) -> RowSources {
    RowSources {
        row_id: user("1"),
        csv: object("1.csv", csv),
        files: [image.map(|etag| object("1.png", etag))].into(),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "cases are values")]
fn check_change(sources: Option<RowSources>, recorded: Option<RecordedRow>, mode: RunMode, expected: Option<[&str; 2]>) {
    let name = |change: &SourceChange| match change {
        SourceChange::Unchanged => "unchanged",
        SourceChange::Read(_) => "read",
        SourceChange::Removed => "removed",
    };
    let change = compare(sources.as_ref(), recorded.as_ref(), mode);
    let changes = change.as_ref().map(|change| [name(&change.csv), name(&change.files[0])]);
    assert_eq!(changes, expected, "listed: {sources:?}, recorded: {recorded:?}");
}

#[test]
fn compare_reads_new_and_changed_sources_and_removes_missing_ones() {
    use RunMode::{Full, Incremental};
    check_change(
        Some(listed("c", Some("i"))),
        Some(recorded(true, Some("c"), Some("i"))),
        Incremental,
        None,
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(recorded(true, Some("c"), Some("i"))),
        Full,
        Some(["read", "read"]),
    );
    check_change(Some(listed("c", Some("i"))), None, Incremental, Some(["read", "read"]));
    check_change(Some(listed("c", None)), None, Incremental, Some(["read", "unchanged"]));
    check_change(
        Some(listed("d", Some("i"))),
        Some(recorded(true, Some("c"), Some("i"))),
        Incremental,
        Some(["read", "unchanged"]),
    );
    check_change(
        Some(listed("c", Some("j"))),
        Some(recorded(true, Some("c"), Some("i"))),
        Incremental,
        Some(["unchanged", "read"]),
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(recorded(true, Some("c"), None)),
        Incremental,
        Some(["unchanged", "read"]),
    );
    check_change(
        Some(listed("c", None)),
        Some(recorded(true, Some("c"), Some("i"))),
        Incremental,
        Some(["unchanged", "removed"]),
    );
    check_change(
        None,
        Some(recorded(true, Some("c"), None)),
        Incremental,
        Some(["removed", "removed"]),
    );
    check_change(
        None,
        Some(recorded(false, Some("c"), None)),
        Incremental,
        Some(["removed", "removed"]),
    );
    // Rejected before, and never valid: the image is read for its own rejects.
    check_change(
        Some(listed("c", Some("i"))),
        Some(recorded(false, Some("c"), None)),
        Incremental,
        Some(["unchanged", "read"]),
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(recorded(false, Some("c"), Some("i"))),
        Incremental,
        None,
    );
    // A CSV that may be valid now needs the image again.
    check_change(
        Some(listed("d", Some("i"))),
        Some(recorded(false, Some("c"), Some("i"))),
        Incremental,
        Some(["read", "read"]),
    );
    check_change(
        Some(listed("d", Some("i"))),
        Some(recorded(false, Some("c"), None)),
        Incremental,
        Some(["read", "read"]),
    );
    // A source whose result may change with time is read again.
    check_change(
        Some(listed("c", None)),
        Some(recorded(false, None, None)),
        Incremental,
        Some(["read", "unchanged"]),
    );
}
