//! Patterns: which keys match, which values they have, and which patterns are invalid.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn pattern(text: &str) -> KeyPattern {
    KeyPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[track_caller]
fn check(text: &str, key: &str, expected: &[&str]) {
    let pattern = pattern(text);
    let found = pattern.match_key(key).unwrap_or_else(|mismatch| panic!("{key}: {mismatch:?}"));
    assert_eq!(found.values, expected, "{text}: {key}");
    if !found.has_upper_extension {
        assert_eq!(pattern.key(&found.values).as_deref(), Some(key), "{text}");
    }
}

#[track_caller]
fn check_mismatch(text: &str, key: &str, expected: KeyMismatch) {
    assert_eq!(pattern(text).match_key(key), Err(expected), "{text}: {key}");
}

#[test]
fn values_are_found_between_the_literals() {
    check("src-data/{user_id}.csv", "src-data/1000.csv", &["1000"]);
    check("src-data/{user_id}.csv", "src-data/a.b.csv", &["a.b"]);
    check("src-data/{user_id}.csv", "src-data/a.csv.csv", &["a.csv"]);
    check("src-data/{user_id}.csv", "src-data/1000.CSV", &["1000"]);
    check("p/{plate}/{well}.json.gz", "p/P-1/A01.json.gz", &["P-1", "A01"]);
    check("p/{plate}/{well}.json.gz", "p/P-1/A01.JSON.GZ", &["P-1", "A01"]);
    check(
        "photos/{camera}_{taken}.jpg",
        "photos/cam-1_2026.11_24.jpg",
        &["cam-1", "2026.11_24"],
    );
    check("a/{x}--{y}-{z}", "a/1--2-3-4", &["1", "2", "3-4"]);
    check("{id:[0-9]{4}}/data.csv", "0001/data.csv", &["0001"]);
    check("{id:[0-9]{4}}/data.csv", "0001/data.CSV", &["0001"]);
    check("a/{name:(?i)[a-z ]+}.csv", "a/Ada Lee.csv", &["Ada Lee"]);
    check("a/{name:\\p{L}+}.csv", "a/Ådä.csv", &["Ådä"]);
    check("a+b/{id}(1).txt", "a+b/x(1).txt", &["x"]);
    check("{id}", "x", &["x"]);
    check("{a}.{b}", "x.y.z", &["x", "y.z"]);
}

#[test]
fn other_keys_do_not_match() {
    let users = "src-data/{user_id}.csv";
    check_mismatch(users, "src/1.csv", KeyMismatch::OtherFolder);
    check_mismatch(users, "src-data/a/1.csv", KeyMismatch::Nested);
    check_mismatch(users, "src-data/1.Csv", KeyMismatch::OtherName);
    check_mismatch(users, "src-data/1.csv.gz", KeyMismatch::OtherName);
    check_mismatch(users, "src-data/csv", KeyMismatch::OtherName);
    for id in ["", ".", "..", "a b", "é", "a\n", &"7".repeat(65)] {
        check_mismatch(users, &format!("src-data/{id}.csv"), KeyMismatch::InvalidValue);
    }
    check_mismatch("p/{plate}/{well}.json", "p/a.json", KeyMismatch::OtherName);
    check_mismatch("p/{plate}/{well}.json", "p/a/b/c.json", KeyMismatch::Nested);
    check_mismatch("p/{plate}/{well}.json", "p/../b.json", KeyMismatch::InvalidValue);
    check_mismatch("p/{a}_{b}.csv", "p/x.csv", KeyMismatch::OtherName);
    check_mismatch("p/{a:x_y|x}_{b:[0-9]+}.csv", "p/x_y_1.csv", KeyMismatch::InvalidValue);
    check_mismatch("p/{a:.+}.csv", "p/a\u{7}.csv", KeyMismatch::InvalidValue);
}

#[test]
fn keys_are_formed_only_from_valid_values() {
    let plates = pattern("p/{plate}_{well}.json");
    assert_eq!(plates.key(&["P1", "A_1"]).as_deref(), Some("p/P1_A_1.json"));
    for values in [
        &["P_1", "A1"][..],
        &["P/1", "A1"],
        &["", "A1"],
        &["P1"],
        &["P1", "A1", "x"],
        &["a b", "c"],
    ] {
        assert_eq!(plates.key(values), None, "{values:?}");
    }
    assert_eq!(pattern("{id}").key(&[".."]), None);
}

#[test]
fn users_compile_to_one_regular_expression() {
    let users = pattern("src-data/{user_id}.csv");
    assert_eq!(users.regex(), r"^src\-data/(?<user_id>[\-\.0-9A-Z_a-z]{1,64})(?:\.csv|\.CSV)$");
    assert_eq!((users.folder(), users.depth()), ("src-data/", 1));
    assert_eq!(pattern("a/b{x}/{y}.csv").folder(), "a/");
}

#[test]
fn files_use_the_placeholders_of_the_sources_in_any_order() {
    let source = pattern("s/{a}/{b:[0-9]+}.csv");
    let file = KeyPattern::parse_file("f/{b}-{a}.png", &source).unwrap();
    let found = file.match_key("f/12-x-y.png").unwrap();
    assert_eq!(found.values, ["x-y", "12"]);
    assert_eq!(file.key(&["x-y", "12"]).as_deref(), Some("f/12-x-y.png"));
    assert_eq!(file.match_key("f/x-12.png"), Err(KeyMismatch::InvalidValue));
}

#[track_caller]
fn check_invalid(parsed: Result<KeyPattern, PatternError>, offset: usize, cause: &str) {
    let error = parsed.expect_err(cause);
    assert!(error.found.contains(cause) && !error.expected.is_empty(), "{error:?}");
    assert_eq!(error.offset, offset, "{error:?}");
}

