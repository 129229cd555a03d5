//! The pages of runs.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::{
    clock::Clock,
    run::{BlockedDeletions, EmptyFolder, RejectDetail, RunOutcome, RunReport, SourceNotice},
};
use datalake_runs::{
    launcher::RunLauncher,
    process::{ProcessLauncher, RunCommand},
};
use tempfile::TempDir;

use crate::{
    fixture::{Lake, now},
    html::Document,
    pages::{check_problem, checked, expire_earlier_versions, page, put_report, run_id},
    run_fixture::report,
    version_cache::lake_until,
};

/// A lake without a table, and the reports of a run that succeeded and of a later one that failed.
async fn lake_with_two_runs() -> Lake {
    let lake = Lake::empty();
    put_report(&lake, &report("run-1", 1)).await;
    let failed = RunReport {
        outcome: RunOutcome::Failed,
        error: Some("the store <is> unavailable".to_owned()),
        ..report("run-2", 2)
    };
    put_report(&lake, &failed).await;
    lake
}

#[tokio::test]
async fn runs_are_listed_latest_first() {
    let lake = lake_with_two_runs().await;
    let runs = page(&lake, "/page/runs").await;
    assert_eq!(runs.values("data-view"), ["runs"]);
    assert_eq!(runs.api(), "/runs?limit=25");
    assert_eq!(runs.values("data-run-id"), ["run-2", "run-1"]);
    assert_eq!(runs.values("data-state"), ["failed", "succeeded"]);
    assert_eq!(runs.text("[data-error]"), "The store <is> unavailable.");
    assert!(!runs.has("#start-run, [data-banner]"));
}

#[tokio::test]
async fn unknown_trigger_is_shown_as_unknown() {
    let lake = lake_with_two_runs().await;
    let runs = page(&lake, "/page/runs").await;
    assert!(!runs.has("[data-trigger]"));
    assert_eq!(runs.texts("[data-label=Trigger]"), ["unknown", "unknown"]);
}

#[tokio::test]
async fn runs_have_pages() {
    let lake = lake_with_two_runs().await;
    let first = page(&lake, "/page/runs?limit=1").await;
    assert_eq!((first.values("data-run-id"), first.api()), (vec!["run-2"], "/runs?limit=1"));
    let second = page(&lake, first.link("next-page").unwrap()).await;
    // The API's list starts at the latest run.
    assert_eq!((second.values("data-run-id"), second.api()), (vec!["run-1"], "/runs?limit=2"));
    assert_eq!(second.link("first-page"), Some("/page/runs?limit=1"));
    assert_eq!(
        (second.link("previous-page"), first.link("previous-page")),
        (Some("/page/runs?limit=1"), None)
    );
    assert_eq!(second.link("next-page"), None);
}

#[tokio::test]
async fn invalid_requests_for_runs_are_problems() {
    let lake = lake_with_two_runs().await;
    check_problem(&lake, "/page/runs?after=unknown", 404, "no-such-run").await;
    check_problem(&lake, "/page/runs?limit=26", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/runs?limit=0", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/runs?limits=1", 400, "invalid-parameter").await;
}

#[tokio::test]
async fn unreachable_store_leaves_the_runs_from_memory() {
    let lake = lake_with_two_runs().await;
    page(&lake, "/page/runs").await;
    lake.set_down(true);
    let runs = page(&lake, "/page/runs").await;
    assert!(runs.has("#incomplete-runs"));
    assert_eq!(runs.values("data-run-id"), ["run-2", "run-1"]);
}

#[tokio::test]
async fn empty_list_of_runs_has_a_message() {
    assert_eq!(page(&Lake::empty(), "/page/runs").await.text("#no-runs"), "No runs yet.");
}

/// A lake whose version 6 changes two rows, and the report of the run that created it.
async fn lake_with_a_report() -> Lake {
    let lake = lake_until(6).await;
    let notice = |code: &str| SourceNotice {
        key: "src-data/<1>.csv".to_owned(),
        code: code.to_owned(),
    };
    let mut report = report("run-6", 6);
    report.version = Some(6);
    report.notices = vec![notice("repeated_row")];
    report.rejects = vec![notice("type"), notice("unknown_code")];
    report.counts.rejected = 3;
    report.clock_skew_seconds = Some(-400);
    put_report(&lake, &report).await;
    lake
}

