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
