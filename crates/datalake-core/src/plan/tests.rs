//! The plan over tables of cases, and its streams against a plain map.

use proptest::prelude::*;

use super::*;

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn object(name: &str, etag: &str) -> SourceObject {
    SourceObject {
        key: format!("{}{name}", keys::SOURCES).into(),
        etag: etag.into(),
        size: 1,
        modified: Timestamp::UNIX_EPOCH,
    }
}

fn gather(names: &[&str]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    let (mut gatherer, mut out) = (SourceGrouper::default(), Vec::new());
    for name in names {
        gatherer.push(object(name, "e"), &mut out).unwrap();
    }
    gatherer.finish(&mut out);
    let name = |object: &SourceObject| object.key[keys::SOURCES.len()..].to_owned();
    out.iter()
        .map(|listed| match listed {
            ListingEntry::User(user) => format!(
                "{}: {} {}",
                user.user_id,
                name(&user.csv),
                user.image.as_ref().map(name).unwrap_or_default()
            ),
            ListingEntry::Ignored(object, code) => format!("{} {code}", name(object)),
        })
        .collect()
}

#[track_caller]
fn check_gathered(names: &[&str], expected: &[&str]) {
    assert_eq!(gather(names), expected, "names: {names:?}");
}

#[test]
fn gathering() {
    check_gathered(&["1.csv", "1.png", "2.csv"], &["1: 1.csv 1.png", "2: 2.csv "]);
    check_gathered(&["a.csv", "a-b.csv", "a.png"], &["a-b: a-b.csv ", "a: a.csv a.png"]);
    check_gathered(
        &["a.csv", "a.p.csv", "a.png", "a.p.PNG"],
        &["a.p: a.p.csv a.p.PNG", "a: a.csv a.png"],
    );
    check_gathered(&["1.CSV", "1.csv", "1.PNG"], &["1.CSV shadowed", "1: 1.csv 1.PNG"]);
    check_gathered(&["1.CSV", "1.png"], &["1: 1.CSV 1.png"]);
    check_gathered(&["1.png"], &["1.png orphan_image"]);
    check_gathered(&["1.PNG", "1.png"], &["1.PNG shadowed", "1.png orphan_image"]);
    check_gathered(
        &["", "a/", "a/1.csv", "x y.csv", "notes.txt"],
        &["a/ nested", "a/1.csv nested", "notes.txt unknown_kind", "x y.csv bad_id"],
    );
}

#[test]
fn a_listing_out_of_order_is_refused() {
    let (mut gatherer, mut out) = (SourceGrouper::default(), Vec::new());
    gatherer.push(object("2.csv", "e"), &mut out).unwrap();
    // How the name of a file that is no text is spelled does not tell its place.
    gatherer.push(object("1%E9.csv", "e"), &mut out).unwrap();
    gatherer.push(object("1%E9.csv", "e"), &mut out).unwrap();
    assert!(gatherer.push(object("1.csv", "e"), &mut out).is_err());
    assert!(gatherer.push(object("1.csv", "e"), &mut out).is_err(), "twice the same source");
}

fn known(has_row: bool, csv: Option<&str>, image: Option<&str>) -> RecordedUser {
    let seen = |etag: &str| SourceVersion {
        key: None,
        etag: etag.into(),
        size: 1,
    };
    RecordedUser {
        user_id: user("1"),
        has_row,
        csv: csv.map(seen),
        image: image.map(seen),
        has_image: image.is_some(),
    }
}

fn listed(csv: &str, image: Option<&str>) -> UserSources {
    UserSources {
        user_id: user("1"),
        csv: object("1.csv", csv),
        image: image.map(|etag| object("1.png", etag)),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "cases are values")]
fn check_change(sources: Option<UserSources>, known: Option<RecordedUser>, mode: RunMode, expected: Option<[&str; 2]>) {
    let word = |change: &SourceChange| match change {
        SourceChange::Unchanged => "same",
        SourceChange::Read(_) => "read",
        SourceChange::Removed => "gone",
    };
    let change = compare(sources.as_ref(), known.as_ref(), mode);
    let words = change.as_ref().map(|change| [word(&change.csv), word(&change.image)]);
    assert_eq!(words, expected, "listed: {sources:?}, known: {known:?}");
}

