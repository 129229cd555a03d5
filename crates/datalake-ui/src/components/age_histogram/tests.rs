//! Tests of the bars of the age histogram.

use super::*;

#[track_caller]
fn check(all: &[(u16, u64)], with_image: &[(u16, u64)], expected: &[(u16, u16, u64, u64)]) {
    let bars = bars(all, with_image);
    let bars: Vec<_> = bars
        .iter()
        .map(|bar| (bar.min_age, bar.max_age, bar.with_image, bar.without_image))
        .collect();
    assert_eq!(bars, expected);
}

#[test]
fn few_ages_have_one_bar_each() {
    check(&[], &[], &[]);
    check(&[(22, 1)], &[], &[(22, 22, 0, 1)]);
    check(&[(22, 3), (24, 1)], &[(22, 2)], &[(22, 22, 2, 1), (23, 23, 0, 0), (24, 24, 0, 1)]);
}

#[test]
fn many_ages_are_grouped() {
    let hundred: Vec<(u16, u64)> = (3..=102).map(|age| (age, 1)).collect();
    let grouped = bars(&hundred, &hundred[..1]);
    assert_eq!(grouped.len(), 21);
    assert_eq!((grouped[0].min_age, grouped[0].max_age), (0, 4));
    assert_eq!((grouped[0].with_image, grouped[0].without_image), (1, 1));
    assert_eq!(grouped.iter().map(|bar| bar.users()).sum::<u64>(), 100);
    let fifty: Vec<(u16, u64)> = (0..50).map(|age| (age, 1)).collect();
    assert_eq!(bars(&fifty, &[]).len(), 25);
    let most: Vec<(u16, u64)> = (1..=25).map(|age| (age, 1)).collect();
    assert_eq!(bars(&most, &[]).len(), 25);
    check_all_counted(&fifty);
    check_all_counted(&[(0, 1), (u16::MAX, 1)]);
    check_all_counted(&[(u16::MAX, 2)]);
}

/// Each user is counted once, and no bar has an empty range.
#[track_caller]
fn check_all_counted(all: &[(u16, u64)]) {
    let bars = bars(all, &[]);
    assert!(
        bars.len() <= chart::COLUMNS_MAX && bars.iter().all(|bar| bar.min_age <= bar.max_age),
        "{bars:?}"
    );
    let users: u64 = bars.iter().map(|bar| bar.users()).sum();
    assert_eq!(users, all.iter().map(|(_, users)| users).sum::<u64>(), "{all:?}");
}

#[test]
fn bar_links_to_its_users() {
    let text = histogram(&[(22, 1_234), (23, 1)], &[(22, 1_000)]).into_string();
    assert!(text.contains("<a href=\"/page/users?min_age=22&amp;max_age=22\""), "{text}");
    assert!(text.contains("Age 22: 1,234 users, 1,000 with image"), "{text}");
    assert!(histogram(&[], &[]).into_string().contains("No ages to show"));
}
