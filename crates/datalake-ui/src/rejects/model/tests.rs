//! Tests of the pages, counts and addresses of rejects.

use datalake_core::{
    dataset::Dataset,
    reject::{Reason, Reject, RejectCode},
    row_id::RowId,
    run::RunId,
};
use jiff::Timestamp;

use super::*;

fn open(key: &str, code: RejectCode) -> ExcludedSource {
    ExcludedSource {
        key: key.into(),
        row_id: RowId::parse("1").ok(),
        etag: "etag".into(),
        size: 1,
        exclusion: Exclusion::Rejected(Reject::whole(code, Reason::new("cause", "expected", "remedy"))),
        run_id: RunId::parse("run-1").unwrap(),
        since: Timestamp::UNIX_EPOCH,
        valid_files: Box::default(),
    }
}

/// Every third has the code `quote`, all others `empty`.
fn rejects(count: usize) -> Vec<ExcludedSource> {
    let code = |number: usize| if number % 3 == 2 { RejectCode::Quote } else { RejectCode::Empty };
    (0..count).map(|number| open(&format!("{number:06}"), code(number))).collect()
}

/// `expected`: rejects before the page, on the page, and in total, and the first key.
#[track_caller]
fn check(code: Option<&str>, after: Option<&str>, expected: (usize, usize, usize, Option<&str>)) {
    let rejects = rejects(1_000);
    let filter = RejectFilter {
        code: code.map(str::to_owned),
        kind: Some(ExclusionKind::Rejected),
    };
    let page = paginate(Dataset::users(), &rejects, &filter, after);
    let first = page.entries.first().map(|open| &*open.key);
    assert_eq!(
        (page.before, page.entries.len(), page.total, first),
        expected,
        "{code:?}, {after:?}"
    );
}

#[test]
fn pages_start_after_a_key() {
    check(None, None, (0, 25, 1_000, Some("000000")));
    check(None, Some("000099"), (100, 25, 1_000, Some("000100")));
    check(None, Some("000979"), (980, 20, 1_000, Some("000980")));
    check(None, Some("000999"), (1_000, 0, 1_000, None));
}

#[test]
fn page_after_a_missing_key_starts_at_the_next_one() {
    check(None, Some("0000995"), (100, 25, 1_000, Some("000100")));
}

#[test]
fn pages_are_filtered_by_code() {
    check(Some("quote"), None, (0, 25, 333, Some("000002")));
    check(Some("quote"), Some("000299"), (100, 25, 333, Some("000302")));
    check(Some("nested"), None, (0, 0, 0, None));
}

#[test]
fn long_texts_make_short_pages() {
    let long = |number: usize| open(&format!("{number:01000}"), RejectCode::Empty);
    let rejects: Vec<_> = (0..20).map(long).collect();
    let first = paginate(Dataset::users(), &rejects, &RejectFilter::default(), None);
    assert_eq!((first.entries.len(), first.total), (3, 20));
}

#[test]
fn longest_text_has_a_page() {
    let longest = [open(&"k".repeat(20_000), RejectCode::Empty)];
    assert_eq!(
        paginate(Dataset::users(), &longest, &RejectFilter::default(), None).entries.len(),
        1
    );
}

#[test]
fn codes_are_counted() {
    let rejects = rejects(1_000);
    assert_eq!(count_by_code(&rejects, ExclusionKind::Rejected), [("empty", 667), ("quote", 333)]);
    assert_eq!(count_by_code(&rejects, ExclusionKind::Ignored), []);
}

fn request(time_travel: &[(&str, &str)]) -> RejectsRequest {
    RejectsRequest {
        code: Some("quote".to_owned()),
        kind: ExclusionKind::Rejected,
        after: None,
        time_travel: Query::new(time_travel.iter().copied()),
    }
}

#[test]
fn addresses_keep_kind_reason_and_version() {
    let latest = request(&[]);
    assert_eq!(latest.list().address("/rejects"), "/rejects?kind=rejected&code=quote");
    assert_eq!(
        latest.query(ExclusionKind::Ignored, None).address("/rejects"),
        "/rejects?kind=ignored"
    );
    assert_eq!(latest.row_href("1"), "/page/users/1");
    let earlier = request(&[("version", "3")]);
    assert_eq!(earlier.list().address("/rejects"), "/rejects?kind=rejected&code=quote&version=3");
    assert_eq!(earlier.row_href("1"), "/page/users/1?version=3");
}
