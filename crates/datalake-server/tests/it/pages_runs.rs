//! The pages of runs, rejects and versions.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::clock::Clock;
use datalake_core::{
    keys,
    reject::{OpenRefusal, Place, Reason, Refusal, Reject, RejectCode},
    report::{RunId, RunOutcome, RunReport, SourceNotice},
    user::UserId,
};
use datalake_runs::{
    launcher::RunLauncher,
    process::{ProcessLauncher, RunCommand},
};
use datalake_store::bucket::{Metadata, PutMode};
use futures_util::TryStreamExt;
use tempfile::TempDir;

use crate::{
    fixture::{Answer, Lake, now, put, refusals},
    past::lake_until,
    run_fixture::report,
};

/// The page at a path, which has to be there.
pub(crate) async fn page(lake: &Lake, path: &str) -> String {
    let answer = lake.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    checked(answer)
}

#[track_caller]
fn checked(answer: Answer) -> String {
    assert!(answer.header("content-type").starts_with("text/html"));
    let page = answer.body;
    assert_eq!(page.matches("<h1").count(), 1, "{page}");
    assert!(!page.contains(" style=") && !page.contains("<script>"), "{page}");
    let ids = values(&page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    page
}

pub(crate) async fn check_failure(lake: &Lake, path: &str, status: u16, kind: &str) {
    let answer = lake.get(path).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
    assert_eq!(
        values(&answer.body, "data-problem"),
        [format!("urn:datalake:problem:{kind}")],
        "{path}"
    );
    assert_eq!(values(&answer.body, "data-view"), ["failure"], "{path}");
}

/// The values of an attribute, in the page's order.
pub(crate) fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let mut rest = page;
    let begin = format!(" {attribute}=\"");
    let mut values = Vec::new();
    while let Some((_, behind)) = rest.split_once(&begin) {
        let (value, behind) = behind.split_once('"').unwrap();
        values.push(value);
        rest = behind;
    }
    values
}

/// From the text on, up to another one behind it.
#[track_caller]
pub(crate) fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {page}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {rest}")).0
}

async fn leave(lake: &Lake, report: &RunReport) {
    let bytes = serde_json::to_vec(report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    lake.bucket.put(&key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
}

fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

/// A server whose runs are `sh -c SCRIPT run DIR`, and the launcher.
fn launching(script: &str, dir: &Path) -> (Lake, ProcessLauncher) {
    let command = RunCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), "run".into(), dir.into()],
        grace: Duration::from_secs(5),
    };
    let launcher = ProcessLauncher::new(command, || run_id("made-here"), Clock::new(now));
    let lake = Lake::launching(|_| Arc::new(launcher.clone()));
    (lake, launcher)
}

#[tokio::test]
async fn runs_are_listed() {
    let lake = Lake::empty();
    leave(&lake, &report("run-1", 1)).await;
    let failed = RunReport {
        outcome: RunOutcome::Failed,
        error: Some("the store <is> away".to_owned()),
        ..report("run-2", 2)
    };
    leave(&lake, &failed).await;
    let listed = page(&lake, "/page/runs").await;
    assert_eq!(values(&listed, "data-run-id"), ["run-2", "run-1"]);
    assert_eq!(values(&listed, "data-state"), ["failed", "succeeded"]);
    assert_eq!(values(&listed, "data-view"), ["runs"]);
    assert_eq!(values(&listed, "data-api"), ["/runs?limit=25"]);
    assert_eq!(between(&listed, " data-error>", "</p>"), "The store &lt;is&gt; away.");
    // Who began them nobody has recorded, and this server starts none.
    assert!(values(&listed, "data-trigger").is_empty() && listed.contains("not recorded"));
    assert!(!listed.contains("id=\"start-run\"") && values(&listed, "data-banner").is_empty());

    let newest = page(&lake, "/page/runs?limit=1").await;
    assert_eq!(
        (values(&newest, "data-run-id"), values(&newest, "data-api")),
        (vec!["run-2"], vec!["/runs?limit=1"])
    );
    assert!(values(&newest, "href").contains(&"/page/runs?limit=1&amp;after=run-2"));
    let older = page(&lake, "/page/runs?limit=1&after=run-2").await;
    // The API begins with the newest.
    assert_eq!(
        (values(&older, "data-run-id"), values(&older, "data-api")),
        (vec!["run-1"], vec!["/runs?limit=2"])
    );
    assert!(values(&older, "href").contains(&"/page/runs?limit=1") && !older.contains("id=\"next-page\""));
    check_failure(&lake, "/page/runs?after=nobody", 404, "no-such-run").await;
    check_failure(&lake, "/page/runs?limit=26", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/runs?limit=0", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/runs?limits=1", 400, "invalid-parameter").await;

    lake.set_down(true);
    let known = page(&lake, "/page/runs").await;
    assert_eq!(values(&known, "data-banner"), ["store-down"]);
    assert_eq!(values(&known, "data-run-id"), ["run-2", "run-1"]);
}

