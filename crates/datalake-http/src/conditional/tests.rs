//! Tests of validators and preconditions.

use axum::response::IntoResponse;

use super::*;

const MODIFIED: &str = "2026-11-24T11:00:00.5Z";

fn validators() -> Validators {
    let now = "2026-11-24T11:00:10.5Z".parse().unwrap();
    Validators::new("t-3-ab", MODIFIED.parse().unwrap(), now)
}

#[track_caller]
fn check(headers: &[(HeaderName, &'static str)], expected: Option<u16>) {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let precondition = validators().evaluate_preconditions(&headers);
    let status = precondition.map(|precondition| match precondition {
        Precondition::NotModified => 304,
        Precondition::Failed => 412,
    });
    assert_eq!(status, expected, "{headers:?}");
}

#[test]
fn preconditions_are_evaluated() {
    check(&[], None);
    check(&[(header::IF_NONE_MATCH, "\"t-3-ab\"")], Some(304));
    check(&[(header::IF_NONE_MATCH, "W/\"t-3-ab\"")], Some(304));
    check(&[(header::IF_NONE_MATCH, "\"x\", \"t-3-ab\"")], Some(304));
    check(&[(header::IF_NONE_MATCH, "*")], Some(304));
    check(&[(header::IF_NONE_MATCH, "\"t-2-ab\"")], None);
    check(&[(header::IF_NONE_MATCH, "t-3-ab")], None);
    check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT")], Some(304));
    check(&[(header::IF_MODIFIED_SINCE, "Tuesday, 24-Nov-26 11:00:00 GMT")], Some(304));
    check(&[(header::IF_MODIFIED_SINCE, "Tue Nov 24 11:00:00 2026")], Some(304));
    check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 10:59:59 GMT")], None);
    check(&[(header::IF_MODIFIED_SINCE, "Tuesday, 24-Nov-26 10:59:59 GMT")], None);
    check(&[(header::IF_MODIFIED_SINCE, "Tue Nov 24 10:59:59 2026")], None);
    // A version from a writer whose clock is ahead may have this date.
    check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:01 GMT")], None);
    check(&[(header::IF_MODIFIED_SINCE, "yesterday")], None);
    check(&[(header::IF_MATCH, "\"t-3-ab\"")], None);
    check(&[(header::IF_MATCH, "\"x\", \"t-3-ab\"")], None);
    check(&[(header::IF_MATCH, "*")], None);
    check(&[(header::IF_MATCH, "\"t-2-ab\"")], Some(412));
    // `If-Match` requires the strong comparison.
    check(&[(header::IF_MATCH, "W/\"t-3-ab\"")], Some(412));
    check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT")], None);
    check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 10:00:00 GMT")], Some(412));
    check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 12:00:00 GMT")], None);
    check(&[(header::IF_UNMODIFIED_SINCE, "yesterday")], None);
}

#[test]
fn etags_take_precedence_over_dates() {
    let date = "Tue, 24 Nov 2026 11:00:00 GMT";
    check(&[(header::IF_NONE_MATCH, "\"t-2-ab\""), (header::IF_MODIFIED_SINCE, date)], None);
    check(&[(header::IF_MATCH, "\"t-2-ab\""), (header::IF_UNMODIFIED_SINCE, date)], Some(412));
    check(
        &[(header::IF_MATCH, "\"t-3-ab\""), (header::IF_NONE_MATCH, "\"t-3-ab\"")],
        Some(304),
    );
    check(
        &[(header::IF_MATCH, "\"t-2-ab\""), (header::IF_NONE_MATCH, "\"t-3-ab\"")],
        Some(412),
    );
}

fn response_headers(validators: &Validators) -> HeaderMap {
    (validators.headers(), ()).into_response().headers().clone()
}

#[test]
fn last_modified_is_an_http_date() {
    let modified_at: Timestamp = "2026-11-04T01:02:03Z".parse().unwrap();
    let headers = response_headers(&Validators::new("x", modified_at, modified_at + DATE_STABLE_AFTER));
    assert_eq!(headers[header::LAST_MODIFIED], "Wed, 04 Nov 2026 01:02:03 GMT");
    assert_eq!(headers[header::ETAG], "\"x\"");
}

#[test]
fn unstable_date_is_not_sent_and_not_compared() {
    let modified_at: Timestamp = MODIFIED.parse().unwrap();
    let now = modified_at + DATE_STABLE_AFTER - SignedDuration::from_nanos(1);
    let headers = response_headers(&Validators::new("x", modified_at, now));
    assert!(!headers.contains_key(header::LAST_MODIFIED) && headers.contains_key(header::ETAG));
    let request_headers = HeaderMap::from_iter([(header::IF_MODIFIED_SINCE, HeaderValue::from_static("Tue, 24 Nov 2026 11:00:00 GMT"))]);
    let validators = Validators::new("x", modified_at, now);
    assert_eq!(validators.evaluate_preconditions(&request_headers), None);
    // An older version, or another version of the same second, may differ from the current one.
    for since in ["Tue, 24 Nov 2026 10:00:00 GMT", "Tue, 24 Nov 2026 11:00:00 GMT"] {
        let request_headers = HeaderMap::from_iter([(header::IF_UNMODIFIED_SINCE, HeaderValue::from_static(since))]);
        assert_eq!(
            validators.evaluate_preconditions(&request_headers),
            Some(Precondition::Failed),
            "{since}"
        );
    }
}
