//! Connections over an in-memory pipe.

use std::{
    net::Ipv4Addr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    http::StatusCode,
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::{
    client_limits::{Clients, RequestClient, yield_to_ready_tasks},
    response_budget::ResponseBudget,
    server::peer::ClientResolver,
    trusted_proxies::TrustedProxies,
};

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/endless", get(async || endless_body()))
        .route("/never", get(std::future::pending::<()>))
        .route("/echo", post(async |body: String| body))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn(respond_to_rejected))
}

async fn respond_to_rejected(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
    match request.extensions().get::<RejectedRequest>() {
        Some(RejectedRequest(error)) => (StatusCode::BAD_REQUEST, format!("rejected: {}", error.detail())).into_response(),
        None => next.run(request).await,
    }
}

fn endless_body() -> Body {
    let chunks = stream::repeat(Bytes::from_static(&[b'x'; 4096]));
    Body::from_stream(chunks.map(Ok::<_, Infallible>))
}

const LONG: Duration = Duration::from_mins(10);

/// Timeouts that do not expire during a test.
const LONG_TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
    activity: ActivityTimeouts {
        request_head: LONG,
        keep_alive: LONG,
        response_stall: LONG,
        response_stall_after_half_close: LONG,
    },
    write_stall: LONG,
    check_interval: Duration::from_millis(1),
};

/// Serves a connection with these timeouts until it is closed or `shutdown`.
fn serve(
    stream: DuplexStream,
    router: Router,
    timeouts: ConnectionTimeouts,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let peer = ClientResolver::new(Clients::default(), TrustedProxies::default()).peer(Ipv4Addr::LOCALHOST.into());
    serve_connection(stream, http1_builder(), router, peer, timeouts, shutdown)
}

#[derive(Clone, Copy)]
enum AfterRequest {
    KeepOpen,
    HalfClose,
}

/// Sends `request` and returns everything that the server sends until it closes the connection.
async fn responses(timeouts: ConnectionTimeouts, request: &str, after_request: AfterRequest) -> String {
    let (server, mut client) = tokio::io::duplex(64 * 1024);
    let served = serve(server, router(), timeouts, CancellationToken::new());
    let sent = async {
        client.write_all(request.as_bytes()).await.unwrap();
        if matches!(after_request, AfterRequest::HalfClose) {
            client.shutdown().await.unwrap();
        }
        let mut responses = Vec::new();
        client.read_to_end(&mut responses).await.unwrap();
        String::from_utf8_lossy(&responses).into_owned()
    };
    let both = async { tokio::join!(served, sent).1 };
    let closed = tokio::time::timeout(Duration::from_mins(1), both).await;
    closed.unwrap_or_else(|_| panic!("{request:?}: the connection is still open"))
}

/// Checks what the server sends before it closes the connection for this timeout. All other timeouts are long.
async fn check_timeout(timeout: ExpiredTimeout, request: &str, expected: &str) {
    let mut timeouts = LONG_TIMEOUTS;
    match timeout {
        ExpiredTimeout::RequestHead => timeouts.activity.request_head = Duration::ZERO,
        ExpiredTimeout::KeepAlive => timeouts.activity.keep_alive = Duration::from_millis(100),
        ExpiredTimeout::ResponseStall => timeouts.activity.response_stall = Duration::ZERO,
    }
    let response = responses(timeouts, request, AfterRequest::KeepOpen).await;
    assert!(response.starts_with(expected), "{request:?}: {response}");
    assert_eq!(response.is_empty(), expected.is_empty(), "{request:?}: {response}");
}

