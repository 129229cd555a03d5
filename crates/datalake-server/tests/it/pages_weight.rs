//! What pages weigh over a lake that has grown: many ages, long names, many runs, versions and refused sources.

use std::collections::BTreeSet;

use datalake_core::{
    keys,
    reject::{ExcludedSource, Exclusion, IgnoreCode, Position, Reason, Reject, RejectCode},
    report::{Counts, RunOutcome, RunReport, SourceNotice},
};
use datalake_store::bucket::{Metadata, PutMode};
use datalake_table::table::Edit;
use jiff::SignedDuration;

use crate::{
    fixture::{Lake, now, put},
    run_fixture::report,
};

/// Of a page beside its pictures, as sent without compression.
const BYTES_MAX: usize = 80 * 1024;

/// Versions, and runs that made them.
const VERSIONS: u16 = 40;

const USERS: u16 = 400;

fn run(number: u16) -> String {
    format!("datalake-processor-{}", 29_384_000 + u32::from(number))
}

/// Of ninety ages, with names of some length, and some of all that is allowed.
fn user(number: u16, version: u16) -> Edit {
    let name = match number % 10 {
        0 => "Maria del Carmen Victoria ".repeat(38),
        1 => "عبد الرحمن بن محمد ".repeat(3),
        _ => format!("Wolfeschlegelsteinhausen-Bergerdorff {number}"),
    };
    let id = match number % 10 {
        2 => format!("{number:04}-an-id-that-somebody-made-of-words-and-of-numbers-2026"),
        _ => format!("{number:04}"),
    };
    let birth = format!("{}-03-01", 1935 + number % 90);
    put(
        &id,
        format!("{} {version}", name.trim_end()).trim(),
        &birth,
        !number.is_multiple_of(3),
    )
}

fn refusal(number: usize) -> ExcludedSource {
    let refusal = match number % 12 {
        11 => Exclusion::Ignored(IgnoreCode::Nested),
        code => Exclusion::Rejected(Reject {
            position: Some(Position {
                line: Some(2),
                column: Some(41),
                byte_offset: 79,
            }),
            excerpt: Some(
                if code == 5 {
                    "\u{1}".repeat(80)
                } else {
                    "Ann,\"Fox\",<1990-01-01> & so on, ".repeat(2)
                }
                .into(),
            ),
            excerpt_offset: Some(4),
            ..Reject::whole(
                RejectCode::ALL[code],
                Reason::new(
                    "birthts is \"1989-05-27T00:00:00Z\", a date",
                    "a whole number of milliseconds since 1970-01-01 UTC, like 612302400000",
                    "convert it to milliseconds since 1970-01-01 UTC",
                ),
            )
        }),
    };
    ExcludedSource {
        key: format!("src-data/a-folder-of-some-department/{number:05}-a-file.csv").into(),
        exclusion: refusal,
        ..crate::fixture::refusals().remove(0)
    }
}

/// A report with as much to tell as there is room for.
fn long_report(number: u16) -> RunReport {
    let notice = |code: &str| SourceNotice {
        key: format!("src-data/{number:04}-an-id-that-somebody-made-of-words.csv"),
        code: code.to_owned(),
    };
    let begun = now() - SignedDuration::from_hours((VERSIONS - number).into()) + SignedDuration::from_micros(123_456);
    let has_failed = number.is_multiple_of(7);
    RunReport {
        outcome: if has_failed { RunOutcome::Failed } else { RunOutcome::Succeeded },
        started_at: begun,
        ended_at: begun + SignedDuration::from_secs(30),
        version: Some(number.into()),
        counts: Counts {
            added: 1_234,
            changed: 2_345,
            removed: 345,
            rejected: 456,
            warnings: 200,
            ..Counts::default()
        },
        notices: vec![notice("maybe_seconds"); RunReport::NOTICES_MAX],
        rejects: vec![notice("type"); RunReport::NOTICES_MAX],
        error: has_failed.then(|| "the store does not answer, key=src-data/1.csv: connection refused; ".repeat(20)),
        ..report(&run(number), 0)
    }
}

