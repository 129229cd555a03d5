//! Requests as raw bytes over a socket, which no client library sends.

use std::time::Duration;

use datalake_server::serve;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::Lake;

/// A server on a socket, until the end of the test.
pub(crate) struct Served {
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Served {
    pub(crate) async fn new(lake: &Lake) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (parts, token) = (lake.parts.clone(), shutdown.clone());
        let serving = tokio::spawn(async move {
            let (_hints, hinted) = watch::channel(());
            serve::serve(listener.into(), parts, hinted, token).await;
        });
        Self {
            address,
            serving,
            shutdown,
        }
    }

    /// A client that has sent these bytes.
    pub(crate) async fn connected(&self, bytes: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        client
    }

    /// All bytes until the server closes the connection. With `ends`, the client closes its side first.
    pub(crate) async fn answers(&self, bytes: &[u8], ends: bool) -> String {
        let mut client = self.connected(bytes).await;
        if ends {
            client.shutdown().await.unwrap();
        }
        let mut answers = Vec::new();
        let read = tokio::time::timeout(Duration::from_mins(1), client.read_to_end(&mut answers)).await;
        read.unwrap_or_else(|_| panic!("{:?}: still open", String::from_utf8_lossy(bytes)))
            .unwrap();
        String::from_utf8_lossy(&answers).into_owned()
    }

    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// Status, head and body of the only response.
#[track_caller]
pub(crate) fn parts(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn check_problem(served: &Served, request: &[u8], status: u16, kind: &str, words: &str) {
    let answer = served.answers(request, false).await;
    let shown = String::from_utf8_lossy(request).into_owned();
    let (found, head, body) = parts(&answer);
    assert_eq!(found, status, "{shown:?}: {answer}");
    for header in [
        "content-type: application/problem+json",
        "cache-control: no-store",
        "connection: close",
        "x-content-type-options: nosniff",
        "x-request-id: ",
        &format!("content-length: {}", body.len()),
    ] {
        assert!(head.contains(header), "{shown:?}: no {header} in {head}");
    }
    let document: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{shown:?}: {error}: {body}"));
    assert_eq!(document["type"], format!("/docs/problems#{kind}"), "{shown:?}");
    assert_eq!(document["status"], status, "{shown:?}");
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{shown:?}: {detail}");
}

#[tokio::test]
async fn malformed_requests_return_problems() {
    let served = Served::new(&Lake::of_users().await).await;
    let check = async |request: &str, status, kind, words: &str| check_problem(&served, request.as_bytes(), status, kind, words).await;
    let malformed = "malformed-request";
    check("GET /data HTTP/1.1\r\n\r\n", 400, malformed, "no Host").await;
    check(
        "GET /data HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        400,
        malformed,
        "more than one Host",
    )
    .await;
    check(
        "GET /data HTTP/1.1\r\nHost: a b\r\n\r\n",
        400,
        malformed,
        "Host header is malformed",
    )
    .await;
    check("GET /data?a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed, "space").await;
    check("GET /data\r\n\r\n", 400, malformed, "no version").await;
    check("GE(T /data HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed, "method").await;
    check(
        "GET /data HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        400,
        malformed,
        "Content-Length",
    )
    .await;
    check("GET /data HTTP/1.1\r\nHost: a\r\nA b\r\n\r\n", 400, malformed, "line 3").await;
    check("\u{16}\u{3}\u{1}\u{2}", 400, malformed, "TLS").await;
    check(
        "GET /data HTTP/2.0\r\nHost: a\r\n\r\n",
        505,
        "http-version-not-supported",
        "HTTP/1.1",
    )
    .await;
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version-not-supported", "HTTP/1.1").await;
    check("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "no-proxy", "tunnel").await;
    let long = format!("GET /data?last_name={} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000));
    check(&long, 431, "head-too-large", "32768 bytes").await;
    let headers = format!("GET /data HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(100));
    check(&headers, 431, "head-too-large", "100 headers").await;
    served.end().await;
}

#[tokio::test]
async fn ambiguous_lengths_return_problems() {
    let served = Served::new(&Lake::of_users().await).await;
    let check = async |framing: &str, status, kind| {
        let request = format!("POST /data HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n0\r\n\r\n");
        check_problem(&served, request.as_bytes(), status, kind, "").await;
    };
    check("Transfer-Encoding: chunked, chunked", 400, "malformed-request").await;
    check("Transfer-Encoding: gzip, chunked", 501, "transfer-coding-not-supported").await;
    check("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "malformed-request").await;
    check("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "malformed-request").await;
    check("Content-Length: 5\r\nContent-Length: 6", 400, "malformed-request").await;
    served.end().await;
}

#[tokio::test]
async fn rejected_request_is_counted_and_closes_the_connection() {
    let lake = Lake::of_users().await;
    let served = Served::new(&lake).await;
    let get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = served.answers(format!("{get}GET / HTTP/1.1\r\n\r\n{get}").as_bytes(), false).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 Bad Request").count(), 1, "{answers}");
    let metrics = lake.get("/metrics").await.body;
    assert!(
        metrics.contains("datalake_http_requests_total{route=\"none\",status=\"400\"} 1"),
        "{metrics}"
    );
    let head = served.answers(b"HEAD / HTTP/1.1\r\n\r\n", false).await;
    let (status, _, body) = parts(&head);
    assert_eq!((status, body.as_str()), (400, ""), "{head}");
    served.end().await;
}

#[tokio::test]
async fn unencoded_targets_are_accepted() {
    let served = Served::new(&Lake::of_users().await).await;
    let ask = async |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (status, _, body) = parts(&served.answers(request.as_bytes(), false).await);
        let document: Value = serde_json::from_str(&body).unwrap();
        (status, document)
    };
    let (status, document) = ask("/data?age>=30").await;
    assert_eq!(
        (status, &document["parameter"], &document["nearest"]),
        (400, &"age>".into(), &"age__gte".into())
    );
    let (status, rows) = ask("/data?first_name__startswith=Zoë&select=user_id").await;
    assert_eq!((status, rows), (200, serde_json::json!([{"user_id": "1"}])));
    let (status, rows) = ask("/data?user_id__in=[\"1\"]&select=user_id").await;
    assert_eq!((status, rows), (200, serde_json::json!([{"user_id": "1"}])));
    let (status, _) = ask("http://other.example/data").await;
    assert_eq!(status, 200);
    served.end().await;
}

#[tokio::test]
async fn http_1_0_requires_no_host() {
    let served = Served::new(&Lake::of_users().await).await;
    let answer = served.answers(b"GET /healthz HTTP/1.0\r\n\r\n", false).await;
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );
    served.end().await;
}

#[tokio::test]
async fn half_closed_client_gets_its_response() {
    let served = Served::new(&Lake::of_users().await).await;
    for (path, words) in [("/healthz", "ok\n"), ("/data", "\"user_id\":\"a\""), ("/openapi.json", "openapi")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, _, body) = parts(&served.answers(request.as_bytes(), true).await);
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(words), "{path}: {body}");
    }
    let two = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    let answers = served.answers(two.as_bytes(), true).await;
    assert_eq!(answers.matches("\r\n\r\nok\n").count(), 2, "{answers}");
    let post =
        "POST /data HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n";
    let (status, head, _) = parts(&served.answers(post.as_bytes(), true).await);
    // This server starts no runs.
    assert_eq!(status, 501, "{head}");
    served.end().await;
}

#[tokio::test]
async fn client_that_is_still_sending_gets_its_response() {
    let served = Served::new(&Lake::of_users().await).await;
    let mut request = b"POST /data HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n".to_vec();
    request.resize(request.len() + 500_000, b' ');
    let (status, _, body) = parts(&served.answers(&request, true).await);
    assert_eq!(status, 413, "{body}");
    served.end().await;
}

#[tokio::test]
async fn options_of_the_server_name_its_methods() {
    let served = Served::new(&Lake::of_users().await).await;
    let answer = served
        .answers(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false)
        .await;
    let (status, head, body) = parts(&answer);
    assert_eq!((status, body.as_str()), (204, ""), "{answer}");
    assert!(head.contains("allow: get,head,post,delete,options"), "{head}");
    served.end().await;
}
