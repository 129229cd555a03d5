//! Grouping and reordering against tables of cases and a plain sort.

use proptest::prelude::*;

use super::*;
use crate::plan::tests::{object, recorded};

fn group(names: &[&str]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    let (mut grouper, mut out) = (SourceGrouper::new(Dataset::shared_users()), Vec::new());
    for name in names {
        grouper.push(object(name, "e"), &mut out).unwrap();
    }
    grouper.finish(&mut out);
    let name = |object: &SourceObject| object.key[keys::SOURCES.len()..].to_owned();
    out.iter()
        .map(|listed| match listed {
            ListingEntry::Row(user) => format!(
                "{}: {} {}",
                user.row_id,
                name(&user.csv),
                user.files[0].as_ref().map(name).unwrap_or_default()
            ),
            ListingEntry::Ignored(object, code) => format!("{} {code}", name(object)),
        })
        .collect()
}

#[track_caller]
fn check_grouped(names: &[&str], expected: &[&str]) {
    assert_eq!(group(names), expected, "names: {names:?}");
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
    check_grouped(&["1.png"], &["1.png orphan_image"]);
    check_grouped(&["1.PNG", "1.png"], &["1.PNG shadowed", "1.png orphan_image"]);
    check_grouped(
        &["", "a/", "a/1.csv", "x y.csv", "notes.txt"],
        &["a/ nested", "a/1.csv nested", "notes.txt unknown_kind", "x y.csv bad_id"],
    );
}

#[test]
fn listing_out_of_order_is_an_error() {
    let (mut grouper, mut out) = (SourceGrouper::new(Dataset::shared_users()), Vec::new());
    grouper.push(object("2.csv", "e"), &mut out).unwrap();
    // The escaped spelling of a name that is not text has no defined position.
    grouper.push(object("1%E9.csv", "e"), &mut out).unwrap();
    grouper.push(object("1%E9.csv", "e"), &mut out).unwrap();
    assert!(grouper.push(object("1.csv", "e"), &mut out).is_err());
    assert!(grouper.push(object("1.csv", "e"), &mut out).is_err(), "twice the same source");
}

/// Whether an ID makes names such as `a.csv.csv`, which are not those of sources.
fn is_temporary(id: &RowId) -> bool {
    keys::parse_source(Dataset::users(), &keys::source(&format!("{id}.csv"))).is_err()
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[aB0][aB0._-]{0,4}(\\.csv|\\.png|\\.CSV|\\.PNG|-)?", 0..40).prop_map(|ids| ids.into_iter().collect())
}

proptest! {
    /// For any IDs, both streams are returned in the same order, and few users are pending.
    #[test]
    fn both_streams_are_returned_in_the_common_order(ids in ids()) {
        let ids: Vec<_> = ids.iter().filter_map(|id| RowId::parse(id).ok()).collect();
        let mut expected: Vec<_> = ids.clone();
        expected.sort_by_key(|id| keys::last_source(Dataset::users(), id));

        let (mut key_order, mut ordered) = (KeyOrder::new(Dataset::shared_users()), Vec::new());
        for id in &ids {
            key_order.push(RecordedRow { row_id: id.clone(), ..recorded(true, None, None) }, &mut ordered);
            prop_assert!(key_order.pending.len() <= RowId::BYTES_MAX);
        }
        key_order.finish(&mut ordered);
        prop_assert_eq!(ordered.iter().map(|user| &user.row_id).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());

        let mut names: Vec<_> = ids.iter().flat_map(|id| ["csv", "PNG", "png"].map(|extension| format!("{id}.{extension}"))).collect();
        names.sort_unstable();
        names.dedup();
        let (mut grouper, mut out) = (SourceGrouper::new(Dataset::shared_users()), Vec::new());
        names.retain(|name| keys::parse_source(Dataset::users(), &keys::source(name)).is_ok());
        for name in names {
            grouper.push(object(&name, "e"), &mut out).unwrap();
            prop_assert!(grouper.pending.len() <= RowId::BYTES_MAX);
        }
        grouper.finish(&mut out);
        let users: Vec<_> = out.iter().filter_map(|listed| match listed {
            ListingEntry::Row(user) => Some(&user.row_id),
            ListingEntry::Ignored(..) => None,
        }).collect();
        let mut sorted = users.clone();
        sorted.sort_by_key(|id| keys::last_source(Dataset::users(), id));
        prop_assert_eq!(&users, &sorted);
        prop_assert!(ids.iter().filter(|id| !is_temporary(id)).all(|id| users.contains(&id)));
    }
}
