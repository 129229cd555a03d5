//! The limits of each guard.

use super::*;

#[track_caller]
fn check_guard(listed: u64, known: u64, gone: u64, is_stopped: bool) {
    let stats = ListingStats { listed, known, gone };
    assert_eq!(guard_deletions(stats, DeletionGuard::On).is_err(), is_stopped, "{stats:?}");
    assert_eq!(guard_deletions(stats, DeletionGuard::Off), Ok(()));
}

#[test]
fn mass_deletion_is_stopped() {
    check_guard(0, 0, 0, true);
    check_guard(0, 5, 5, true);
    check_guard(1, 5, 4, false);
    check_guard(1, 5, 5, true);
    check_guard(1, 10, 10, true);
    check_guard(1, 0, 0, false);
    check_guard(90, 100, 10, false);
    check_guard(40, 51, 11, true);
    check_guard(44, 55, 11, false);
    check_guard(80, 100, 20, false);
    check_guard(79, 100, 21, true);
}

#[test]
fn reject_ratio_over_the_limit_is_stopped() {
    assert_eq!(guard_rejects(1, 2, RejectRatio::default()), Ok(()));
    assert!(guard_rejects(2, 3, RejectRatio::default()).is_err());
    assert_eq!(guard_rejects(0, 0, RejectRatio::default()), Ok(()));
    assert_eq!(guard_rejects(3, 3, "1".parse().unwrap()), Ok(()));
    assert!("1.1".parse::<RejectRatio>().is_err());
    assert!("NaN".parse::<RejectRatio>().is_err());
}

#[track_caller]
fn check_message(error: &GuardError, expected: &str) {
    assert_eq!(error.to_string(), expected);
}

#[test]
fn messages_name_the_rows_of_the_dataset() {
    let error = GuardError::MassDeletion { gone: 8, known: 8 };
    assert_eq!(
        error.message_for("orders"),
        "all 8 orders would be removed; nothing was changed; check the sources, or pass --allow-mass-delete if these orders are meant to be \
         removed"
    );
    assert_eq!(error.message_for("users"), error.to_string());
}

#[test]
fn messages_have_the_numbers_the_limit_and_the_remedy() {
    check_message(
        &GuardError::MassDeletion { gone: 60, known: 1_000 },
        "60 of 1,000 users would be removed (limit: 20 % and 10); nothing was changed; check the sources, or pass --allow-mass-delete if \
         these users are meant to be removed",
    );
    check_message(
        &GuardError::MassDeletion { gone: 8, known: 8 },
        "all 8 users would be removed; nothing was changed; check the sources, or pass --allow-mass-delete if these users are meant to be \
         removed",
    );
    check_message(
        &GuardError::OtherDeletions { gone: 9, known: 12 },
        "9 of 12 users would be removed, but a different set was allowed; nothing was changed; allow the removals that this run reports, \
         or restore the sources",
    );
    check_message(
        &GuardError::RejectRatio {
            rejected: 12,
            sources: 20,
            ratio_max: RejectRatio::default(),
        },
        "12 of 20 sources are rejected (limit: a share of 0.5); nothing was changed; fix the sources that this run rejected, or raise \
         --max-reject-ratio",
    );
    check_message(
        &GuardError::EmptyListing,
        "there is nothing under src-data/; nothing was changed; check the lake's URL, upload sources, or pass --allow-mass-delete if the \
         lake is meant to be empty",
    );
}

#[track_caller]
fn check_folders(files: &[u64], expected: Option<&str>) {
    let folder = |(number, files): (usize, &u64)| EmptyFolder {
        folder: format!("scans-{number}/"),
        files: *files,
    };
    let empty: Vec<_> = files.iter().enumerate().map(folder).collect();
    let found = guard_folders(&empty, DeletionGuard::On).err().map(|error| error.cause());
    assert_eq!(found.as_deref(), expected, "{files:?}");
    assert_eq!(guard_folders(&empty, DeletionGuard::Off), Ok(()));
}

#[test]
fn folder_that_lost_all_its_files_blocks_the_run() {
    check_folders(&[], None);
    check_folders(&[1], Some("the only file in scans-0/ is gone"));
    check_folders(&[4_000, 1], Some("all 4,000 files in scans-0/ are gone"));
}
