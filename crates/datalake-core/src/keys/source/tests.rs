//! Names of sources and of ignored objects.

use rstest::rstest;

use super::*;

#[rstest]
#[case::lower("1000.csv", "1000", KeyRole::Source, ExtensionCase::Lower)]
#[case::image("0001.png", "0001", KeyRole::File(0), ExtensionCase::Lower)]
#[case::upper_csv("1000.CSV", "1000", KeyRole::Source, ExtensionCase::Upper)]
#[case::upper_image("1000.PNG", "1000", KeyRole::File(0), ExtensionCase::Upper)]
#[case::long(&format!("{}.csv", "7".repeat(64)), &"7".repeat(64), KeyRole::Source, ExtensionCase::Lower)]
#[case::all_characters("A-Z_a.z-09.csv", "A-Z_a.z-09", KeyRole::Source, ExtensionCase::Lower)]
#[case::other_extension_within("a.png.csv", "a.png", KeyRole::Source, ExtensionCase::Lower)]
#[case::hyphen("-.png", "-", KeyRole::File(0), ExtensionCase::Lower)]
#[case::dots("....csv", "...", KeyRole::Source, ExtensionCase::Lower)]
#[case::hidden(".1.csv", ".1", KeyRole::Source, ExtensionCase::Lower)]
#[case::ends_like_a_word("depart.csv", "depart", KeyRole::Source, ExtensionCase::Lower)]
#[case::begins_like_a_word("part.1.csv", "part.1", KeyRole::Source, ExtensionCase::Lower)]
fn source_name_is_a_user_id_with_an_extension(
    #[case] name: &str,
    #[case] id: &str,
    #[case] role: KeyRole,
    #[case] extension_case: ExtensionCase,
) {
    let row_id = RowId::parse(id).unwrap();
    let expected = SourceKey {
        row_id,
        role,
        extension_case,
    };
    assert_eq!(parse_source(Dataset::users(), &source(name)), Ok(expected), "name: {name:?}");
}

#[rstest]
// The first two IDs would be `..` and `.`.
#[case::two_dots("...csv")]
#[case::dot("..csv")]
#[case::nothing(".csv")]
#[case::space("a b.csv")]
#[case::percent("a%2Fb.csv")]
#[case::letter_beyond_ascii("é.csv")]
#[case::line_feed("a\nb.csv")]
#[case::nul("a\u{0}b.png")]
#[case::parentheses("1 (1).csv")]
#[case::zero_width_space("1\u{200b}.csv")]
#[case::backslash("a\\1.csv")]
#[case::full_width_digit("１.csv")]
#[case::too_long(&format!("{}.csv", "7".repeat(65)))]
fn invalid_id_is_ignored_as_bad_id(#[case] name: &str) {
    assert_eq!(parse_source(Dataset::users(), &source(name)), Err(IgnoreCode::BadId));
}

#[rstest]
#[case::mixed_case("1000.Csv")]
#[case::text("1000.txt")]
#[case::none("1000")]
#[case::jpeg("1000.jpg")]
#[case::space_after("1000.csv ")]
#[case::second_extension("1000.csv.gz")]
#[case::csv_alone("csv")]
fn other_extension_is_ignored_as_unknown_kind(#[case] name: &str) {
    assert_eq!(parse_source(Dataset::users(), &source(name)), Err(IgnoreCode::UnknownKind));
}

#[rstest]
#[case::apple_double("._1000.csv")]
#[case::libre_office_lock(".~lock.1000.csv#")]
#[case::office_owner("~$1000.csv")]
#[case::backup("1000.csv~")]
#[case::rsync(".1000.csv.aB3xYz")]
#[case::rsync_image(".1000.png.aB3xYz")]
#[case::part_before_the_extension("1000.part.csv")]
#[case::part_after_the_extension("1000.csv.part")]
#[case::upper_case_part("1000.PART.CSV")]
#[case::tmp("1000.tmp")]
#[case::tmp_image("1000.png.tmp")]
#[case::tmp_before_the_extension("1000.tmp.png")]
#[case::csv_twice("1003.csv.csv")]
#[case::png_twice("1003.png.png")]
#[case::syncthing_conflict("x.sync-conflict-20260101-120000-ABCDEFG.csv")]
#[case::syncthing_temporary(".syncthing.1000.csv.tmp")]
#[case::dropbox_conflict("1000 (Ada's conflicted copy 2026-01-01).csv")]
#[case::vim(".1000.csv.swp")]
#[case::emacs_lock(".#1000.csv")]
#[case::emacs_save("#1000.csv#")]
#[case::gnome(".goutputstream-ABC123")]
#[case::win_scp("1000.csv.filepart")]
#[case::browser("1000.csv.crdownload")]
#[case::finder(".DS_Store")]
#[case::explorer("Thumbs.db")]
#[case::nfs(".nfs000000000001")]
#[case::fuse(".fuse_hidden0000000100000002")]
#[case::backup_extension("1000.csv.bak")]
fn temporary_and_sidecar_files_are_ignored_as_temporary(#[case] name: &str) {
    assert_eq!(parse_source(Dataset::users(), &source(name)), Err(IgnoreCode::Temporary));
}

#[rstest]
#[case::source("a/1.csv")]
#[case::marker("a/")]
#[case::empty_folder_name("/1.csv")]
#[case::temporary("a/._1.csv")]
fn object_in_a_folder_is_ignored_as_nested(#[case] name: &str) {
    assert_eq!(parse_source(Dataset::users(), &source(name)), Err(IgnoreCode::Nested));
}

#[track_caller]
fn check_folders(source: &str, file: &str, common: &str, names: [&str; 2], above: &[&str], not_above: &[&str]) {
    let text = format!("source.key = '{source}'\n[files.scan]\nkey = '{file}'\ntypes = ['image/png']\n");
    let dataset = Dataset::parse(&text).unwrap();
    assert_eq!(
        (common_folder(&dataset), &*name_templates(&dataset)),
        (common, &names.map(str::to_owned)[..])
    );
    for folder in above {
        assert!(is_above_sources(&dataset, folder), "{folder}");
    }
    for folder in not_above {
        assert!(!is_above_sources(&dataset, folder), "{folder}");
    }
}

#[test]
fn common_folder_contains_sources_and_files() {
    check_folders(
        "a/{id}.csv",
        "a/{id}.png",
        "a/",
        ["{id}.csv", "{id}.png"],
        &["a/"],
        &["a/x/", "ab/", "b/"],
    );
    check_folders(
        "a/{id}.csv",
        "ab/{id}.png",
        "",
        ["a/{id}.csv", "ab/{id}.png"],
        &["a/", "ab/"],
        &["abc/", "a/b/"],
    );
    check_folders(
        "x/a/{id}.csv",
        "x/a/b/{id}.png",
        "x/a/",
        ["{id}.csv", "b/{id}.png"],
        &["x/", "x/a/", "x/a/b/"],
        &["x/a/c/", "x/b/", "x/a/b/c/"],
    );
    check_folders(
        "x/a/{p}/{id}.csv",
        "x/b/{p}/{id}.png",
        "x/",
        ["a/{p}/{id}.csv", "b/{p}/{id}.png"],
        &["x/", "x/a/P1/", "x/b/P1/"],
        &["x/c/", "x/a/P1/more/"],
    );
}
