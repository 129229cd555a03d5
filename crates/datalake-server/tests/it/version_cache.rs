//! A lake of several versions, and the expected responses.

use datalake_core::{
    reject::{ExcludedSource, Exclusion, Reason, Reject, RejectCode},
    row_id::RowId,
    run::RunId,
};
use datalake_table::delta::edit::Edit;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{Answer, Lake, copy_key, put};

pub(crate) fn hour(number: u64) -> Timestamp {
    let begin: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_hours(i64::try_from(number).unwrap())
}

pub(crate) fn remove(user_id: &str) -> Edit {
    Edit::Remove(RowId::parse(user_id).unwrap())
}

/// Version N was committed at hour N by run-N and has user 1 as "Name N". User 2 exists in versions 1 to 3, and again from 6.
pub(crate) async fn publish(lake: &Lake, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let mut edits = vec![put("1", &format!("Name {number}"), "1990-01-01", number % 2 == 1)];
        match number {
            1 => edits.push(put("2", "Two", "1991-01-01", false)),
            4 => edits.push(remove("2")),
            6 => edits.push(put("2", "Two again", "1991-01-01", true)),
            _ => {}
        }
        lake.commit_as(&format!("run-{number}"), hour(number), edits, &refused(number))
            .await;
    }
    lake.watch.refresh_now().await;
}

/// A source is rejected since version 2.
pub(crate) fn refused(number: u64) -> Vec<ExcludedSource> {
    let open = || reject("src-data/9.csv", "9", RejectCode::Empty);
    (number >= 2).then(open).into_iter().collect()
}

pub(crate) fn open(key: &str, user_id: &str, refusal: Exclusion) -> ExcludedSource {
    ExcludedSource {
        key: key.into(),
        row_id: Some(RowId::parse(user_id).unwrap()),
        etag: "bad".into(),
        size: 3,
        exclusion: refusal,
        run_id: RunId::parse("run-2").unwrap(),
        since: hour(2),
        valid_files: Box::default(),
    }
}

pub(crate) fn reject(key: &str, user_id: &str, code: RejectCode) -> ExcludedSource {
    open(
        key,
        user_id,
        Exclusion::Rejected(Reject::whole(code, Reason::new("something is wrong", "something right", "fix it"))),
    )
}

/// Versions 0 to `last`.
pub(crate) async fn lake_until(last: u64) -> Lake {
    let lake = Lake::empty();
    publish(&lake, 0..=last).await;
    lake
}

#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.json()["type"], format!("/docs/problems#{kind}"));
}

pub(crate) async fn check_problem(lake: &Lake, path: &str, status: u16, kind: &str) {
    let answer = lake.get(path).await;
    assert_eq!(answer.status.as_u16(), status, "path: {path}, {}", answer.body);
    assert_eq!(answer.json()["type"], format!("/docs/problems#{kind}"), "path: {path}");
}

pub(crate) async fn check_parameter(lake: &Lake, path: &str, parameter: &str) {
    let answer = lake.get(path).await;
    assert_problem(&answer, 400, "invalid-parameter");
    assert_eq!(answer.json()["parameter"], parameter, "path: {path}");
}

pub(crate) fn stored(user_id: &str, first_name: &str, birthts: i64, has_image: bool) -> Value {
    let img_path = has_image.then(|| copy_key(user_id));
    json!({"user_id": user_id, "first_name": first_name, "last_name": "Last", "birthts": birthts, "img_path": img_path})
}

pub(crate) const BIRTH_1: i64 = 631_152_000_000;
pub(crate) const BIRTH_2: i64 = 662_688_000_000;