#[tokio::test]
async fn run_shows_its_report() {
    let lake = lake_with_a_report().await;
    let run = page(&lake, "/page/runs/run-6").await;
    assert_eq!((run.values("data-view"), run.api()), (vec!["run"], "/runs/run-6"));
    assert_eq!(run.text("#statistics [data-count=added]"), "3");
    assert_eq!(run.attributes("main [data-key]", "data-key"), ["src-data/<1>.csv"; 3]);
    assert_eq!(run.texts("#run-rejects td code"), ["type", "unknown_code"]);
    let text = run.text("main");
    assert!(text.contains("The first 2 of 3") && text.contains("400 s behind"), "{text}");
    assert!(!run.has("[data-follow], #stop-run"));
}

fn rejected(key: &str, code: &str) -> SourceNotice {
    SourceNotice {
        key: key.to_owned(),
        code: code.to_owned(),
    }
}

#[tokio::test]
async fn rejects_of_a_run_are_shown_as_the_table_records_them() {
    let lake = Lake::of_users().await;
    let mut report = report("run-3", 3);
    report.version = Some(0);
    report.rejects = vec![rejected("src-data/1004.csv", "quote"), rejected("src-data/1004.csv.old", "quote")];
    put_report(&lake, &report).await;
    let run = page(&lake, "/page/runs/run-3").await;
    assert_eq!(run.attributes("#reject-cards > li", "data-key"), ["src-data/1004.csv"]);
    assert_eq!(run.text("#reject-cards .excerpt mark"), "\"");
    assert_eq!(run.text("#reject-cards [data-remedy]"), "Remove it.");
    assert!(run.text("#reject-cards .where").contains("line 2, column 5"));
    assert_eq!(run.attributes("#run-rejects tr[data-key]", "data-key"), ["src-data/1004.csv.old"]);
}

#[tokio::test]
async fn rejects_of_a_failed_run_are_shown_without_a_table() {
    let lake = Lake::empty();
    let detail = RejectDetail {
        key: "src-data/1.csv".to_owned(),
        code: "type".to_owned(),
        line: Some(2),
        column: Some(9),
        byte_offset: Some(40),
        excerpt: Some("Ada,Lee,soon".to_owned()),
        excerpt_offset: Some(8),
        found: "birthts is \"soon\"".to_owned(),
        expected: "a whole number".to_owned(),
        remedy: "write milliseconds since 1970".to_owned(),
    };
    let report = RunReport {
        outcome: RunOutcome::Blocked,
        version: None,
        rejects: vec![rejected("src-data/1.csv", "type")],
        reject_details: vec![detail],
        error: Some("1 of 1 sources are rejected".to_owned()),
        ..report("run-1", 1)
    };
    put_report(&lake, &report).await;
    let run = page(&lake, "/page/runs/run-1").await;
    assert_eq!(run.attributes("#reject-cards > li", "data-code"), ["type"]);
    assert_eq!(run.text("#reject-cards .excerpt mark"), "soon");
    assert!(run.text("#reject-cards").contains("birthts is \"soon\"."));
    assert!(!run.has("#run-rejects"));
}

#[tokio::test]
async fn runs_are_filtered_by_state() {
    let lake = lake_with_two_runs().await;
    let failed = page(&lake, "/page/runs?state=failed").await;
    assert_eq!(failed.values("data-run-id"), ["run-2"]);
    assert_eq!(failed.texts(".states [aria-current]"), ["Failed"]);
    assert_eq!(
        page(&lake, "/page/runs?state=stopped").await.text("#no-runs"),
        "No runs in this state."
    );
    check_problem(&lake, "/page/runs?state=done", 400, "invalid-parameter").await;
}

/// The report of a run that the guard against mass deletion stopped.
fn blocked(count: u64, known: u64, users: &[&str]) -> RunReport {
    RunReport {
        outcome: RunOutcome::Blocked,
        version: None,
        blocked_deletions: Some(BlockedDeletions {
            count,
            known,
            rejected: 0,
            digest: "0".repeat(64),
            users: users.iter().map(ToString::to_string).collect(),
            folders: Vec::new(),
        }),
        error: Some("2 of 3 known users no longer have a CSV".to_owned()),
        ..report("run-1", 1)
    }
}

