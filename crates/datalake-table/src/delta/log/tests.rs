//! Tests of the versions that a listing of the log makes loadable.

use super::*;

#[track_caller]
fn check(entries: &[u64], checkpoints: &[u64], expected: Option<(u64, u64)>) {
    let listing = Listing {
        entries: entries.iter().copied().collect(),
        checkpoints: checkpoints.iter().copied().collect(),
        has_foreign_checkpoints: false,
    };
    let found = listing.loadable().map(RangeInclusive::into_inner);
    assert_eq!(found, expected, "entries: {entries:?}, checkpoints: {checkpoints:?}");
}

#[test]
fn loadable_versions_begin_at_version_0_or_a_checkpoint() {
    check(&[], &[], None);
    check(&[0], &[], Some((0, 0)));
    check(&[0, 1, 2, 3], &[2], Some((0, 3)));
    check(&[1, 2, 3], &[2], Some((2, 3)));
    check(&[2, 3], &[2], Some((2, 3)));
    check(&[3], &[2], Some((2, 3)));
    check(&[], &[2], Some((2, 2)));
}

#[test]
fn loadable_versions_end_the_search_at_a_gap() {
    check(&[2, 3, 5], &[2, 4], Some((4, 5)));
    check(&[0, 2], &[], None);
    check(&[1, 2], &[], None);
}
