//! The rejects page.

use std::collections::BTreeSet;

use datalake_core::{
    reject::{ExcludedSource, Exclusion, IgnoreCode, Notice, Position, Reason, Reject, RejectCode},
    row_id::RowId,
};

use crate::{
    fixture::{Lake, now, put, refusals},
    pages::{check_problem, checked, page},
};

#[tokio::test]
async fn reject_shows_position_reason_and_effect() {
    let lake = Lake::of_users().await;
    let rejects = page(&lake, "/page/rejects").await;
    assert_eq!(
        (rejects.values("data-view"), rejects.api()),
        (vec!["rejects"], "/rejects?kind=rejected")
    );
    assert_eq!(rejects.attributes("#rejects li", "data-key"), ["src-data/1004.csv"]);
    rejects.check_link("/page/rejects?kind=ignored");
    rejects.check_link("/docs/rejects#quote");
    assert_eq!(rejects.attribute(".where [data-copy]", "data-copy"), "src-data/1004.csv");
    assert_eq!(rejects.text(".excerpt"), "a\"b");
    assert_eq!(rejects.text(".excerpt mark"), "\"");
    let text = rejects.text("[data-key='src-data/1004.csv']");
    assert!(
        text.contains("line 2, column 5, byte 40") && text.contains("FoundThere is a quote."),
        "{text}"
    );
    let served = rejects.text("[data-key='src-data/1004.csv'] [data-served]");
    assert_eq!(served, "Not served: user 1004 has no row.");
    rejects.check_link("/page/runs/run-1");
}

/// A lake in which user 1000 has a last valid row and a rejected source with a hostile excerpt.
async fn lake_with_a_hostile_reject() -> Lake {
    let lake = Lake::of_users().await;
    let reject = Reject {
        position: Some(Position {
            line: Some(2),
            column: Some(1),
            byte_offset: 40,
        }),
        excerpt: Some("<script>\u{202e}".into()),
        ..Reject::whole(RejectCode::ControlCharacter, Reason::new("it contains <b>", "none", "remove it"))
    };
    let open = ExcludedSource {
        key: "src-data/1000.csv".into(),
        row_id: RowId::parse("1000").ok(),
        exclusion: Exclusion::Rejected(reject),
        ..refusals().remove(0)
    };
    lake.commit_as("run-2", now(), vec![put("1000", "<i>", "1990-01-01", true)], &[open])
        .await;
    lake.watch.refresh_now().await;
    lake
}

#[tokio::test]
async fn hostile_excerpt_is_escaped() {
    let lake = lake_with_a_hostile_reject().await;
    let rejects = page(&lake, "/page/rejects").await;
    assert_eq!(rejects.text(".excerpt"), "<script>U+202E");
    assert_eq!(rejects.text(".excerpt .invisible"), "U+202E");
    assert!(!rejects.has("mark"), "the reject has no position in the excerpt");
}

#[tokio::test]
async fn last_valid_row_is_linked() {
    let lake = lake_with_a_hostile_reject().await;
    let rejects = page(&lake, "/page/rejects").await;
    let served = rejects.text("[data-served]");
    assert!(served.contains("<i> Last"), "{served}");
    assert_eq!(rejects.attribute("[data-served] a", "href"), "/page/users/1000");
    assert_eq!(rejects.values("data-rejected"), ["1"]);
}

#[tokio::test]
async fn earlier_version_has_its_own_rejects_and_links() {
    let lake = lake_with_a_hostile_reject().await;
    lake.commit_as("run-2", now(), vec![put("1004", "Gus", "1990-01-01", false)], &refusals())
        .await;
    lake.watch.refresh_now().await;
    let second = page(&lake, "/page/rejects?version=2").await;
    second.check_link("/page/users/1004?version=2");
    assert_eq!(second.values("data-rejected"), ["1"]);
    assert_eq!(second.values("data-ignored"), ["1"]);
    let first = page(&lake, "/page/rejects?version=0").await;
    assert_eq!(
        (first.attributes("#rejects li", "data-key").len(), first.api()),
        (1, "/rejects?kind=rejected&version=0")
    );
}

#[tokio::test]
async fn version_without_rejects_has_a_message() {
    let lake = Lake::of_users().await;
    lake.commit_as("run-3", now(), vec![put("1000", "Bea", "1990-01-01", true)], &[])
        .await;
    lake.watch.refresh_now().await;
    assert_eq!(
        page(&lake, "/page/rejects").await.text("#no-rejects"),
        "No rejected files. Every source was accepted."
    );
}