#[test]
fn changes_of_one_user() {
    use RunMode::{Full, Incremental};
    check_change(
        Some(listed("c", Some("i"))),
        Some(known(true, Some("c"), Some("i"))),
        Incremental,
        None,
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(known(true, Some("c"), Some("i"))),
        Full,
        Some(["read", "read"]),
    );
    check_change(Some(listed("c", Some("i"))), None, Incremental, Some(["read", "read"]));
    check_change(Some(listed("c", None)), None, Incremental, Some(["read", "same"]));
    check_change(
        Some(listed("d", Some("i"))),
        Some(known(true, Some("c"), Some("i"))),
        Incremental,
        Some(["read", "same"]),
    );
    check_change(
        Some(listed("c", Some("j"))),
        Some(known(true, Some("c"), Some("i"))),
        Incremental,
        Some(["same", "read"]),
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(known(true, Some("c"), None)),
        Incremental,
        Some(["same", "read"]),
    );
    check_change(
        Some(listed("c", None)),
        Some(known(true, Some("c"), Some("i"))),
        Incremental,
        Some(["same", "gone"]),
    );
    check_change(None, Some(known(true, Some("c"), None)), Incremental, Some(["gone", "gone"]));
    check_change(None, Some(known(false, Some("c"), None)), Incremental, Some(["gone", "gone"]));
    // Rejected before, and never valid: the image is read for its own rejects.
    check_change(
        Some(listed("c", Some("i"))),
        Some(known(false, Some("c"), None)),
        Incremental,
        Some(["same", "read"]),
    );
    check_change(
        Some(listed("c", Some("i"))),
        Some(known(false, Some("c"), Some("i"))),
        Incremental,
        None,
    );
    // A CSV that may be valid now needs the image again.
    check_change(
        Some(listed("d", Some("i"))),
        Some(known(false, Some("c"), Some("i"))),
        Incremental,
        Some(["read", "read"]),
    );
    check_change(
        Some(listed("d", Some("i"))),
        Some(known(false, Some("c"), None)),
        Incremental,
        Some(["read", "read"]),
    );
    // A verdict that time may turn is asked for again.
    check_change(
        Some(listed("c", None)),
        Some(known(false, None, None)),
        Incremental,
        Some(["read", "same"]),
    );
}

#[track_caller]
fn check_guard(listed: u64, known: u64, gone: u64, refused: bool) {
    let census = ListingStats { listed, known, gone };
    assert_eq!(guard_deletions(census, DeletionGuard::On).is_err(), refused, "{census:?}");
    assert_eq!(guard_deletions(census, DeletionGuard::Off), Ok(()));
}

#[test]
fn guards() {
    check_guard(0, 0, 0, true);
    check_guard(0, 5, 5, true);
    check_guard(1, 5, 4, false);
    check_guard(1, 5, 5, true);
    check_guard(1, 10, 10, true);
    check_guard(1, 0, 0, false);
    check_guard(90, 100, 10, false);
    check_guard(40, 51, 11, true);
    check_guard(44, 55, 11, false);
    check_guard(80, 100, 20, false);
    check_guard(79, 100, 21, true);

    assert_eq!(guard_rejects(1, 2, RejectRatio::default()), Ok(()));
    assert!(guard_rejects(2, 3, RejectRatio::default()).is_err());
    assert_eq!(guard_rejects(0, 0, RejectRatio::default()), Ok(()));
    assert_eq!(guard_rejects(3, 3, "1".parse().unwrap()), Ok(()));
    assert!("1.1".parse::<RejectRatio>().is_err());
    assert!("NaN".parse::<RejectRatio>().is_err());
}

/// Whether an ID makes names such as `a.csv.csv`, which are not those of sources.
fn is_temporary(id: &UserId) -> bool {
    keys::parse_source(&keys::source(&format!("{id}.csv"))).is_err()
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[aB0][aB0._-]{0,4}(\\.csv|\\.png|\\.CSV|\\.PNG|-)?", 0..40).prop_map(|ids| ids.into_iter().collect())
}

proptest! {
    /// Whatever the ids, both streams come out in one and the same order, and wait for few.
    #[test]
    fn both_streams_are_in_rank_order(ids in ids()) {
        let ids: Vec<_> = ids.iter().filter_map(|id| UserId::parse(id).ok()).collect();
        let mut expected: Vec<_> = ids.clone();
        expected.sort_by_key(keys::last_source);

        let (mut ranker, mut ranked) = (KeyOrder::default(), Vec::new());
        for id in &ids {
            ranker.push(RecordedUser { user_id: id.clone(), ..known(true, None, None) }, &mut ranked);
            prop_assert!(ranker.waiting.len() <= UserId::BYTES_MAX);
        }
        ranker.finish(&mut ranked);
        prop_assert_eq!(ranked.iter().map(|known| &known.user_id).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());

        let mut names: Vec<_> = ids.iter().flat_map(|id| ["csv", "PNG", "png"].map(|extension| format!("{id}.{extension}"))).collect();
        names.sort_unstable();
        names.dedup();
        let (mut gatherer, mut out) = (SourceGrouper::default(), Vec::new());
        names.retain(|name| keys::parse_source(&keys::source(name)).is_ok());
        for name in names {
            gatherer.push(object(&name, "e"), &mut out).unwrap();
        }
        gatherer.finish(&mut out);
        let users: Vec<_> = out.iter().filter_map(|listed| match listed {
            ListingEntry::User(user) => Some(&user.user_id),
            ListingEntry::Ignored(..) => None,
        }).collect();
        let mut sorted = users.clone();
        sorted.sort_by_key(|id| keys::last_source(id));
        prop_assert_eq!(&users, &sorted);
        prop_assert!(ids.iter().filter(|id| !is_temporary(id)).all(|id| users.contains(&id)));
    }
}
