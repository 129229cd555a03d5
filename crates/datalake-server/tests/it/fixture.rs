//! A lake of seven users in memory, a server for it, and helpers for requests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};
use datalake_api::{lake_label::LakeLabel, request::auth::Access, snapshots::watch::TableWatch, state::Parts, telemetry::metrics::Metrics};
use datalake_core::clock::Clock;
use datalake_core::{
    dataset::{Dataset, Value as ColumnValue},
    reject::{ExcludedSource, Exclusion, IgnoreCode, Position, Reason, Reject, RejectCode},
    row::{Provenance, Row},
    row_id::RowId,
    run::{Counts, RunId, RunMode},
};
use datalake_http::{allowed_hosts::AllowedHosts, trusted_proxies::TrustedProxies};
use datalake_runs::{disabled::DisabledLauncher, launcher::RunLauncher, runs::Runs};
use datalake_server::serve;
use datalake_store::{
    bucket::{Bucket, PutMode},
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use datalake_table::{
    delta::{commit::CommitDetails, edit::Edit},
    table::Table,
};
use futures_util::{FutureExt, poll};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The key of the copy of a user's image.
pub(crate) fn copy_key(user_id: &str) -> String {
    Dataset::users().files()[0].path(user_id).concat()
}

/// ID, first name, day of birth, whether there is an image. Today is 2026-11-24.
pub(crate) const USERS: &[(&str, &str, &str, bool)] = &[
    ("0001", "Ada", "1980-08-09", true),        // 46
    ("1", "Zoë \"Z\" \\", "2004-07-17", false), // 22
    ("1000", "Bea", "1990-01-01", true),        // 36
    ("1001", "Cem", "1996-02-29", false),       // 30
    ("1002", "Dia", "2004-11-24", true),        // 22, today
    ("1003", "Eve", "2030-01-01", true),        // not born yet
    ("a", "Fay", "1980-12-31", false),          // 45
];

/// An hour after the commits.
pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn committed_at() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

pub(crate) fn put(user_id: &str, first_name: &str, birth: &str, has_image: bool) -> Edit {
    let source = |etag: &str| Provenance {
        etag: etag.into(),
        size: 1,
        modified: committed_at(),
    };
    let birth: Date = birth.parse().unwrap();
    let birth = birth.to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
    Edit::Put(Row {
        row_id: RowId::parse(user_id).unwrap(),
        values: [
            Some(ColumnValue::Text(first_name.into())),
            Some(ColumnValue::Text("Last".into())),
            Some(ColumnValue::EpochMs(birth)),
        ]
        .into(),
        csv: source("csv"),
        files: [has_image.then(|| source("png"))].into(),
        run_id: run_id(),
    })
}

fn run_id() -> RunId {
    RunId::parse("run-1").unwrap()
}

pub(crate) fn refusals() -> Vec<ExcludedSource> {
    let open = |key: &str, user_id: Option<&str>, refusal| ExcludedSource {
        key: key.into(),
        row_id: user_id.map(|id| RowId::parse(id).unwrap()),
        etag: "bad".into(),
        size: 3,
        exclusion: refusal,
        run_id: run_id(),
        since: committed_at(),
        valid_files: Box::default(),
    };
    let reject = Reject {
        position: Some(Position {
            line: Some(2),
            column: Some(5),
            byte_offset: 40,
        }),
        excerpt: Some("a\"b".into()),
        excerpt_offset: Some(1),
        column_name: Some("last_name".into()),
        ..Reject::whole(RejectCode::Quote, Reason::new("there is a quote", "no quote", "remove it"))
    };
    vec![
        open("src-data/1004.csv", Some("1004"), Exclusion::Rejected(reject)),
        open("src-data/notes.txt", None, Exclusion::Ignored(IgnoreCode::UnknownKind)),
    ]
}

/// A lake with a server for it.
pub(crate) struct Lake {
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) table: Table,
    pub(crate) watch: TableWatch,
    pub(crate) parts: Parts,
    is_down: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    /// The latency of each operation.
    latency: Arc<Mutex<Duration>>,
    /// The store, for its clock.
    memory: MemoryBucket,
}

impl Lake {
    /// A lake without a table, before any request.
    pub(crate) fn empty() -> Self {
        Self::launching(|_| Arc::new(DisabledLauncher::new()))
    }

