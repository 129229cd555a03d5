//! Limits of requests: what concurrent requests cost, and which others they delay.

use std::{net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use datalake_server::serve::{self, Listeners};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::fixture::{Lake, now, put};

/// As many requests as may read the store at the same time.
const STORE_READS_MAX: usize = 256;

async fn status(router: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap().status()
}

async fn check_hanging_store(path: &'static str) {
    let lake = Lake::of_users().await;
    for number in 0..30 {
        let edits = vec![put("0001", &format!("Ada{number}"), "1980-08-09", true)];
        lake.commit_as("run-2", now(), edits, &[]).await;
    }
    lake.watch.refresh_now().await;
    lake.set_latency(Duration::from_hours(1));
    let router = lake.router();
    let request = || {
        let router = router.clone();
        tokio::spawn(async move { status(&router, path).await })
    };
    let reading: Vec<_> = (0..STORE_READS_MAX).map(|_| request()).collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(
        reading.iter().any(|reading| !reading.is_finished()),
        "{path} does not read the store"
    );
    for from_memory in ["/data", "/data/1000", "/stats", "/rejects", "/metrics", "/readyz"] {
        assert_eq!(status(&router, from_memory).await, StatusCode::OK, "{path}, then {from_memory}");
    }
    // None of them takes longer than the timeout of requests.
    for reading in reading {
        reading.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_store_delays_no_reads_from_memory() {
    for path in [
        "/data/1000/image",
        "/data/1000/history",
        "/data/1000/explain",
        "/data?version=1",
        "/data?as_of=2026-11-24T11:30:00Z",
        "/changes?since=1",
        "/versions",
        "/runs",
        "/runs/some-run",
        "/runs/some-run/events",
        "/page/versions",
        "/page/runs/some-run",
        "/page/users/1000",
    ] {
        check_hanging_store(path).await;
    }
}

/// The number of reads for concurrent requests, at 50 ms for each read.
async fn reads_for(requests: usize, path: &str) -> u64 {
    let lake = Lake::of_users().await;
    let router = lake.router();
    // Loads what all requests share.
    assert_eq!(status(&router, path).await, StatusCode::OK);
    lake.set_latency(Duration::from_millis(50));
    let before = lake.reads();
    let statuses = join_all((0..requests).map(|_| status(&router, path))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{path}: {statuses:?}");
    lake.reads() - before
}

#[tokio::test(start_paused = true)]
async fn requests_at_the_same_time_share_listings() {
    for path in ["/versions", "/runs"] {
        let of_one = reads_for(1, path).await;
        let of_many = reads_for(200, path).await;
        assert!(of_many <= 2 * of_one, "{path}: {of_many} reads for 200 requests, {of_one} for one");
    }
}

/// The response; none if the connection is closed instead.
async fn get(listener: std::net::SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(listener).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: lake\r\nconnection: close\r\n\r\n");
    let mut response = String::new();
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.read_to_string(&mut response).await.ok()?;
    (!response.is_empty()).then_some(response)
}

#[tokio::test]
async fn admin_listener_serves_probes_and_metrics_alone() {
    let lake = Lake::of_users().await;
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (api, admin) = (bind().await.unwrap(), bind().await.unwrap());
    let (api_address, address) = (api.local_addr().unwrap(), admin.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let (_hints, hinted) = watch::channel(());
    let listeners = Listeners { api, admin: Some(admin) };
    let serving = tokio::spawn(serve::serve(listeners, lake.parts.clone(), hinted, shutdown.clone()));
    // Silent connections exhaust the limit of the client on the API's listener.
    let mut silent = Vec::new();
    for _ in 0..1_024 {
        silent.push(TcpStream::connect(api_address).await.unwrap());
    }
    for (path, begins) in [
        ("/healthz", "HTTP/1.1 200 OK"),
        ("/readyz", "HTTP/1.1 200 OK"),
        ("/metrics", "HTTP/1.1 200 OK"),
        ("/data", "HTTP/1.1 404"),
        ("/healthz?x=1", "HTTP/1.1 400"),
    ] {
        let response = get(address, path).await.unwrap();
        assert!(response.starts_with(begins), "{path}: {response}");
    }
    let over = get(api_address, "/healthz").await;
    assert_eq!(over, None, "the client has its share of connections");
    drop(silent);
    shutdown.cancel();
    serving.await.unwrap();
}
