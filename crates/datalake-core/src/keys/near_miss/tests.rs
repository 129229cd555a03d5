//! Suggestions for names that are nearly those of sources.

use rstest::rstest;

use super::*;
use crate::keys::{SOURCES, source};

#[rstest]
#[case::case("1.Png", Some(("1.png", NameDifference::Case)))]
#[case::case_of_csv("a.b.cSV", Some(("a.b.csv", NameDifference::Case)))]
#[case::jpeg("1.jpg", Some(("1.png", NameDifference::ImageType)))]
#[case::upper_jpeg("1.JPEG", Some(("1.png", NameDifference::ImageType)))]
#[case::workbook("1.xlsx", Some(("1.csv", NameDifference::TableType)))]
#[case::hidden_extension("1.csv.txt", Some(("1.csv", NameDifference::SecondExtension)))]
#[case::compressed("1.PNG.gz", Some(("1.png", NameDifference::SecondExtension)))]
#[case::space_after("1.csv ", Some(("1.csv", NameDifference::WhiteSpace)))]
#[case::space_before(" 1.png", Some(("1.png", NameDifference::WhiteSpace)))]
#[case::byte_order_mark("\u{feff}1.CSV", Some(("1.csv", NameDifference::WhiteSpace)))]
#[case::bad_id("é.Png", None)]
#[case::text("notes.txt", None)]
#[case::other("notes.md", None)]
#[case::none("README", None)]
fn near_miss_names_the_intended_source(#[case] name: &str, #[case] expected: Option<(&str, NameDifference)>) {
    let near = near_miss(Dataset::users(), SOURCES, name);
    assert_eq!(
        row_of(Dataset::users(), &source(name)),
        near.as_ref().map(|near| near.row_id.clone())
    );
    let found = near.map(|near| (near.key, near.difference));
    assert_eq!(found, expected.map(|(target, difference)| (source(target), difference)));
}

proptest::proptest! {
    #[test]
    fn near_miss_of_any_name_is_a_source(name in "(\\PC|[ ._~#/-]|csv|png){0,12}(\\.(csv|Png|jpg|tmp|\\PC))?") {
        let key = source(&name);
        let parsed = parse_source(Dataset::users(), &key);
        let near = near_miss(Dataset::users(), SOURCES, &name);
        proptest::prop_assert!(near.is_none_or(|near| parse_source(Dataset::users(), &near.key).is_ok_and(|source| source.row_id == near.row_id)));
        if let Ok(source) = parsed {
            proptest::prop_assert_eq!(row_of(Dataset::users(), &key), Some(source.row_id));
        }
    }
}
