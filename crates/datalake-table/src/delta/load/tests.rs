//! Tests of the checkpoint and the entries that a load reads.

use super::*;

/// The checkpoint and the entries to read. None if there is no table.
type Expected<'a> = Result<Option<(Option<u64>, &'a [u64])>, &'a str>;

#[track_caller]
fn check(entries: &[u64], checkpoints: &[u64], number: Option<u64>, expected: Expected<'_>) {
    let listing = Listing {
        entries: entries.iter().copied().collect(),
        checkpoints: checkpoints.iter().copied().collect(),
        has_foreign_checkpoints: false,
    };
    let planned = plan(&listing, number)
        .map(|plan| plan.map(|plan| (plan.checkpoint, plan.entries)))
        .map_err(|error| error.to_string());
    match expected {
        Ok(expected) => assert_eq!(
            planned.unwrap(),
            expected.map(|(checkpoint, entries)| (checkpoint, entries.to_vec()))
        ),
        Err(expected) => assert!(planned.clone().unwrap_err().contains(expected), "{planned:?}"),
    }
}

#[test]
fn load_reads_the_newest_usable_checkpoint_and_the_entries_after_it() {
    check(&[], &[], None, Ok(None));
    check(&[0], &[], None, Ok(Some((None, &[0]))));
    check(&[0, 1, 2], &[1], None, Ok(Some((Some(1), &[2]))));
    check(&[0, 1, 2], &[2], None, Ok(Some((Some(2), &[]))));
    check(&[2, 3, 4], &[2, 4], Some(3), Ok(Some((Some(2), &[3]))));
    check(&[0, 1, 2], &[2], Some(1), Ok(Some((None, &[0, 1]))));
    check(&[3], &[2], None, Ok(Some((Some(2), &[3]))));
    check(&[], &[2], None, Ok(Some((Some(2), &[]))));
}

#[test]
fn missing_entries_and_versions_are_errors() {
    check(&[1, 2], &[], None, Err("is missing"));
    check(&[0, 2], &[], None, Err("is missing"));
    check(&[2, 3], &[2], Some(1), Err("does not exist"));
    check(&[0, 1], &[], Some(2), Err("does not exist"));
}

#[test]
fn version_numbers_are_bounded() {
    check(&[0, u64::MAX], &[], None, Err("larger than any version number"));
    check(&[0], &[u64::MAX], None, Err("18446744073709551615.checkpoint.parquet"));
    check(&[0, NUMBER_MAX], &[], None, Err("is missing"));
    check(&[NUMBER_MAX], &[NUMBER_MAX], None, Ok(Some((Some(NUMBER_MAX), &[]))));
}
