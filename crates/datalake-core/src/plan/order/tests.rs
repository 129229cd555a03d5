//! Grouping and reordering against tables of cases and a plain sort.

use proptest::prelude::*;

use super::*;
use crate::plan::tests::{object, recorded};

fn dataset(key: &str, file: &str) -> Arc<Dataset> {
    let text = format!("source.key = '{key}'\n[files.scan]\nkey = '{file}'\ntypes = ['image/png']\n");
    Arc::new(Dataset::parse(&text).unwrap())
}

/// The entries of the listing of the folder `src-data/`.
fn entries(dataset: &Arc<Dataset>, names: &[&str]) -> Vec<ListingEntry> {
    let mut names = names.to_vec();
    names.sort_unstable();
    let (mut grouper, mut out) = (SourceGrouper::new(Arc::clone(dataset), keys::SOURCES), Vec::new());
    for name in names {
        let object = object(name, "e");
        if grouper.concerns(&object.key) {
            grouper.push(object, &mut out).unwrap();
        }
    }
    grouper.finish(&mut out);
    out
}

fn name(object: &SourceObject) -> String {
    object.key[keys::SOURCES.len()..].to_owned()
}

fn group(dataset: &Arc<Dataset>, names: &[&str]) -> Vec<String> {
    let entries = entries(dataset, names).into_iter();
    let shown = entries.flat_map(|listed| match listed {
        ListingEntry::Row(row) => match row.complete() {
            Ok(row) => {
                let file = row.files[0].as_ref().map(name).unwrap_or_default();
                vec![format!("{}: {} {file}", row.row_id, name(&row.csv))]
            }
            Err(orphans) => orphans.iter().map(|file| format!("{} without CSV", name(file))).collect(),
        },
        ListingEntry::Ignored(object, code) => vec![format!("{} {code}", name(&object))],
    });
    shown.collect()
}

#[track_caller]
fn check_grouped(names: &[&str], expected: &[&str]) {
    assert_eq!(group(&Dataset::shared_users(), names), expected, "names: {names:?}");
}

#[test]
fn sources_are_grouped_by_user() {
    check_grouped(&["1.csv", "1.png", "2.csv"], &["1: 1.csv 1.png", "2: 2.csv "]);
    check_grouped(&["a.csv", "a-b.csv", "a.png"], &["a-b: a-b.csv ", "a: a.csv a.png"]);
    check_grouped(
        &["a.csv", "a.p.csv", "a.png", "a.p.PNG"],
        &["a.p: a.p.csv a.p.PNG", "a: a.csv a.png"],
    );
    check_grouped(&["1.CSV", "1.csv", "1.PNG"], &["1.CSV shadowed", "1: 1.csv 1.PNG"]);
    check_grouped(&["1.CSV", "1.png"], &["1: 1.CSV 1.png"]);
    check_grouped(&["1.png"], &["1.png without CSV"]);
    check_grouped(&["1.PNG", "1.png"], &["1.PNG shadowed", "1.png without CSV"]);
    check_grouped(
        &["", "a/", "a/1.csv", "x y.csv", "notes.txt"],
        &["a/ nested", "a/1.csv nested", "notes.txt unknown_kind", "x y.csv bad_id"],
    );
}

#[test]
fn sources_in_folders_are_grouped_by_all_values() {
    let wells = dataset("src-data/{plate}/{well}.csv", "src-data/{plate}/{well}.png");
    assert_eq!(
        group(
            &wells,
            &[
                "",
                "a/",
                "a/1.csv",
                "a/1.png",
                "a-b/1.csv",
                "a/b/",
                "a/b/1.csv",
                "1.csv",
                "a/x y.csv"
            ]
        ),
        [
            "1.csv unknown_kind",
            "a-b/1: a-b/1.csv ",
            "a/b/ nested",
            "a/b/1.csv nested",
            "a/x y.csv bad_id",
            "a/1: a/1.csv a/1.png"
        ]
    );
    let folders = dataset("src-data/{id}/data.csv", "src-data/{id}/scan.png");
    assert_eq!(
        group(&folders, &["a/scan.png", "a/data.csv", "a-b/data.csv", "a/notes.txt"]),
        ["a-b/: a-b/data.csv ", "a/notes.txt unknown_kind", "a/: a/data.csv a/scan.png"].map(|line| line.replace("/:", ":"))
    );
}

#[test]
fn objects_are_listed_with_the_innermost_folder() {
    let within = dataset("src-data/{id}.csv", "src-data/scans/{id}.png");
    assert_eq!(
        group(&within, &["1.csv", "scans/1.png", "scans/x.txt", "scans/", "y.txt"]),
        ["y.txt unknown_kind", "1: 1.csv "]
    );
    let (mut scans, mut out) = (SourceGrouper::new(Arc::clone(&within), "src-data/scans/"), Vec::new());
    assert!(scans.concerns("src-data/scans/x.txt") && !scans.concerns("src-data/scans/"));
    scans.push(object("scans/1.png", "e"), &mut out).unwrap();
    scans.finish(&mut out);
    let (Some(ListingEntry::Row(scan)), Some(ListingEntry::Row(mut row))) = (out.pop(), entries(&within, &["1.csv"]).pop()) else {
        panic!("both listings have the row")
    };
    assert_eq!(row.compare(&scan), Ordering::Equal);
    row.merge(scan);
    let row = row.complete().ok().unwrap();
    assert_eq!(row.files[0].as_ref().map(name).as_deref(), Some("scans/1.png"));
}