#[tokio::test]
async fn expired_timeout_closes_the_connection() {
    check_timeout(ExpiredTimeout::KeepAlive, "", "").await;
    check_timeout(ExpiredTimeout::RequestHead, "GE", "HTTP/1.1 400").await;
    check_timeout(ExpiredTimeout::RequestHead, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow:", "HTTP/1.1 400").await;
    check_timeout(ExpiredTimeout::KeepAlive, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK").await;
    check_timeout(
        ExpiredTimeout::RequestHead,
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",
        "HTTP/1.1 200 OK",
    )
    .await;
    check_timeout(ExpiredTimeout::ResponseStall, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n", "").await;
}

/// The status line of the response to a request whose head is somewhat larger than this.
async fn status_line(head_bytes: usize) -> String {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
        "x".repeat(head_bytes)
    );
    let response = responses(LONG_TIMEOUTS, &head, AfterRequest::KeepOpen).await;
    response.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn head_over_the_limit_is_rejected() {
    assert_eq!(status_line(HEAD_BYTES_MAX - 100).await, "HTTP/1.1 200 OK");
    assert_eq!(status_line(HEAD_BYTES_MAX).await, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn response_to_chunked_request_closes_the_connection() {
    let post = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let requests = format!("{post}GET / HTTP/1.1\r\n\r\n");
    let response = responses(LONG_TIMEOUTS, &requests, AfterRequest::KeepOpen).await;
    assert!(
        response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nhello"),
        "{response}"
    );
    assert!(response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn client_that_half_closes_after_its_requests_gets_responses() {
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = |framing: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}");
    for (request, status, count) in [
        (get.to_owned(), "200 OK", 1),
        (format!("{get}{get}"), "200 OK", 2),
        (post("Content-Length: 2\r\n\r\nab"), "200 OK", 1),
        (post("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), "200 OK", 1),
        ("GET / HTTP/1.1\r\nHost".to_owned(), "400 Bad Request", 1),
        (String::new(), "", 0),
    ] {
        let response = responses(LONG_TIMEOUTS, &request, AfterRequest::HalfClose).await;
        assert_eq!(
            response.matches(&format!("HTTP/1.1 {status}\r\n")).count(),
            count,
            "{request:?}: {response}"
        );
    }
}

#[tokio::test]
async fn stalled_response_after_half_close_closes_the_connection() {
    let mut timeouts = LONG_TIMEOUTS;
    timeouts.activity.response_stall_after_half_close = Duration::ZERO;
    let request = "GET /never HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(responses(timeouts, request, AfterRequest::HalfClose).await, "");
}

#[tokio::test]
async fn client_that_half_closes_and_reads_slowly_gets_the_whole_response() {
    let (server, mut client) = tokio::io::duplex(1024);
    let large = Router::new().route("/", get(async || vec![b'x'; 50_000]));
    let served = serve(server, large, LONG_TIMEOUTS, CancellationToken::new());
    let sent = async {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut response, mut bytes) = (Vec::new(), [0; 100]);
        loop {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            match client.read(&mut bytes).await.unwrap() {
                0 => break response,
                read => response.extend_from_slice(&bytes[..read]),
            }
        }
    };
    let both = async { tokio::join!(served, sent).1 };
    let response = tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
    assert!(response.ends_with(&vec![b'x'; 50_000]), "{} bytes", response.len());
}

#[tokio::test]
async fn router_responds_to_rejected_request_and_connection_is_closed() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "\x16\x03\x01",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        &long,
        &format!("{get}GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n{get}"),
    ] {
        let response = responses(LONG_TIMEOUTS, request, AfterRequest::KeepOpen).await;
        let (head, body) = response.rsplit_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with("\r\nconnection: close") || head.contains("\r\nconnection: close\r\n"),
            "{request:?}: {response}"
        );
        assert!(body.starts_with("rejected: "), "{request:?}: {response}");
        assert_eq!(
            response.matches("HTTP/1.1 200").count(),
            usize::from(request.starts_with(get)),
            "{request:?}: {response}"
        );
    }
}

#[tokio::test]
async fn connection_of_client_that_reads_nothing_is_closed() {
    let (server, mut client) = tokio::io::duplex(1024);
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let timeouts = ConnectionTimeouts {
        write_stall: Duration::from_millis(10),
        ..LONG_TIMEOUTS
    };
    let served = serve(server, router(), timeouts, CancellationToken::new());
    tokio::time::timeout(Duration::from_mins(1), served).await.unwrap();
}

#[tokio::test]
async fn shutdown_closes_idle_connection_at_once() {
    let (server, mut client) = tokio::io::duplex(64 * 1024);
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve(server, router(), LONG_TIMEOUTS, shutdown.clone()));
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
    shutdown.cancel();
    served.await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
}

/// hyper drops the body when it is in its write buffer, but the permit must be held until the client has read it.
#[tokio::test]
async fn unread_tiny_response_holds_its_permit_until_it_is_read() {
    let budget = ResponseBudget::new();
    let available = budget.available_kib();
    let layer_budget = budget.clone();
    let router = Router::new()
        .route("/", get(async || vec![b'x'; 16 * 1024]))
        .layer(middleware::from_fn(
            move |request: axum::extract::Request, next: middleware::Next| {
                let budget = layer_budget.clone();
                async move {
                    let RequestClient(client) = RequestClient::from_extensions(request.extensions());
                    budget.admit(&client, next.run(request).await).expect("the budget is not exhausted")
                }
            },
        ));
    // The pipe is smaller than the response.
    let (server, mut client) = tokio::io::duplex(1024);
    let _served = tokio::spawn(serve(server, router, LONG_TIMEOUTS, CancellationToken::new()));
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 100];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(budget.available_kib(), available - 16);
    let mut rest = vec![0; 16 * 1024];
    client.read_exact(&mut rest).await.unwrap();
    let released = async {
        while budget.available_kib() < available {
            tokio::task::yield_now().await;
            // The head is larger than 100 bytes, so some bytes of the body are left.
            let _ = tokio::time::timeout(Duration::from_millis(1), client.read(&mut rest)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), released).await.unwrap();
}

#[tokio::test]
async fn pipelined_requests_yield_to_other_tasks() {
    let yields = Arc::new(AtomicU64::new(0));
    let other_yields = Arc::clone(&yields);
    let _other_task = tokio::spawn(async move {
        loop {
            other_yields.fetch_add(1, Ordering::Relaxed);
            yield_to_ready_tasks().await;
        }
    });
    let observed = Arc::new(Mutex::new(Vec::new()));
    let handler_observed = Arc::clone(&observed);
    let handler = async move || handler_observed.lock().unwrap().push(yields.load(Ordering::Relaxed));
    let router = Router::new().route("/", get(handler));
    let (server, mut client) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(serve(server, router, LONG_TIMEOUTS, CancellationToken::new()));
    client
        .write_all("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50).as_bytes())
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    served.await.unwrap();
    let observed = observed.lock().unwrap();
    assert_eq!(observed.len(), 50);
    // The scheduler may poll one task several times in a row, so only the sum is certain: the other task runs about once for each request.
    assert!(observed[49] - observed[0] >= 40, "{observed:?}");
}
