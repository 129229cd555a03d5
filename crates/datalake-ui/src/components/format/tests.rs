//! Tests of formatted numbers, sentences, durations and times.

use super::*;

#[test]
fn numbers_have_thousands_separators() {
    let numbers = [0, 999, 1_000, 12_345, 1_234_567].map(number);
    assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,234,567"]);
}

#[test]
fn only_one_is_singular() {
    let counts = [0, 1, 2].map(|count| counted(count, "row", "rows"));
    assert_eq!(counts, ["0 rows", "1 row", "2 rows"]);
}

#[test]
fn sentences_start_with_a_capital_and_end_with_a_full_stop() {
    assert_eq!(sentence("try again later"), "Try again later.");
    assert_eq!(sentence("Done."), "Done.");
    assert_eq!(sentence("école"), "École.");
    assert_eq!(sentence(""), ".");
}

#[test]
fn key_at_the_beginning_of_a_sentence_keeps_its_spelling() {
    assert_eq!(sentence("src-data/1.csv is rejected"), "src-data/1.csv is rejected.");
}

#[test]
fn file_name_at_the_beginning_of_a_sentence_keeps_its_spelling() {
    assert_eq!(sentence("dataset.toml of the lake differs"), "dataset.toml of the lake differs.");
    assert_eq!(sentence("wait... then retry"), "Wait... then retry.");
}

#[test]
fn durations_of_runs() {
    let texts = [0, 999, 1_000, 59_999, 60_000, 3_725_000].map(milliseconds);
    assert_eq!(texts, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "62 min 5 s"]);
}

#[test]
fn long_text_is_truncated_at_a_character() {
    assert_eq!(truncate("", 3), "");
    assert_eq!(truncate("abc", 3), "abc");
    assert_eq!(truncate("abcd", 3), "abc…");
    assert_eq!(truncate("aëëë", 2), "a…");
    assert_eq!(truncate("ëëë", 1), "…");
}

#[test]
fn times_have_whole_seconds() {
    let at = "2026-11-24T12:00:00.123456Z".parse().unwrap();
    let text = time(at, at).into_string();
    assert!(text.contains("datetime=\"2026-11-24T12:00:00Z\""), "{text}");
}

#[track_caller]
fn check_ago(seconds: i64, expected: &str) {
    assert_eq!(ago(SignedDuration::from_secs(seconds)), expected);
}

#[test]
fn elapsed_times() {
    check_ago(0, "0 s ago");
    check_ago(59, "59 s ago");
    check_ago(60, "1 min ago");
    check_ago(3_599, "59 min ago");
    check_ago(3_600, "1 h ago");
    check_ago(172_799, "47 h ago");
    check_ago(172_800, "2 days ago");
    check_ago(-120, "in 2 min");
}