async fn grown() -> Lake {
    let lake = Lake::empty();
    let refusals: Vec<_> = (0..500).map(refusal).collect();
    for version in 0..VERSIONS {
        // The first and the last version change everybody.
        let users = if [0, VERSIONS - 1].contains(&version) { USERS } else { 2 };
        let at = now() - SignedDuration::from_hours((VERSIONS - version).into());
        let edits = (0..users).map(|number| user(number, version)).collect();
        lake.commit_as(&run(version), at, edits, &refusals).await;
        let report = long_report(version);
        let bytes = serde_json::to_vec(&report).unwrap().into();
        let key = keys::run_report(&report.run_id);
        lake.bucket.put(&key, bytes, PutMode::Create, &Metadata::new()).await.unwrap();
    }
    lake.watch.refresh_now().await;
    assert_eq!(lake.get("/stats").await.json()["count"], USERS);
    lake.get("/runs").await;
    lake
}

/// Bytes of a page with its style, its script and its icon.
async fn weight(lake: &Lake, path: &str) -> (usize, String) {
    let page = lake.get(path).await.body;
    assert!(page.starts_with("<!DOCTYPE html>"), "{path}: {page}");
    let files: BTreeSet<_> = page
        .split('"')
        .filter(|text| text.starts_with("/page/assets/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let mut bytes = page.len();
    for file in files {
        bytes += lake.get(&file).await.body.len();
    }
    (bytes, page)
}

/// Where the link to the next page leads.
fn next(page: &str) -> Option<String> {
    let link = page.split("rel=\"next\" href=\"").nth(1)?;
    Some(link.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test]
async fn no_page_of_a_grown_lake_is_heavy() {
    let lake = grown().await;
    let mut found = Vec::new();
    let (newest, failed) = (run(VERSIONS - 1), run(VERSIONS - 5));
    for path in [
        "/",
        "/page/people",
        "/page/people?view=gallery",
        "/page/people?limit=50&order=first_name",
        "/page/people?last_name=Last&first_name__not=A&on=2026-11-24&version=3&limit=50&order=age.desc,last_name",
        "/page/people?min_age=x",
        "/page/people/0000",
        "/page/people/0001",
        "/page/runs",
        &format!("/page/runs/{newest}"),
        &format!("/page/runs/{failed}"),
        "/page/rejects",
        "/page/rejects?code=encoding",
        "/page/rejects?code=nested",
        "/page/versions",
        &format!("/page/changes?since=0&until={}", VERSIONS - 1),
        "/page/examples",
        "/page/nowhere",
    ] {
        let mut address = Some(path.to_owned());
        // The first pages of a list tell what the others weigh.
        for _ in 0..3 {
            let Some(path) = address else { break };
            let (bytes, page) = weight(&lake, &path).await;
            found.push((bytes, path));
            address = next(&page);
        }
    }
    found.sort();
    let lines: Vec<_> = found.iter().rev().map(|(bytes, path)| format!("{bytes:>7} {path}")).collect();
    let report = lines.join("\n");
    assert!(found.len() > 25, "lists have several pages:\n{report}");
    assert!(
        found.iter().all(|(bytes, _)| *bytes <= BYTES_MAX),
        "over {BYTES_MAX} bytes:\n{report}"
    );
}

/// All is reached page by page, each once.
#[tokio::test]
async fn lists_are_walked_to_their_end() {
    let lake = grown().await;
    for (path, attribute, count) in [
        ("/page/runs", " data-run-id=\"", usize::from(VERSIONS)),
        ("/page/runs?limit=7", " data-run-id=\"", usize::from(VERSIONS)),
        ("/page/versions", "<tr data-version=\"", usize::from(VERSIONS)),
        ("/page/versions?limit=9", "<tr data-version=\"", usize::from(VERSIONS)),
        ("/page/rejects", "<li data-key=\"", 500),
    ] {
        let (mut seen, mut address) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = address {
            let page = lake.get(&path).await;
            assert_eq!(page.status, 200, "{path}");
            let names = page.body.split(attribute).skip(1);
            seen.extend(names.map(|rest| rest.split('"').next().unwrap().to_owned()));
            address = next(&page.body);
        }
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (count, count), "{path}");
    }
}