#[rstest]
#[case::empty("", 0, "an empty key")]
#[case::no_placeholder("a/b.csv", 0, "without placeholders")]
#[case::adjacent("a/{x}{y}.csv", 5, "next to another one")]
#[case::repeated("a/{x}-{x}.csv", 7, "duplicate placeholder {x}")]
#[case::opening("a/{x.csv", 2, "an opening brace")]
#[case::closing("a/x}.csv", 3, "a closing brace")]
#[case::closing_after("a/{x}}.csv", 5, "a closing brace")]
#[case::no_name("a/{}.csv", 3, "the name \"\"")]
#[case::upper_case("a/{Id}.csv", 3, "the name \"Id\"")]
#[case::reserved("a/{run_id}.csv", 3, "the reserved name run_id")]
#[case::leading_slash("/{x}.csv", 0, "the segment \"\"")]
#[case::two_slashes("a//{x}.csv", 2, "the segment \"\"")]
#[case::trailing_slash("a/{x}/", 6, "the segment \"\"")]
#[case::dots("a/../{x}.csv", 2, "the segment \"..\"")]
#[case::control_character("a\t/{x}.csv", 1, "U+0009")]
#[case::regex("a/{x:[0-9}.csv", 2, "an opening brace")]
#[case::unknown_class("a/{x:\\q+}.csv", 5, "invalid regular expression")]
#[case::group("a/{x:(a}.csv", 5, "unclosed group")]
#[case::anchor("a/{x:^a$}.csv", 5, "anchor")]
#[case::empty_value("a/{x:[0-9]*}.csv", 5, "the empty text")]
#[case::only_slashes("a/{x:/+}.csv", 3, "which no value matches")]
#[case::only_the_next_literal("a/{x:_+}_{y}.csv", 3, "which no value matches")]
#[case::too_large("a/{x:(?:\\p{L}{1000}){1000}}.csv", 0, "too large")]
#[case::too_many("a/{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}.csv", 0, "9 placeholders")]
fn invalid_pattern_is_rejected_at_its_position(#[case] text: &str, #[case] offset: usize, #[case] cause: &str) {
    check_invalid(KeyPattern::parse(text), offset, cause);
}

#[test]
fn invalid_pattern_of_files_is_rejected_at_its_position() {
    let source = pattern("s/{plate}/{well}.csv");
    let check = |text: &str, offset, cause: &str| check_invalid(KeyPattern::parse_file(text, &source), offset, cause);
    check("f/{plate}.png", 0, "without the placeholder {well}");
    check("f/{plate}/{wel}.png", 11, "the unknown placeholder \"wel\"");
    check("f/{plate}/{well:a}.png", 15, "which source.key defines");
    check("f/{plate}/{well}-{well}.png", 18, "duplicate placeholder {well}");
    // `1-2` and `3`, and `1` and `2-3`, would have the same copy.
    check("f/{plate}-{well}.png", 3, "values of {plate} may contain \"-\"");
    let unknown = KeyPattern::parse_file("f/{plate}/{wel}.png", &source).unwrap_err().unknown;
    assert_eq!(unknown.as_deref(), Some("wel"));
}

const PATTERNS: &[&str] = &[
    "src-data/{user_id}.csv",
    "{id}",
    "p/{plate}/{well}.json.gz",
    "photos/{camera}_{taken}.jpg",
    "{a:[a-z]+}.{b}/x-{c:.+}",
    "a/{x:(?:ab|a)+}b{y:[^c]+}c{z}.txt",
    "a/{x}.{y}.{z}",
    "a/{n:\\d{1,3}}-{m:(?i)q|[é-ü]+}",
];

proptest! {
    /// From values to a key and back.
    #[test]
    fn values_round_trip(index in 0..PATTERNS.len(), values in proptest::collection::vec("[a-c0-9._éQ-]{0,4}|[ab./\n]{1,3}", 3)) {
        let pattern = pattern(PATTERNS[index]);
        let values: Vec<_> = values.iter().take(pattern.placeholders().len()).map(String::as_str).collect();
        if let Some(key) = pattern.key(&values) {
            prop_assert_eq!(pattern.match_key(&key).unwrap().values, values);
        }
    }

    /// From a key to values and back; the regular expression alone finds the same values.
    #[test]
    fn keys_round_trip(index in 0..PATTERNS.len(), name in "(src-data/|p/|photos/|a/|)[a-c0-9._/é-]{0,12}(\\.csv|\\.CSV|\\.json\\.gz|\\.jpg|b.c1\\.txt|/x-q|)") {
        let pattern = pattern(PATTERNS[index]);
        let regex = Regex::new(pattern.regex()).unwrap();
        let captures = regex.captures(&name).map(|captures| {
            pattern.placeholders().iter().map(|placeholder| captures.name(&placeholder.name).unwrap().as_str()).collect::<Vec<_>>()
        });
        match pattern.match_key(&name) {
            Ok(found) => {
                prop_assert_eq!(Some(&found.values), captures.as_ref());
                let expected = match found.has_upper_extension {
                    true => Some(name.replace(".CSV", ".csv")),
                    false => Some(name.clone()),
                };
                prop_assert_eq!(pattern.key(&found.values), expected);
            }
            Err(_) => prop_assert!(captures.is_none_or(|values| values.iter().any(|value| matches!(*value, "." | "..")))),
        }
    }

    /// Any text is a pattern or an error at a position of the text.
    #[test]
    fn any_text_gets_a_result(text in "([a-c{}:/.\\[\\]+*?()|\\\\^$-]|\\{x\\}|\\{y:|é|\t){0,16}") {
        match KeyPattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(pattern.as_str(), text),
            Err(error) => prop_assert!(error.offset <= text.len() && !error.expected.is_empty(), "{:?}", error),
        }
    }
}