#[tokio::test]
async fn where_no_run_is_known_the_list_says_so() {
    let lake = Lake::empty();
    let empty = page(&lake, "/page/runs").await;
    assert!(empty.contains("id=\"no-runs\""), "{empty}");
}

#[tokio::test]
async fn a_run_shows_what_it_found_and_did() {
    let lake = lake_until(6).await;
    let notice = |code: &str| SourceNotice {
        key: "src-data/<1>.csv".to_owned(),
        code: code.to_owned(),
    };
    let mut of_version = report("run-6", 6);
    of_version.version = Some(6);
    of_version.notices = vec![notice("repeated_row")];
    of_version.rejects = vec![notice("type"), notice("of_another_release")];
    of_version.counts.rejected = 3;
    of_version.clock_skew_seconds = Some(-400);
    leave(&lake, &of_version).await;
    let shown = page(&lake, "/page/runs/run-6").await;
    assert_eq!(
        (values(&shown, "data-view"), values(&shown, "data-api")),
        (vec!["run"], vec!["/runs/run-6"])
    );
    assert_eq!(between(&shown, "data-count=\"added\">", "<"), "3");
    assert_eq!(values(&shown, "data-key").len(), 3);
    assert!(
        shown.contains("src-data/&lt;1&gt;.csv") && shown.contains("<code>of_another_release</code>"),
        "{shown}"
    );
    assert!(shown.contains("The first 2 of 3") && shown.contains("400 s behind"), "{shown}");
    assert!(values(&shown, "href").contains(&"/page/people/1?version=6"), "{shown}");
    // Version 6 named user 1 anew, without a picture, and gave user 2 a row again.
    assert_eq!(values(&shown, "data-made"), ["next"]);
    assert_eq!(
        (values(&shown, "data-user-id"), values(&shown, "data-change")),
        (vec!["1", "2"], vec!["update", "insert"])
    );
    assert!(
        shown.contains("Name <del>5</del><ins>6</ins>") && shown.contains("<del>yes</del><ins>no</ins>"),
        "{shown}"
    );
    assert!(values(&shown, "href").contains(&"/page/changes?since=5&amp;until=6"));
    assert!(values(&shown, "data-follow").is_empty() && !shown.contains("id=\"stop-run\""));

    check_failure(&lake, "/page/runs/nobody", 404, "no-such-run").await;
    check_failure(&lake, "/page/runs/-", 404, "no-such-run").await;
    check_failure(&lake, "/page/runs/run-6?x=1", 400, "invalid-parameter").await;
    lake.set_down(true);
    check_failure(&lake, "/page/runs/unheard", 503, "store-unavailable").await;
    assert_eq!(values(&page(&lake, "/page/runs/run-6").await, "data-made"), ["next"]);
}

#[tokio::test]
async fn a_run_tells_why_no_difference_shows() {
    let lake = lake_until(3).await;
    let check = async |run: &str, version: Option<u64>, committed: bool, expected: &str| {
        let report = RunReport {
            version,
            committed: Some(committed),
            ..report(run, 1)
        };
        leave(&lake, &report).await;
        let shown = page(&lake, &format!("/page/runs/{run}")).await;
        assert_eq!(values(&shown, "data-made"), [expected], "{run}, {version:?}, {committed}");
    };
    check("run-3", Some(3), true, "next").await;
    check("run-3", Some(3), false, "nothing").await;
    check("run-3", None, false, "nothing").await;
    check("run-0", Some(0), true, "first").await;
    // Another run made the version of this number: the table was made anew since.
    check("run-7", Some(3), true, "gone").await;
    check("run-9", Some(9), true, "gone").await;
    forget_all_but_the_newest(&lake).await;
    check("run-1", Some(1), true, "gone").await;
}

