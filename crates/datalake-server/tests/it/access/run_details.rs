//! Details of runs, which may name the infrastructure.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::clock::Clock;
use datalake_runs::{launcher::RunLauncher, process::ProcessLauncher};
use datalake_server::serve;
use datalake_store::memory::MemoryBucket;
use tempfile::TempDir;
use tower::ServiceExt;

use super::TOKEN;
use crate::run_fixture::{self, Fixture};

/// A server with a token and open reads, and a failed run whose error and log name the location of the lake.
struct RunsThatFail {
    router: Router,
    run_id: String,
    _dir: TempDir,
}

/// A part of what a run logs about the infrastructure.
const SECRET: &str = "s3://internal-bucket";

impl RunsThatFail {
    async fn new() -> Self {
        let (dir, command) = Fixture::scripted("echo 'cannot read s3://internal-bucket/lake at http://store.internal:9000' >&2; exit 1");
        let launcher = ProcessLauncher::new(command, run_fixture::new_run_id, Clock::new(run_fixture::now));
        let mut changes = launcher.changes();
        let mut parts = run_fixture::parts(Arc::new(MemoryBucket::new()), Arc::new(launcher));
        parts.access = Access::ProtectRuns(Token::new(TOKEN));
        let table = parts.table.clone();
        let router = serve::router(parts);
        table.refresh_now().await;
        let bearer = format!("Bearer {TOKEN}");
        let start = Request::post("/data").header("authorization", &bearer);
        let run_id = run_fixture::send(&router, start, Body::empty()).await.body["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let this = Self { router, run_id, _dir: dir };
        loop {
            changes.mark_unchanged();
            let run = this.body(&format!("/runs/{}", this.run_id), &[]).await;
            if run.contains("\"failed\"") {
                return this;
            }
            changes.changed().await.unwrap();
        }
    }

    async fn body(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let request = headers
            .iter()
            .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let cache = response.headers()["cache-control"].to_str().unwrap();
        assert!(cache.contains("private") || cache.contains("no-store"), "{path}: {cache}");
        assert!(
            response.headers().get("etag").is_none(),
            "{path}: the ETag would not name the client"
        );
        String::from_utf8(to_bytes(response.into_body(), 1_000_000).await.unwrap().to_vec()).unwrap()
    }

    async fn cookie(&self) -> String {
        let request = Request::post("/page/sign-in").body(Body::from(format!("token={TOKEN}"))).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn sign_in_permits_runs_while_reads_are_open() {
    let fixture = RunsThatFail::new().await;
    let anonymous = fixture.body("/page/runs", &[]).await;
    assert!(
        anonymous.contains("data-needs-token") && anonymous.contains("/page/sign-in?return_to=%2Fpage%2Fruns"),
        "{anonymous}"
    );
    let signed_in = fixture.body("/page/runs", &[("cookie", &fixture.cookie().await)]).await;
    assert!(
        !signed_in.contains("data-needs-token") && signed_in.contains("id=\"sign-out\""),
        "{signed_in}"
    );
    // A shell needs the token nevertheless.
    assert!(signed_in.contains("Bearer $TOKEN"), "{signed_in}");
}

#[tokio::test]
async fn run_details_require_the_token() {
    let fixture = RunsThatFail::new().await;
    let id = &fixture.run_id;
    let paths = [
        "/runs".to_owned(),
        format!("/runs/{id}"),
        format!("/runs/{id}/events"),
        "/data".to_owned(),
        "/".to_owned(),
        "/page/runs".to_owned(),
        format!("/page/runs/{id}"),
        "/page/users".to_owned(),
    ];
    let (bearer, cookie) = (format!("Bearer {TOKEN}"), fixture.cookie().await);
    for path in &paths {
        for headers in [vec![], vec![("authorization", "Bearer wrong")]] {
            let body = fixture.body(path, &headers).await;
            for name in ["internal", "log_tail", "id=\"log-tail\""] {
                assert!(!body.contains(name), "{path} has {name}: {body}");
            }
        }
        let anonymous = fixture.body(path, &[]).await;
        assert!(
            anonymous.contains("he run failed; send the token") || path == "/page/users",
            "{path}: {anonymous}"
        );
        for rights in [("authorization", &bearer), ("cookie", &cookie)] {
            let full = fixture.body(path, &[(rights.0, rights.1)]).await;
            assert!(full.contains(SECRET) || path == "/page/users", "{path}: {full}");
        }
    }
}
