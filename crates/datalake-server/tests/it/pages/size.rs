//! The size of pages of a large lake: many ages, long names, many runs, versions and rejects.

use std::collections::BTreeSet;

use datalake_core::{
    reject::{ExcludedSource, Exclusion, IgnoreCode, Position, Reason, Reject, RejectCode},
    run::{Counts, RunOutcome, RunReport, SourceNotice},
};
use datalake_table::delta::edit::Edit;
use jiff::SignedDuration;

use crate::{
    fixture::{Lake, now, put, refusals},
    html::Document,
    pages::{page, put_report},
    run_fixture::report,
};

/// The maximum size of a page with its assets, without images and compression.
const BYTES_MAX: usize = 84 * 1024;

/// The number of versions, each created by its own run.
const VERSIONS: u16 = 40;

const USERS: u16 = 400;

fn run_name(number: u16) -> String {
    format!("datalake-processor-{}", 29_384_000 + u32::from(number))
}

/// A user of one of 90 ages, with a long name; some names have the maximum length.
fn user(number: u16, version: u16) -> Edit {
    let name = match number % 10 {
        0 => "Maria del Carmen Victoria ".repeat(38),
        1 => "عبد الرحمن بن محمد ".repeat(3),
        _ => format!("Wolfeschlegelsteinhausen-Bergerdorff {number}"),
    };
    let id = match number % 10 {
        2 => format!("{number:04}-a-long-user-id-that-consists-of-words-and-numbers-2026"),
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
        ..refusals().remove(0)
    }
}

/// A report with the maximum number of notices and rejects.
fn long_report(number: u16) -> RunReport {
    let notice = |code: &str| SourceNotice {
        key: format!("src-data/{number:04}-a-long-user-id-that-consists-of-words.csv"),
        code: code.to_owned(),
    };
    let started_at = now() - SignedDuration::from_hours((VERSIONS - number).into()) + SignedDuration::from_micros(123_456);
    let has_failed = number.is_multiple_of(7);
    RunReport {
        outcome: if has_failed { RunOutcome::Failed } else { RunOutcome::Succeeded },
        started_at,
        ended_at: started_at + SignedDuration::from_secs(30),
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
        error: has_failed.then(|| "the store is unreachable, key=src-data/1.csv: connection refused; ".repeat(20)),
        ..report(&run_name(number), 0)
    }
}

async fn large_lake() -> Lake {
    let lake = Lake::empty();
    let rejects: Vec<_> = (0..500).map(refusal).collect();
    for version in 0..VERSIONS {
        // The first and the last version change all users.
        let users = if [0, VERSIONS - 1].contains(&version) { USERS } else { 2 };
        let at = now() - SignedDuration::from_hours((VERSIONS - version).into());
        let edits = (0..users).map(|number| user(number, version)).collect();
        lake.commit_as(&run_name(version), at, edits, &rejects).await;
        put_report(&lake, &long_report(version)).await;
    }
    lake.watch.refresh_now().await;
    assert_eq!(lake.get("/stats").await.json()["count"], USERS);
    lake.get("/runs").await;
    lake
}

/// The size of a page with its assets, and the page.
async fn page_bytes(lake: &Lake, path: &str) -> (usize, Document) {
    let answer = lake.get(path).await;
    let page = Document::parse(&answer.body);
    assert_eq!(page.count("main"), 1, "{path}: {}", answer.body);
    let addresses = [page.values("href"), page.values("src")].concat();
    let assets: BTreeSet<_> = addresses
        .into_iter()
        .filter(|address| address.starts_with("/page/assets/"))
        .collect();
    assert!((3..=7).contains(&assets.len()), "{assets:?}");
    let mut bytes = answer.body.len();
    for asset in assets {
        bytes += lake.get(asset).await.body.len();
    }
    (bytes, page)
}

#[tokio::test]
async fn pages_of_a_large_lake_are_small() {
    let lake = large_lake().await;
    let mut found = Vec::new();
    let (latest, failed) = (run_name(VERSIONS - 1), run_name(VERSIONS - 5));
    for path in [
        "/",
        "/page/users",
        "/page/users?view=gallery",
        "/page/users?limit=50&order=first_name",
        "/page/users?last_name=Last&first_name__not=A&on=2026-11-24&version=3&limit=50&order=age.desc,last_name",
        "/page/users?min_age=x",
        "/page/users/0000",
        "/page/users/0001",
        "/page/runs",
        &format!("/page/runs/{latest}"),
        &format!("/page/runs/{failed}"),
        "/page/rejects",
        "/page/rejects?code=encoding",
        "/page/rejects?code=nested",
        "/docs/rejects",
        "/docs/problems",
        "/page/versions",
        &format!("/page/changes?since=0&until={}", VERSIONS - 1),
        "/page/examples",
        "/page/nowhere",
    ] {
        let mut address = Some(path.to_owned());
        // The first pages of a list are representative.
        for _ in 0..3 {
            let Some(path) = address else { break };
            let (bytes, page) = page_bytes(&lake, &path).await;
            found.push((bytes, path));
            address = page.link("next-page").map(str::to_owned);
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

#[tokio::test]
async fn pages_of_a_list_contain_each_entry_once_in_both_directions() {
    let lake = large_lake().await;
    for (path, attribute, count) in [
        ("/page/runs", "data-run-id", usize::from(VERSIONS)),
        ("/page/runs?limit=7", "data-run-id", usize::from(VERSIONS)),
        ("/page/versions", "data-version", usize::from(VERSIONS)),
        ("/page/versions?limit=9", "data-version", usize::from(VERSIONS)),
        ("/page/rejects", "data-key", 459),
        ("/page/rejects?kind=ignored", "data-key", 41),
    ] {
        let (mut entries, mut address) = (Vec::new(), Some(path.to_owned()));
        let mut previous: Option<Vec<String>> = None;
        while let Some(path) = address {
            let current = page(&lake, &path).await;
            let entries_of = |page: &Document| -> Vec<String> {
                let found = page.attributes(&format!("main [{attribute}]"), attribute);
                found.into_iter().map(str::to_owned).collect()
            };
            match (current.link("previous-page"), &previous) {
                (Some(link), Some(expected)) => assert_eq!(entries_of(&page(&lake, link).await), *expected, "before {path}"),
                (link, expected) => assert_eq!((link, expected), (None, &None), "{path}"),
            }
            entries.extend(entries_of(&current));
            previous = Some(entries_of(&current));
            address = current.link("next-page").map(str::to_owned);
        }
        let distinct: BTreeSet<_> = entries.iter().collect();
        assert_eq!((entries.len(), distinct.len()), (count, count), "{path}");
    }
}