#[tokio::test]
async fn blocked_removals_are_listed_and_can_be_allowed() {
    let dir = TempDir::new().unwrap();
    let (lake, _) = launching("true", dir.path());
    put_report(&lake, &blocked(2, 3, &["1000", "<1001>"])).await;
    let anonymous = page(&lake, "/page/runs/run-1").await;
    assert_eq!(anonymous.texts("#blocked li a"), ["1000", "<1001>"]);
    assert_eq!(anonymous.values("data-allow"), ["run-1"]);
    assert!(anonymous.has("#allow-once[data-needs-token]"));
    // Only clients with the token see the address of the lake.
    assert!(!anonymous.text("#blocked").contains("s3://"));
    let authorized = checked(&get_with_token(&lake, "/page/runs/run-1").await);
    let commands = authorized.texts("#blocked code");
    assert!(
        commands.contains(&"datalake process --lake s3://sample-bucket --allow-mass-delete-of run-1".to_owned()),
        "{commands:?}"
    );
    assert!(commands[0].contains("{\"allow_mass_delete_of\":\"run-1\"}"), "{commands:?}");
}

#[tokio::test]
async fn folder_that_lost_its_files_is_shown_and_can_be_allowed() {
    let dir = TempDir::new().unwrap();
    let (lake, _) = launching("true", dir.path());
    let mut report = blocked(0, 3, &[]);
    report.blocked_deletions.as_mut().unwrap().folders = vec![EmptyFolder {
        folder: "scans/".to_owned(),
        files: 12,
    }];
    put_report(&lake, &report).await;
    let shown = page(&lake, "/page/runs/run-1").await;
    let text = shown.text("#blocked");
    assert!(
        text.contains("All 12 files in scans/ are gone. Restore them, or allow exactly these removals."),
        "{text}"
    );
    assert!(shown.has("#allow-once button.primary[data-allow]") && !shown.has("#blocked ul"));
    let main = shown.text("main");
    assert!(main.contains("All 12 files in scans/ are gone, so nothing was changed."), "{main}");
    let document = lake.get("/runs/run-1").await.json();
    assert_eq!(
        document["blocked_deletions"]["folders"],
        serde_json::json!([{ "folder": "scans/", "files": 12 }])
    );
    assert_eq!(
        page(&lake, "/").await.text("a.button[href='/page/runs/run-1#blocked']"),
        "Review the removals"
    );
}

#[tokio::test]
async fn blocked_removals_of_rejected_sources_advise_to_correct_them_first() {
    let dir = TempDir::new().unwrap();
    let (lake, _) = launching("true", dir.path());
    let missing = blocked(2, 3, &["1000", "1001"]);
    put_report(&lake, &missing).await;
    let shown = page(&lake, "/page/runs/run-1").await;
    assert!(
        shown
            .text("#blocked")
            .contains("The sources of 2 users did not exist. Restore them")
    );
    assert!(shown.has("#allow-once button.primary[data-allow]"));
    let mut rejected = blocked(2, 3, &["1000", "1001"]);
    rejected.run_id = run_id("run-2");
    rejected.blocked_deletions.as_mut().unwrap().rejected = 1;
    rejected.rejects = vec![self::rejected("src-data/1000.csv", "type")];
    put_report(&lake, &rejected).await;
    let shown = page(&lake, "/page/runs/run-2").await;
    let text = shown.text("#blocked");
    assert!(
        text.contains("do not exist or are rejected by the declaration. Correct the declaration or the sources first"),
        "{text}"
    );
    assert_eq!(shown.attribute("#blocked p a", "href"), "#sources");
    assert!(shown.has("#sources") && shown.has("#allow-once button[data-allow]") && !shown.has("#allow-once .primary"));
}

