//! A server whose runs are shell scripts and whose reports are in memory.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, request},
};
use datalake_api::{snapshots::watch::TableWatch, state::Parts};
use datalake_core::clock::Clock;
use datalake_core::{
    keys,
    run::{Counts, Requests, RunId, RunMode, RunOutcome, RunReport, SourceNotice},
};
use datalake_runs::{
    launcher::RunLauncher,
    process::{ProcessLauncher, RunCommand},
};
use datalake_server::serve;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{FaultAction, Faulty},
    memory::MemoryBucket,
};
use datalake_table::table::Table;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{self, Answer};

/// Blocks the child until the test opens the gate, and writes a line for each child.
pub(crate) const GATED: &str = "echo started >> $1/children; read _ < $1/gate";

/// A server whose runs are `sh -c SCRIPT run DIR [--full]`: `$1` is a directory of the test.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) launcher: ProcessLauncher,
    pub(crate) bucket: MemoryBucket,
    pub(crate) is_store_down: Arc<AtomicBool>,
    pub(crate) router: Router,
}

/// A response with a JSON body.
pub(crate) type JsonAnswer = Answer<Value>;

impl Fixture {
    pub(crate) fn new(script: &str) -> Self {
        let (dir, command) = Self::scripted(script);
        Self::with_command(dir, command)
    }

    /// The directory and the command of a server whose runs are this script.
    pub(crate) fn scripted(script: &str) -> (TempDir, RunCommand) {
        let dir = TempDir::new().unwrap();
        let made = Command::new("mkfifo")
            .arg(dir.path().join("gate"))
            .arg(dir.path().join("ready"))
            .status()
            .unwrap();
        assert!(made.success(), "mkfifo: {made}");
        let command = RunCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), "run".into(), dir.path().into()],
            grace_period: Duration::from_millis(50),
        };
        (dir, command)
    }

    pub(crate) fn with_command(dir: TempDir, command: RunCommand) -> Self {
        Self::of_lake(dir, command, MemoryBucket::new())
    }

    /// A server of a lake that servers may share.
    pub(crate) fn of_lake(dir: TempDir, command: RunCommand, bucket: MemoryBucket) -> Self {
        let launcher = ProcessLauncher::new(command, new_run_id, Clock::new(now));
        let is_store_down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&is_store_down);
        let script = move |_: &_| {
            if is_down.load(Ordering::SeqCst) {
                FaultAction::FailBefore
            } else {
                FaultAction::Pass
            }
        };
        let router = router(Arc::new(Faulty::new(Arc::new(bucket.clone()), script)), Arc::new(launcher.clone()));
        Self {
            dir,
            launcher,
            bucket,
            is_store_down,
            router,
        }
    }

    pub(crate) async fn send(&self, request: request::Builder, body: impl Into<Body>) -> JsonAnswer {
        send(&self.router, request, body).await
    }

    pub(crate) async fn post(&self, headers: &[(&str, &str)]) -> JsonAnswer {
        let request = headers
            .iter()
            .fold(Request::post("/data"), |request, (name, value)| request.header(*name, *value));
        self.send(request, Body::empty()).await
    }

    pub(crate) async fn post_json(&self, key: Option<&str>, body: &str) -> JsonAnswer {
        let request = Request::post("/data").header("content-type", "application/json");
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        self.send(request, body.to_owned()).await
    }

    pub(crate) async fn get(&self, path: &str) -> JsonAnswer {
        self.send(Request::get(path), Body::empty()).await
    }

    /// The run after its end.
    pub(crate) async fn ended(&self, run_id: &str) -> Value {
        let mut changes = self.launcher.changes();
        loop {
            changes.mark_unchanged();
            let run = self.get(&format!("/runs/{run_id}")).await.body;
            if run["state"] != "running" {
                return run;
            }
            changes.changed().await.unwrap();
        }
    }

    /// A page as a browser receives it.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = Request::get(path).header("accept", "text/html").body(Body::empty()).unwrap();
        Answer::to(&self.router, request).await.body
    }

    /// A gate that releases one child for each line; lines wait for children that arrive later.
    pub(crate) async fn gate(&self) -> tokio::fs::File {
        let gate = self.dir.path().join("gate");
        tokio::fs::OpenOptions::new().read(true).write(true).open(gate).await.unwrap()
    }

    /// Releases the child once it waits at the gate.
    pub(crate) async fn open_gate(&self) {
        tokio::fs::write(self.dir.path().join("gate"), "\n").await.unwrap();
    }

    pub(crate) fn children(&self) -> usize {
        fs::read_to_string(self.dir.path().join("children"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    pub(crate) async fn put_report(&self, report: &RunReport) {
        self.put(&keys::run_report(&report.run_id), &serde_json::to_string(report).unwrap())
            .await;
    }

    pub(crate) async fn put(&self, key: &str, text: &str) {
        self.bucket
            .put(key, text.to_owned().into(), PutMode::Replace, &Metadata::new())
            .await
            .unwrap();
    }
}

pub(crate) fn router(bucket: Arc<dyn Bucket>, launcher: Arc<dyn RunLauncher>) -> Router {
    serve::router(parts(bucket, launcher))
}

pub(crate) fn parts(bucket: Arc<dyn Bucket>, launcher: Arc<dyn RunLauncher>) -> Parts {
    let clock = Clock::new(now);
    let table = TableWatch::new(Table::new(Arc::clone(&bucket)), clock);
    fixture::parts(clock, table, bucket, launcher)
}

pub(crate) async fn send(router: &Router, request: request::Builder, body: impl Into<Body>) -> JsonAnswer {
    Answer::to(router, request.body(body.into()).unwrap()).await.parsed()
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

pub(crate) fn new_run_id() -> RunId {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    RunId::parse(&format!("run-{}", RUNS.fetch_add(1, Ordering::SeqCst))).unwrap()
}

/// A report of a run that started this many hours after the epoch.
pub(crate) fn report(run_id: &str, hour: i64) -> RunReport {
    RunReport {
        run_id: RunId::parse(run_id).unwrap(),
        outcome: RunOutcome::Succeeded,
        mode: RunMode::Incremental,
        started_at: Timestamp::from_second(3_600 * hour).unwrap(),
        ended_at: Timestamp::from_second(3_600 * hour + 2).unwrap(),
        elapsed_ms: 2_001,
        version: Some(7),
        committed: Some(true),
        allow_mass_delete_of: None,
        reject_details: Vec::new(),
        blocked_deletions: None,
        repaired: None,
        counts: Counts {
            added: 3,
            ..Counts::default()
        },
        requests: Requests {
            list: 1,
            ..Requests::default()
        },
        notices: vec![SourceNotice {
            key: "src-data/1.csv".to_owned(),
            code: "bom".to_owned(),
        }],
        rejects: vec![SourceNotice {
            key: "src-data/2.csv".to_owned(),
            code: "type".to_owned(),
        }],
        clock_skew_seconds: None,
        error: None,
    }
}

pub(crate) fn ids(answer: &JsonAnswer) -> Vec<&str> {
    answer.body["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["id"].as_str().unwrap())
        .collect()
}
