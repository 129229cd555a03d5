//! Every ignored name gets a cause and a remedy.

use super::*;

fn reason_of(key: &str) -> String {
    let code = keys::parse_source(Dataset::users(), key).expect_err("the name is not that of a source");
    reason(Dataset::users(), code, key).to_string()
}

#[rstest::rstest]
#[case::case("1.Png", "\"1.Png\" differs from 1.png only in case", "rename it to 1.png")]
#[case::image_type("1.jpg", "an image that is not a PNG", "convert the image to PNG and store it as 1.png")]
#[case::table_type("1.xlsx", "a table that is not a CSV", "store it as 1.csv")]
#[case::second_extension("1.csv.txt", "another extension after that of 1.csv", "store the plain file as 1.csv")]
#[case::blank("1.csv ", "only by U+0020 (SPACE)", "rename it to 1.csv")]
#[case::extension("notes.md", "ends with \".md\"", "{user_id}.csv or {user_id}.png")]
#[case::no_extension("README", "\"README\" has no extension", "rename the object")]
#[case::space_in_the_id("a b.csv", "\"a b\" contains U+0020 (SPACE)", "1 to 64 characters of A-Z a-z 0-9 . _ -")]
#[case::invisible_in_the_id("1\u{200b}.csv", "\"1<U+200B>\" contains U+200B (ZERO WIDTH SPACE)", "rename the object")]
#[case::folder_name("..csv", "the ID would be \".\"", "rename the object")]
#[case::nothing_before(".csv", "nothing before its extension", "rename the object")]
#[case::long_id(&format!("{}.csv", "7".repeat(65)), "has 65 characters", "rename the object")]
#[case::temporary("._1.csv", "a temporary or sidecar file", "remove the file")]
#[case::nested("a/1.csv", "in a folder below src-data/", "move the sources up")]
fn reasons_of_ignored_names_state_cause_and_remedy(#[case] name: &str, #[case] cause: &str, #[case] remedy: &str) {
    let reason = reason_of(&keys::source(name));
    assert!(reason.contains(cause) && reason.contains(remedy), "{reason}");
}

#[test]
fn id_of_another_form_is_compared_with_the_declared_regular_expression() {
    let dataset = Dataset::parse("source.key = 'src-data/{id:[0-9]{4}}.csv'\n").unwrap();
    let check = |name: &str, cause: &str| {
        let key = keys::source(name);
        assert_eq!(keys::parse_source(&dataset, &key), Err(IgnoreCode::BadId));
        let reason = reason(&dataset, IgnoreCode::BadId, &key).to_string();
        assert!(reason.contains(cause) && reason.contains("that matches \"[0-9]{4}\""), "{reason}");
    };
    check("1.csv", "the ID \"1\" does not match \"[0-9]{4}\"");
    check("a b.csv", "contains U+0020 (SPACE)");
}

#[test]
fn names_in_several_folders_are_compared_with_all_keys() {
    let text = "entity = 'well'\nsource.key = 'plates/{plate}/{well:[A-Z][0-9]+}.csv'\n[files.scan]\nkey = 'scans/{plate}/{well}.png'\n";
    let dataset = Dataset::parse(text).unwrap();
    let check = |key: &str, cause: &str, expected: &str| {
        let code = keys::parse_source(&dataset, key).unwrap_err();
        let reason = reason(&dataset, code, key).to_string();
        assert!(reason.contains(cause) && reason.contains(expected), "{key}: {reason}");
    };
    let keys_of_sources = "plates/{plate}/{well}.csv or scans/{plate}/{well}.png";
    check("plates/A1.csv", "\"A1.csv\" has other parts than those of sources", keys_of_sources);
    check("scans/notes.txt", "\"notes.txt\" ends with \".txt\"", keys_of_sources);
    check(
        "scans/P1/A1.Png",
        "\"P1/A1.Png\" differs from P1/A1.png only in case",
        "rename it to P1/A1.png",
    );
    check("plates/P1/x/A1.csv", "is in a folder below those of the sources", keys_of_sources);
    check(
        "plates/a b/A1.csv",
        "the value of plate \"a b\" contains U+0020 (SPACE)",
        "a value of 1 to 64 characters",
    );
    check(
        "scans/P1/1.png",
        "the value of well \"1\" does not match \"[A-Z][0-9]+\"",
        "where the key has {well}",
    );
    check(
        "plates/../A1.csv",
        "the value of plate would be \"..\", which names a folder",
        "where the key has {plate}",
    );
    check("plates/P1/.csv", "the value of well is empty", "where the key has {well}");
}