#[tokio::test]
async fn blocked_removals_have_names_and_a_link_to_the_rest() {
    let lake = lake_until(3).await;
    let names = ["1"].into_iter().map(str::to_owned);
    let ids: Vec<String> = names.chain((100..199).map(|number| number.to_string())).collect();
    let users: Vec<&str> = ids.iter().map(String::as_str).collect();
    put_report(&lake, &blocked(120, 130, &users)).await;
    let run = page(&lake, "/page/runs/run-1").await;
    let listed = run.texts("#blocked li a");
    assert_eq!(
        (listed.len(), listed[0].ends_with(" (1)"), listed[1].as_str()),
        (60, true, "100"),
        "{listed:?}"
    );
    assert_eq!(run.text("#more-blocked"), "and 60 more. The report has the first 100 IDs.");
    run.check_link("/runs/run-1");
}

#[tokio::test]
async fn blocked_removals_are_not_offered_after_a_later_success() {
    let dir = TempDir::new().unwrap();
    let (lake, _) = launching("true", dir.path());
    let blocked = blocked(2, 3, &["1000", "1001"]);
    let later = RunReport {
        started_at: blocked.ended_at,
        ..report("run-2", 2)
    };
    put_report(&lake, &blocked).await;
    put_report(&lake, &later).await;
    lake.get("/runs").await;
    let run = checked(&get_with_token(&lake, "/page/runs/run-1").await);
    assert_eq!(run.count("#blocked li"), 2);
    assert!(run.text("#obsolete").contains("has succeeded since then"));
    assert!(!run.has("#allow-once, #blocked .curl"));
}

#[tokio::test]
async fn empty_lake_waits_for_sources() {
    let lake = Lake::empty();
    let mut report = blocked(0, 0, &[]);
    report.counts.listed = 0;
    put_report(&lake, &report).await;
    let runs = page(&lake, "/page/runs").await;
    assert_eq!((runs.values("data-state"), runs.count("[data-error]")), (vec!["waiting"], 0));
    let run = page(&lake, "/page/runs/run-1").await;
    assert_eq!(run.values("data-banner"), ["waiting"]);
    assert!(!run.has("#blocked"));
}

#[tokio::test]
async fn run_shows_its_changes() {
    let lake = lake_with_a_report().await;
    let run = page(&lake, "/page/runs/run-6").await;
    // Version 6 renames user 1, removes the image of user 1, and adds user 2 again.
    assert_eq!(run.values("data-changes"), ["between"]);
    assert_eq!(run.values("data-user-id"), ["1", "2"]);
    assert_eq!(run.values("data-change"), ["update", "insert"]);
    assert_eq!(run.texts("[data-user-id='1'] del"), ["Name 5", "yes"]);
    assert_eq!(run.texts("[data-user-id='1'] ins"), ["Name 6", "no"]);
    run.check_link("/page/users/1?version=6");
    run.check_link("/page/changes?since=5&until=6");
}

#[tokio::test]
async fn invalid_requests_for_a_run_are_problems() {
    let lake = lake_with_a_report().await;
    check_problem(&lake, "/page/runs/unknown", 404, "no-such-run").await;
    check_problem(&lake, "/page/runs/-", 404, "no-such-run").await;
    check_problem(&lake, "/page/runs/run-6?x=1", 400, "invalid-parameter").await;
}

#[tokio::test]
async fn unreachable_store_leaves_a_run_from_memory() {
    let lake = lake_with_a_report().await;
    page(&lake, "/page/runs/run-6").await;
    lake.set_down(true);
    check_problem(&lake, "/page/runs/unknown", 503, "store-unavailable").await;
    assert_eq!(page(&lake, "/page/runs/run-6").await.values("data-changes"), ["between"]);
}

/// The changes that the page of a run shows for a report.
async fn check_changes(lake: &Lake, run: &str, version: Option<u64>, committed: bool, expected: &str) {
    let report = RunReport {
        version,
        committed: Some(committed),
        ..report(run, 1)
    };
    put_report(lake, &report).await;
    let shown = page(lake, &format!("/page/runs/{run}")).await;
    assert_eq!(shown.values("data-changes"), [expected], "{run}, {version:?}, {committed}");
}