    /// The lake with another launcher.
    pub(crate) fn launching(launcher: impl FnOnce(Arc<dyn Bucket>) -> Arc<dyn RunLauncher>) -> Self {
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        let writes = Arc::new(AtomicU64::new(0));
        let written = Arc::clone(&writes);
        let reads = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&reads);
        let script = move |operation: &Operation| {
            if matches!(operation.kind, OperationKind::Put | OperationKind::Copy | OperationKind::Delete) {
                written.fetch_add(1, Ordering::SeqCst);
            } else {
                read.fetch_add(1, Ordering::SeqCst);
            }
            if down.load(Ordering::SeqCst) {
                FaultAction::FailBefore
            } else {
                FaultAction::Pass
            }
        };
        let memory = MemoryBucket::new();
        let latency = Arc::new(Mutex::new(Duration::ZERO));
        let delay = Arc::clone(&latency);
        let hook = move |_: Operation| {
            let latency = *delay.lock().unwrap();
            async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
            }
            .boxed()
        };
        let bucket: Arc<dyn Bucket> = Arc::new(Faulty::with_hook(Arc::new(memory.clone()), script, hook));
        let table = Table::new(Arc::clone(&bucket));
        let clock = Clock::new(now);
        let watch = TableWatch::new(table.clone(), clock);
        let launcher = launcher(Arc::clone(&bucket));
        let parts = parts(clock, watch.clone(), Arc::clone(&bucket), launcher);
        Self {
            bucket,
            table,
            watch,
            parts,
            is_down,
            writes,
            reads,
            latency,
            memory,
        }
    }

    /// A lake with the users, and a server that has loaded them.
    pub(crate) async fn of_users() -> Self {
        let lake = Self::empty();
        lake.commit(USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect())
            .await;
        lake.bucket
            .put(
                &copy_key("1000"),
                "an image".into(),
                PutMode::Create,
                &std::collections::BTreeMap::new(),
            )
            .await
            .unwrap();
        lake.watch.refresh_now().await;
        lake
    }

    pub(crate) async fn commit(&self, edits: Vec<Edit>) {
        self.commit_as("run-1", committed_at(), edits, &refusals()).await;
    }

    /// Commits by another run at another time.
    pub(crate) async fn commit_as(&self, run: &str, at: Timestamp, edits: Vec<Edit>, refusals: &[ExcludedSource]) {
        self.commit_of(&Dataset::shared_users(), run, at, edits, refusals).await;
    }

    /// Commits rows of a dataset.
    pub(crate) async fn commit_of(&self, dataset: &Arc<Dataset>, run: &str, at: Timestamp, edits: Vec<Edit>, refusals: &[ExcludedSource]) {
        let run_id = RunId::parse(run).unwrap();
        let edits = edits.into_iter().map(|edit| match edit {
            Edit::Put(row) => Edit::Put(Row {
                run_id: run_id.clone(),
                ..row
            }),
            Edit::Remove(user_id) => Edit::Remove(user_id),
        });
        self.memory.advance_to(at);
        let base = self.table.latest().await.unwrap();
        let staged = self.table.stage(base.as_ref(), dataset, edits.collect()).await.unwrap();
        let details = CommitDetails {
            run_id,
            mode: RunMode::Incremental,
            counts: Counts::default(),
            committed_at: at,
        };
        self.table.commit(base.as_ref(), staged, refusals, &details).await.unwrap();
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Sets the latency of each operation of the store.
    pub(crate) fn set_latency(&self, latency: Duration) {
        *self.latency.lock().unwrap() = latency;
    }

    /// The number of writes to the lake, including those of the fixture.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// The number of reads from the lake, including those of the fixture.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn router(&self) -> Router {
        serve::router(self.parts.clone())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::to(&self.router(), request).await
    }
}

/// The parts of a server that allows every client everything.
pub(crate) fn parts(clock: Clock, table: TableWatch, bucket: Arc<dyn Bucket>, launcher: Arc<dyn RunLauncher>) -> Parts {
    Parts {
        clock,
        table,
        runs: Runs::new(Arc::clone(&bucket), launcher),
        bucket,
        lake_label: LakeLabel::new(
            None,
            "sample-bucket".to_owned(),
            "s3://sample-bucket".to_owned(),
            "--lake s3://sample-bucket".to_owned(),
        ),
        metrics: Metrics::new(),
        access: Access::Open,
        cors_origins: Vec::new(),
        allowed_hosts: AllowedHosts::default(),
        trusted_proxies: TrustedProxies::default(),
    }
}

/// The response to a request that is waiting while the server shuts down.
pub(crate) async fn answer_at_the_end(parts: Parts, request: Request<Body>) -> Response {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let router = serve::router(parts.clone());
    let token = shutdown.clone();
    let serving = tokio::spawn(async move {
        let (_hints, hinted) = watch::channel(());
        serve::serve(listener.into(), parts, hinted, token).await;
    });
    // Once it responds, the shutdown token is set.
    let mut probe = TcpStream::connect(address).await.unwrap();
    let asked = b"GET /healthz HTTP/1.1\r\nhost: lake\r\nconnection: close\r\n\r\n";
    probe.write_all(asked).await.unwrap();
    probe.read_to_end(&mut Vec::new()).await.unwrap();
    let mut answer = std::pin::pin!(router.oneshot(request));
    assert!(poll!(&mut answer).is_pending(), "there is something to wait for");
    shutdown.cancel();
    let answer = answer.await.unwrap();
    serving.await.unwrap();
    answer
}

/// The IDs of the rows of a response, in order.
pub(crate) fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["user_id"].as_str().unwrap())
        .collect()
}

/// A response with its body, as text or as JSON.
#[derive(Debug)]
pub(crate) struct Answer<B = String> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: B,
}

impl Answer {
    /// The response to a request.
    pub(crate) async fn to(router: &Router, request: Request<Body>) -> Self {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 10_000_000).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The response with its parsed body.
    #[track_caller]
    pub(crate) fn parsed(self) -> Answer<Value> {
        Answer {
            body: self.json(),
            status: self.status,
            headers: self.headers,
        }
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers))
            .to_str()
            .unwrap()
    }
}