/// A lake with 2,500 rejects with the code `empty` and 7,500 with the code `quote`.
async fn lake_with_many_rejects() -> Lake {
    let lake = Lake::empty();
    let open = |number: usize| ExcludedSource {
        key: format!("src-data/{number:05} &.csv").into(),
        exclusion: match number % 4 {
            0 => Exclusion::Rejected(Reject::whole(RejectCode::Empty, Reason::new("there is no user", "one", "add it"))),
            _ => refusals().remove(0).exclusion,
        },
        ..refusals().remove(0)
    };
    let open: Vec<_> = (0..10_000).map(open).collect();
    lake.commit_as("run-1", now(), vec![put("1", "Ada", "1990-01-01", false)], &open)
        .await;
    lake.watch.refresh_now().await;
    lake
}

#[tokio::test]
async fn many_rejects_have_pages() {
    let lake = lake_with_many_rejects().await;
    let (mut next, mut keys, mut pages) = (Some("/page/rejects".to_owned()), BTreeSet::new(), 0);
    while let Some(path) = next {
        let answer = lake.get(&path).await;
        assert!(answer.body.len() < 80 * 1024, "{path}: {} bytes", answer.body.len());
        let rejects = checked(&answer);
        keys.extend(rejects.attributes("#rejects li", "data-key").into_iter().map(str::to_owned));
        pages += 1;
        next = rejects.link("next-page").map(str::to_owned);
    }
    assert_eq!((pages, keys.len()), (400, 10_000));
}

#[tokio::test]
async fn rejects_are_counted_and_filtered_by_code() {
    let lake = lake_with_many_rejects().await;
    let all = page(&lake, "/page/rejects").await;
    assert_eq!(all.attributes("#code option", "data-count"), ["10000", "7500", "2500"]);
    assert_eq!(all.attributes(".tabs a", "data-count"), ["10000", "0"]);
    let empty = page(&lake, "/page/rejects?code=empty").await;
    assert_eq!(empty.attributes("#rejects li", "data-code"), ["empty"; 25]);
    assert_eq!(empty.values("data-total"), ["2500"]);
    assert_eq!(empty.api(), "/rejects?kind=rejected&code=empty");
    assert_eq!(empty.attributes("#code option[selected]", "value"), ["empty"]);
    // A reason without sources is selected, too.
    let absent = page(&lake, "/page/rejects?code=nested").await;
    assert_eq!(absent.attributes("#code option[selected]", "data-count"), ["0"]);
    assert_eq!(absent.attributes(".tabs a[aria-current]", "data-kind"), ["ignored"]);
    // Without JavaScript, the form sends an empty value for all reasons.
    assert_eq!(
        page(&lake, "/page/rejects?kind=rejected&code=").await.values("data-total"),
        ["10000"]
    );
    assert!(page(&lake, "/page/rejects?after=z").await.has("#no-rejects"));
}

#[tokio::test]
async fn invalid_requests_for_rejects_are_problems() {
    let lake = Lake::of_users().await;
    check_problem(&lake, "/page/rejects?code=none", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/rejects?kind=both", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/rejects?after=a&after=b", 400, "invalid-parameter").await;
}

#[tokio::test]
async fn ignored_objects_have_a_tab_of_their_own() {
    let lake = Lake::of_users().await;
    let ignored = page(&lake, "/page/rejects?kind=ignored").await;
    assert_eq!(ignored.attributes("#rejects li", "data-key"), ["src-data/notes.txt"]);
    assert_eq!(ignored.api(), "/rejects?kind=ignored");
    let of_api = lake.get(ignored.api()).await.json();
    assert_eq!(of_api["rejects"][0]["key"], "src-data/notes.txt");
    assert_eq!(of_api["rejects"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn export_contains_the_listed_rejects() {
    let lake = lake_with_many_rejects().await;
    let rejects = page(&lake, "/page/rejects?code=empty").await;
    let export = lake.get(rejects.link("export").unwrap()).await;
    assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = export.body.lines().collect();
    assert_eq!(lines.len(), 1 + 2_500);
    assert!(lines[0].starts_with("key,user_id,code,kind,"), "{}", lines[0]);
    assert!(lines[1].starts_with("src-data/00000 &.csv,1004,empty,rejected,"), "{}", lines[1]);
    assert_eq!(lake.get("/rejects.csv").await.body.lines().count(), 1 + 10_000);
    assert_eq!(lake.get("/rejects.csv?limit=1").await.status, 400);
}

#[tokio::test]
async fn every_code_is_explained() {
    let lake = Lake::of_users().await;
    let reference = page(&lake, "/docs/rejects").await;
    let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
    let ignored = IgnoreCode::ALL.iter().map(|code| code.as_str());
    for code in rejected.chain(ignored).chain(Notice::ALL.iter().map(|code| code.as_str())) {
        assert_eq!(reference.count(&format!("h2[id='{code}']")), 1, "{code}");
    }
    assert!(reference.links().iter().all(|link| link.starts_with('/') || link.starts_with('#')));
    assert_eq!(lake.get("/docs/rejects?x").await.status, 400);
}