#[tokio::test]
async fn run_without_a_new_version_has_no_changes() {
    let lake = lake_until(3).await;
    check_changes(&lake, "run-3", Some(3), false, "none").await;
    check_changes(&lake, "run-3", None, false, "none").await;
}

#[tokio::test]
async fn first_version_has_no_earlier_rows() {
    let lake = lake_until(3).await;
    check_changes(&lake, "run-0", Some(0), true, "first-version").await;
    check_changes(&lake, "run-3", Some(3), true, "between").await;
}

#[tokio::test]
async fn version_of_a_rebuilt_table_has_expired() {
    let lake = lake_until(3).await;
    check_changes(&lake, "run-7", Some(3), true, "expired").await;
    check_changes(&lake, "run-9", Some(9), true, "expired").await;
}

#[tokio::test]
async fn removed_version_has_expired() {
    let lake = lake_until(3).await;
    expire_earlier_versions(&lake).await;
    check_changes(&lake, "run-1", Some(1), true, "expired").await;
}

/// A lake whose runs are `sh -c SCRIPT run DIR` and require the token `secret`, and the launcher.
fn launching(script: &str, dir: &Path) -> (Lake, ProcessLauncher) {
    let command = RunCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), "run".into(), dir.into()],
        grace_period: Duration::from_secs(5),
    };
    let launcher = ProcessLauncher::new(command, || run_id("new-run"), Clock::new(now));
    let mut lake = Lake::launching(|_| Arc::new(launcher.clone()));
    lake.parts.access = Access::ProtectRuns(Token::new("secret"));
    (lake, launcher)
}

/// The response to a request with the token.
async fn get_with_token(lake: &Lake, path: &str) -> crate::fixture::Answer {
    let request = Request::get(path).header("authorization", "Bearer secret");
    lake.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn active_run_is_followed_and_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    let mkfifo = std::process::Command::new("mkfifo").arg(dir.path().join("gate")).status().unwrap();
    assert!(mkfifo.success());
    let script = "printf '\\036progress {\"phase\":\"reading\",\"done\":3,\"total\":9}\\n' >&2; echo '{\"level\":\"WARN\",\"message\":\"a <message>\",\"rows\":2}' >&2; read _ < $1/gate; echo last line >&2; exit 1";
    let (lake, launcher) = launching(script, dir.path());
    assert!(page(&lake, "/page/runs").await.has("#start-run[data-needs-token]"));
    let post = Request::post("/data").header("authorization", "Bearer secret");
    assert_eq!(lake.send(post.body(Body::empty()).unwrap()).await.status, StatusCode::ACCEPTED);

    let active = loop {
        let active = page(&lake, "/page/runs/new-run").await;
        // The server reads the child's output concurrently.
        if active.has("#phases [aria-current]") {
            break active;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(active.text("#phases [aria-current]"), "Reading sources 3 of 9");
    let document = lake.get("/runs/new-run").await.json();
    assert_eq!(document["progress"]["done"], 3, "{document}");
    assert_eq!(active.values("data-follow"), ["new-run"]);
    assert_eq!(active.values("data-stop"), ["new-run"]);
    assert!(active.has("#stop-run[data-needs-token]") && !active.has("[data-changes]"));
    let runs = page(&lake, "/page/runs").await;
    assert_eq!(runs.values("data-active-run"), ["new-run"]);
    assert_eq!(runs.values("data-trigger"), ["posted"]);

    tokio::fs::write(dir.path().join("gate"), "\n").await.unwrap();
    let mut changes = launcher.changes();
    while launcher.find(&run_id("new-run")).await.unwrap().state.is_active() {
        changes.changed().await.unwrap();
    }
    // Only clients with the token see the log.
    let ended: Document = checked(&get_with_token(&lake, "/page/runs/new-run").await);
    assert!(!ended.has("[data-follow], [data-stop]"));
    assert_eq!(ended.values("data-banner"), ["run-error"]);
    assert_eq!(ended.text("#log-tail"), "WARN a <message> rows=2 last line");
    let api = get_with_token(&lake, "/runs/new-run").await.json();
    assert_eq!(
        (&api["trigger"], api["log_tail"].as_str().unwrap().lines().last()),
        (&"posted".into(), Some("last line"))
    );
}