/// What makes up former versions is removed, as it is after a week.
pub(crate) async fn forget_all_but_the_newest(lake: &Lake) {
    let newest = lake.table.latest().await.unwrap().unwrap();
    let kept: Vec<String> = newest.segments().iter().map(|segment| segment.key()).collect();
    let objects: Vec<_> = lake.bucket.list(keys::TABLE, None).try_collect().await.unwrap();
    for object in objects.iter().filter(|object| keys::parse_in_table(&object.key).is_some()) {
        if !kept.contains(&object.key) {
            lake.bucket.delete(&object.key, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_active_run_is_followed_and_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("gate")).status().unwrap();
    assert!(made.success());
    let script = "echo '{\"level\":\"WARN\",\"message\":\"a <word>\",\"rows\":2}' >&2; read _ < $1/gate; echo away >&2; exit 1";
    let (mut lake, launcher) = launching(script, dir.path());
    lake.parts.access = Access::ProtectRuns(Token::new("secret"));
    let start = page(&lake, "/page/runs").await;
    assert!(start.contains("id=\"start-run\" data-needs-token"), "{start}");
    let post = Request::post("/data").header("authorization", "Bearer secret");
    assert_eq!(lake.send(post.body(Body::empty()).unwrap()).await.status, StatusCode::ACCEPTED);

    let active = page(&lake, "/page/runs/made-here").await;
    assert_eq!(values(&active, "data-follow"), ["made-here"]);
    assert_eq!(
        (values(&active, "data-stop"), values(&active, "data-made").len()),
        (vec!["made-here"], 0)
    );
    assert!(active.contains("id=\"stop-run\" data-needs-token"), "{active}");
    let listed = page(&lake, "/page/runs").await;
    assert_eq!(
        (values(&listed, "data-active-run"), values(&listed, "data-trigger")),
        (vec!["made-here"], vec!["posted"])
    );

    tokio::fs::write(dir.path().join("gate"), "\n").await.unwrap();
    let mut changes = launcher.changes();
    while launcher.find(&run_id("made-here")).await.unwrap().state.is_active() {
        changes.changed().await.unwrap();
    }
    // The log is for clients with the token.
    let ask = async |path: &str| {
        let request = Request::get(path).header("authorization", "Bearer secret");
        lake.send(request.body(Body::empty()).unwrap()).await
    };
    let ended = checked(ask("/page/runs/made-here").await);
    assert!(values(&ended, "data-follow").is_empty() && values(&ended, "data-stop").is_empty());
    assert_eq!(values(&ended, "data-banner"), ["run-error"]);
    let log = between(&ended, "id=\"log-tail\"", "</pre>");
    assert!(
        log.contains("WARN") && log.contains("a &lt;word&gt;") && log.contains("rows=2") && log.contains("away"),
        "{log}"
    );
    let api = ask("/runs/made-here").await.json();
    assert_eq!(
        (&api["trigger"], api["log_tail"].as_str().unwrap().lines().last()),
        (&"posted".into(), Some("away"))
    );
}

#[tokio::test]
async fn rejects_tell_where_and_what_is_served() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/rejects").await;
    assert_eq!(
        (values(&shown, "data-view"), values(&shown, "data-api")),
        (vec!["rejects"], vec!["/rejects"])
    );
    assert_eq!(values(&shown, "data-key"), ["src-data/1004.csv", "src-data/notes.txt"]);
    assert!(
        shown.contains("a<mark data-mark>&quot;</mark>b") && shown.contains("line 2, column 5, byte 40"),
        "{shown}"
    );
    assert!(between(&shown, "data-meanwhile>", "</span>").contains("no row of 1004."), "{shown}");
    assert!(
        shown.contains("There is a quote.") && shown.contains("href=\"/page/runs/run-1\""),
        "{shown}"
    );

    // Of one whose last good row is served, with a place that nobody recorded within the excerpt.
    let open = |reject| OpenRefusal {
        key: "src-data/1000.csv".into(),
        user_id: UserId::parse("1000").ok(),
        refusal: Refusal::Rejected(reject),
        ..refusals().remove(0)
    };
    let hostile = Reject {
        place: Some(Place {
            line: Some(2),
            column: Some(1),
            byte_offset: 40,
        }),
        excerpt: Some("<script>\u{202e}".into()),
        ..Reject::whole(RejectCode::ControlCharacter, Reason::new("it contains <b>", "none", "remove it"))
    };
    lake.commit_as("run-2", now(), vec![put("1000", "<i>", "1990-01-01", true)], &[open(hostile)])
        .await;
    lake.watch.refresh_now().await;
    let shown = page(&lake, "/page/rejects").await;
    assert!(
        !shown.contains("<mark") && shown.contains("&lt;script&gt;<span class=\"unseen\">U+202E</span>"),
        "{shown}"
    );
    let meanwhile = between(&shown, "data-meanwhile>", "</span>");
    assert!(
        meanwhile.contains("last valid CSV") && meanwhile.contains("&lt;i&gt; Last") && meanwhile.contains("/page/people/1000"),
        "{meanwhile}"
    );
    assert_eq!(values(&shown, "data-rejected"), ["1"]);
    // As it was before, and whoever leads on does so at that version.
    lake.commit_as("run-2", now(), vec![put("1004", "Gus", "1990-01-01", false)], &refusals())
        .await;
    lake.watch.refresh_now().await;
    let then = page(&lake, "/page/rejects?version=2").await;
    assert!(values(&then, "href").contains(&"/page/people/1004?version=2"), "{then}");
    assert_eq!(
        (values(&then, "data-rejected"), values(&then, "data-ignored")),
        (vec!["1"], vec!["1"])
    );
    let before = page(&lake, "/page/rejects?version=0").await;
    assert_eq!(
        (values(&before, "data-key").len(), values(&before, "data-api")),
        (2, vec!["/rejects?version=0"])
    );

    lake.commit_as("run-3", now(), vec![put("1000", "Bea", "1990-01-01", true)], &[])
        .await;
    lake.watch.refresh_now().await;
    assert!(page(&lake, "/page/rejects").await.contains("id=\"no-rejects\""));
}

#[tokio::test]
async fn ten_thousand_rejects_are_paged() {
    let lake = Lake::empty();
    let open = |number: usize| OpenRefusal {
        key: format!("src-data/{number:05} &.csv").into(),
        refusal: match number % 4 {
            0 => Refusal::Rejected(Reject::whole(RejectCode::Empty, Reason::new("there is no user", "one", "add it"))),
            _ => refusals().remove(0).refusal,
        },
        ..refusals().remove(0)
    };
    let open: Vec<_> = (0..10_000).map(open).collect();
    lake.commit_as("run-1", now(), vec![put("1", "Ada", "1990-01-01", false)], &open)
        .await;
    lake.watch.refresh_now().await;

    let first = page(&lake, "/page/rejects").await;
    assert!(first.len() < 80 * 1024, "{} bytes", first.len());
    assert_eq!(
        values(between(&first, "id=\"codes\"", "</nav>"), "data-count"),
        ["10000", "7500", "2500"]
    );
    let (mut next, mut keys, mut pages) = (Some("/page/rejects".to_owned()), BTreeSet::new(), 0);
    while let Some(path) = next {
        let shown = page(&lake, &path).await;
        keys.extend(values(&shown, "data-key").into_iter().map(str::to_owned));
        pages += 1;
        next = shown.contains("id=\"next-page\"").then(|| {
            let link = between(&shown, "id=\"next-page\"", ">");
            between(link, "href=\"", "\"").replace("&amp;", "&")
        });
    }
    assert_eq!((pages, keys.len()), (334, 10_000));

    let some = page(&lake, "/page/rejects?code=empty").await;
    let list = between(&some, "id=\"rejects\"", "</ol>");
    assert_eq!((values(list, "data-key").len(), values(&some, "data-total")), (30, vec!["2500"]));
    assert!(values(list, "data-code").iter().all(|code| *code == "empty"));
    assert_eq!(values(&some, "data-api"), ["/rejects?code=empty"]);
    check_failure(&lake, "/page/rejects?code=none", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/rejects?after=a&after=b", 400, "invalid-parameter").await;
    assert!(page(&lake, "/page/rejects?after=z").await.contains("id=\"no-rejects\""));
}

#[tokio::test]
async fn before_there_is_a_table_pages_say_so() {
    let lake = Lake::empty();
    for path in ["/page/rejects", "/page/versions", "/page/changes?since=0"] {
        check_failure(&lake, path, 503, "table-unknown").await;
    }
    lake.watch.refresh_now().await;
    for path in ["/page/rejects", "/page/versions", "/page/changes?since=0"] {
        check_failure(&lake, path, 503, "no-table-yet").await;
    }
}