#[test]
fn recorded_rows_of_another_declaration_are_all_returned() {
    let wells = dataset("src-data/{plate}/{well}.csv", "src-data/{plate}/{well}.png");
    let ids: Vec<RowId> = [&["a"][..], &["a", "b"], &["a", "b", "c"], &["a", "b", "d"], &["a-", "b"]]
        .map(|values| RowId::of(values).unwrap())
        .into();
    let (mut key_order, mut ordered) = (KeyOrder::new(Arc::clone(&wells)), Vec::new());
    for row_id in &ids {
        let row = RecordedRow {
            row_id: row_id.clone(),
            ..recorded(true, None, None)
        };
        key_order.push(row, &mut ordered);
    }
    key_order.finish(&mut ordered);
    assert_eq!(ordered.len(), ids.len());
    let compare = |left: &RecordedRow, right: &RecordedRow| compare_key_order(&wells, &left.row_id, &right.row_id).is_lt();
    assert!(ordered.is_sorted_by(compare), "{ordered:?}");
}

#[test]
fn listing_out_of_order_is_an_error() {
    let (mut grouper, mut out) = (SourceGrouper::new(Dataset::shared_users(), keys::SOURCES), Vec::new());
    grouper.push(object("2.csv", "e"), &mut out).unwrap();
    // The escaped spelling of a name that is not text has no defined position.
    grouper.push(object("1%E9.csv", "e"), &mut out).unwrap();
    grouper.push(object("1%E9.csv", "e"), &mut out).unwrap();
    assert!(grouper.push(object("1.csv", "e"), &mut out).is_err());
    assert!(grouper.push(object("1.csv", "e"), &mut out).is_err(), "twice the same source");
}

/// The declarations of keys with as many values as an ID.
fn datasets(values: usize) -> Vec<Arc<Dataset>> {
    match values {
        1 => vec![
            Dataset::shared_users(),
            dataset("src-data/{id}/data.csv", "src-data/{id}.png"),
            dataset("src-data/x-{id}_.csv", "scans/x-{id}-scan.png"),
        ],
        _ => vec![
            dataset("src-data/{a}/{b}.csv", "src-data/{a}/{b}.png"),
            dataset("src-data/{a}~{b}.csv", "scans/{a}~{b}.png"),
        ],
    }
}

fn ids(values: usize) -> impl Strategy<Value = Vec<RowId>> {
    let value = "[aB0][aB0._-]{0,4}(\\.csv|\\.png|\\.CSV|\\.PNG|-)?";
    let id =
        prop::collection::vec(value, values).prop_map(|values| RowId::of(&values.iter().map(String::as_str).collect::<Vec<_>>()).unwrap());
    prop::collection::btree_set(id, 0..40).prop_map(|ids| ids.into_iter().collect())
}

/// Both streams are returned in the same order, and few rows are pending.
fn check_order(dataset: &Arc<Dataset>, ids: &[RowId]) -> Result<(), TestCaseError> {
    let mut expected = ids.to_vec();
    expected.sort_by_key(|id| keys::row_end(dataset, id));
    let (mut key_order, mut ordered) = (KeyOrder::new(Arc::clone(dataset)), Vec::new());
    for row_id in ids {
        let row = RecordedRow {
            row_id: row_id.clone(),
            ..recorded(true, None, None)
        };
        key_order.push(row, &mut ordered);
        prop_assert!(dataset.id_columns() > 1 || key_order.pending.len() <= RowId::BYTES_MAX);
    }
    key_order.finish(&mut ordered);
    prop_assert_eq!(
        ordered.iter().map(|row| &row.row_id).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    for folder in keys::source_folders(dataset) {
        let keys_of = |id: &RowId| {
            let patterns = keys::patterns(dataset).filter(|pattern| pattern.folder() == folder);
            patterns.flat_map(|pattern| pattern.spellings(id)).collect::<Vec<_>>()
        };
        // An ID can make names such as `a.csv.csv`, which are not those of sources.
        let mut keys: Vec<String> = ids
            .iter()
            .flat_map(keys_of)
            .filter(|key| keys::parse_source(dataset, key).is_ok())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let (mut grouper, mut out) = (SourceGrouper::new(Arc::clone(dataset), folder), Vec::new());
        for key in &keys {
            let object = SourceObject {
                key: key.as_str().into(),
                ..object("", "e")
            };
            prop_assert!(grouper.concerns(key));
            grouper.push(object, &mut out).unwrap();
            prop_assert!(dataset.id_columns() > 1 || grouper.pending.len() <= RowId::BYTES_MAX);
        }
        grouper.finish(&mut out);
        let rows = out.iter().filter_map(|listed| match listed {
            ListingEntry::Row(row) => Some(row),
            ListingEntry::Ignored(..) => None,
        });
        let rows = rows.collect::<Vec<_>>();
        prop_assert!(rows.is_sorted_by(|left, right| left.compare(right).is_lt()));
        let listed: usize = rows
            .iter()
            .map(|row| row.csv.iter().chain(row.files.iter().flatten()).count())
            .sum();
        prop_assert!(listed <= keys.len() && rows.len() <= ids.len() && rows.is_empty() == keys.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn streams_of_ids_of_one_value_are_in_the_common_order(ids in ids(1)) {
        for dataset in datasets(1) {
            check_order(&dataset, &ids)?;
        }
    }

    #[test]
    fn streams_of_ids_of_two_values_are_in_the_common_order(ids in ids(2)) {
        for dataset in datasets(2) {
            check_order(&dataset, &ids)?;
        }
    }
}
