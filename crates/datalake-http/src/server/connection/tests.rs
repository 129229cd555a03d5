//! Connections over a pipe and over loopback.

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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::*;
use crate::{clients::yield_to_ready_tasks, response_budget::ResponseBudget};

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/endless", get(async || endless()))
        .route("/never", get(std::future::pending::<()>))
        .route("/echo", post(async |body: String| body))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn(answer_refused))
}

/// Answers requests that were refused before a route is found.
async fn answer_refused(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
    match request.extensions().get::<RejectedRequest>() {
        Some(RejectedRequest(error)) => (StatusCode::BAD_REQUEST, format!("refused: {}", error.detail())).into_response(),
        None => next.run(request).await,
    }
}

fn endless() -> Body {
    let chunks = stream::repeat(Bytes::from_static(&[b'x'; 4096]));
    Body::from_stream(chunks.map(Ok::<_, Infallible>))
}

fn origin() -> Origin {
    let origins = Origins {
        clients: Clients::default(),
        trusted_proxies: Arc::default(),
    };
    let address = Ipv4Addr::LOCALHOST.into();
    Origin {
        peer: origins.clients.client(address),
        origins,
        address,
    }
}

fn listening(listener: TcpListener, max: u32, per_client_max: u32) -> HttpListener {
    HttpListener {
        listener,
        limits: ConnectionLimits { max, per_client_max },
        trusted_proxies: TrustedProxies::default(),
        health: ListenerHealth::default(),
    }
}

const LONG: Duration = Duration::from_mins(10);

/// Enough for all that a test does.
const PATIENT: Patience = Patience {
    times: Times {
        head: LONG,
        idle: LONG,
        silence: LONG,
        silence_to_ended: LONG,
    },
    wait: LONG,
    look: Duration::from_millis(1),
};

/// Sends `text`, and gives what comes until the server closes.
async fn to_the_end(patience: Patience, text: &str) -> String {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let attended = attend(
        ours,
        Arc::new(Activity::new()),
        protocol(),
        router(),
        origin(),
        patience,
        CancellationToken::new(),
    );
    let asking = async {
        theirs.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let both = async { tokio::join!(attended, asking).1 };
    let ended = tokio::time::timeout(Duration::from_mins(1), both).await;
    ended.unwrap_or_else(|_| panic!("{text:?}: still open"))
}

/// The connection ends with this answer where this step has no time, and every other has.
async fn check(overdue: Overdue, text: &str, expected: &str) {
    let mut patience = PATIENT;
    match overdue {
        Overdue::Head => patience.times.head = Duration::ZERO,
        Overdue::Idle => patience.times.idle = Duration::from_millis(100),
        Overdue::Answer => patience.times.silence = Duration::ZERO,
    }
    let answer = to_the_end(patience, text).await;
    assert!(answer.starts_with(expected), "{text:?}: {answer}");
    assert_eq!(answer.is_empty(), expected.is_empty(), "{text:?}: {answer}");
}

#[tokio::test]
async fn connections_end_by_themselves() {
    // Nothing, not even a version.
    check(Overdue::Idle, "", "").await;
    check(Overdue::Head, "GE", "HTTP/1.1 400").await;
    check(Overdue::Head, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow:", "HTTP/1.1 400").await;
    check(Overdue::Idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK").await;
    check(Overdue::Head, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /", "HTTP/1.1 200 OK").await;
    check(Overdue::Answer, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n", "").await;
}

async fn status_line(head_bytes: usize) -> String {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
        "x".repeat(head_bytes)
    );
    let answer = to_the_end(PATIENT, &head).await;
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn heads_are_bounded() {
    assert_eq!(status_line(HEAD_BYTES_MAX - 100).await, "HTTP/1.1 200 OK");
    assert_eq!(status_line(HEAD_BYTES_MAX).await, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn a_body_of_chunks_is_the_last_of_its_connection() {
    let post = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = to_the_end(PATIENT, &format!("{post}GET / HTTP/1.1\r\n\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    assert!(answer.contains("connection: close"), "{answer}");
}

/// Sends `text` and nothing more, and gives what comes until the server closes.
async fn after_the_end(patience: Patience, text: &str) -> String {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let activity = Arc::new(Activity::new());
    let attended = attend(ours, activity, protocol(), router(), origin(), patience, CancellationToken::new());
    let asking = async {
        theirs.write_all(text.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let both = async { tokio::join!(attended, asking).1 };
    let ended = tokio::time::timeout(Duration::from_mins(1), both).await;
    ended.unwrap_or_else(|_| panic!("{text:?}: still open"))
}

#[tokio::test]
async fn a_client_that_ends_after_its_request_is_answered() {
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let posted = |framing: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}");
    for (text, status, answers) in [
        (get.to_owned(), "200 OK", 1),
        (format!("{get}{get}"), "200 OK", 2),
        (posted("Content-Length: 2\r\n\r\nab"), "200 OK", 1),
        (posted("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), "200 OK", 1),
        ("GET / HTTP/1.1\r\nHost".to_owned(), "400 Bad Request", 1),
        // Nothing was asked.
        (String::new(), "", 0),
    ] {
        let answer = after_the_end(PATIENT, &text).await;
        assert_eq!(
            answer.matches(&format!("HTTP/1.1 {status}\r\n")).count(),
            answers,
            "{text:?}: {answer}"
        );
    }
    // It may as well have gone.
    let mut patience = PATIENT;
    patience.times.silence_to_ended = Duration::ZERO;
    assert_eq!(after_the_end(patience, &get.replace("/ ", "/never ")).await, "");
}

#[tokio::test]
async fn a_client_that_ends_and_reads_slowly_gets_the_whole_answer() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let large = Router::new().route("/", get(async || vec![b'x'; 50_000]));
    let attended = attend(
        ours,
        Arc::new(Activity::new()),
        protocol(),
        large,
        origin(),
        PATIENT,
        CancellationToken::new(),
    );
    let asking = async {
        theirs.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        theirs.shutdown().await.unwrap();
        let (mut answer, mut bytes) = (Vec::new(), [0; 100]);
        loop {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            match theirs.read(&mut bytes).await.unwrap() {
                0 => break answer,
                read => answer.extend_from_slice(&bytes[..read]),
            }
        }
    };
    let both = async { tokio::join!(attended, asking).1 };
    let answer = tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
    assert!(answer.ends_with(&vec![b'x'; 50_000]), "{} bytes", answer.len());
}

#[tokio::test]
async fn malformed_requests_reach_the_router_as_refused() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "\x16\x03\x01",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        &long,
        &format!("{get}GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n{get}"),
    ] {
        let answer = to_the_end(PATIENT, text).await;
        let (head, body) = answer.rsplit_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with("\r\nconnection: close") || head.contains("\r\nconnection: close\r\n"),
            "{text:?}: {answer}"
        );
        assert!(body.starts_with("refused: "), "{text:?}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 200").count(),
            usize::from(text.starts_with(get)),
            "{text:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let wait = Duration::from_millis(10);
    theirs.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let attended = attend(
        ours,
        Arc::new(Activity::new()),
        protocol(),
        router(),
        origin(),
        Patience { wait, ..PATIENT },
        CancellationToken::new(),
    );
    tokio::time::timeout(Duration::from_mins(1), attended).await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_server_is_the_end_of_idle_connections_at_once() {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(attend(
        ours,
        Arc::new(Activity::new()),
        protocol(),
        router(),
        origin(),
        PATIENT,
        shutdown.clone(),
    ));
    theirs.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(theirs.read(&mut [0; 1024]).await.unwrap() > 0);
    shutdown.cancel();
    serving.await.unwrap();
    theirs.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn one_over_the_bound_waits_for_room() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listening(listener, 1, 10), router(), shutdown.clone()));
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(request).await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut answer = [0; 1024];
    for _ in 0..100 {
        // In the time of these answers the second would have had its own.
        first.write_all(request).await.unwrap();
        assert!(first.read(&mut answer).await.unwrap() > 0);
    }
    assert_eq!(second.try_read(&mut answer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    assert!(second.read(&mut answer).await.unwrap() > 0);
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    shutdown.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn silent_connections_of_one_client_keep_no_other_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listening(listener, 8, 2), router(), shutdown.clone()));
    let silent = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let mut over = TcpStream::connect(address).await.unwrap();
    assert_eq!(over.read(&mut [0; 1]).await.unwrap(), 0, "closed at once");
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(other.read(&mut [0; 1024]).await.unwrap() > 0);
    drop((silent, other));
    shutdown.cancel();
    serving.await.unwrap();
}

#[test]
fn errors_of_one_client_are_passed_over() {
    for (kind, expected) in [
        (io::ErrorKind::ConnectionAborted, true),
        (io::ErrorKind::ConnectionReset, true),
        (io::ErrorKind::ConnectionRefused, true),
        (io::ErrorKind::OutOfMemory, false),
        (io::ErrorKind::Other, false),
    ] {
        assert_eq!(is_of_one_client(&io::Error::from(kind)), expected, "{kind:?}");
    }
    // Too many open files.
    assert!(!is_of_one_client(&io::Error::from_raw_os_error(24)));
}

/// A client that reads nothing holds its part of the budget, although hyper has taken the whole body.
#[tokio::test]
async fn unread_tiny_response_holds_the_budget_until_it_is_read() {
    let budget = ResponseBudget::new();
    let free = budget.free_kib();
    let admit = budget.clone();
    let router = Router::new()
        .route("/", get(async || vec![b'x'; 16 * 1024]))
        .layer(middleware::from_fn(
            move |request: axum::extract::Request, next: middleware::Next| {
                let admit = admit.clone();
                async move {
                    let RequestClient(client) = RequestClient::from_extensions(request.extensions());
                    admit.admit(&client, next.run(request).await).expect("the budget has room")
                }
            },
        ));
    // The pipe takes less than the response.
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let activity = Arc::new(Activity::new());
    let _attending = tokio::spawn(attend(
        ours,
        activity,
        protocol(),
        router,
        origin(),
        PATIENT,
        CancellationToken::new(),
    ));
    theirs.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 100];
    theirs.read_exact(&mut head).await.unwrap();
    assert_eq!(budget.free_kib(), free - 16);
    let mut rest = vec![0; 16 * 1024];
    theirs.read_exact(&mut rest).await.unwrap();
    // The last bytes of the head are read with the body.
    let freed = async {
        while budget.free_kib() < free {
            tokio::task::yield_now().await;
            let _ = tokio::time::timeout(Duration::from_millis(1), theirs.read(&mut rest)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.unwrap();
}

/// Requests that a client sends at once are not handled at once: other tasks run in between.
#[tokio::test]
async fn pipelined_requests_yield_to_other_tasks() {
    let turns = Arc::new(AtomicU64::new(0));
    let others = Arc::clone(&turns);
    let _other = tokio::spawn(async move {
        loop {
            others.fetch_add(1, Ordering::Relaxed);
            yield_to_ready_tasks().await;
        }
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handled = Arc::clone(&seen);
    let router = Router::new().route("/", get(async move || handled.lock().unwrap().push(turns.load(Ordering::Relaxed))));
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let activity = Arc::new(Activity::new());
    let attending = tokio::spawn(attend(
        ours,
        activity,
        protocol(),
        router,
        origin(),
        PATIENT,
        CancellationToken::new(),
    ));
    theirs
        .write_all("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50).as_bytes())
        .await
        .unwrap();
    theirs.shutdown().await.unwrap();
    theirs.read_to_end(&mut Vec::new()).await.unwrap();
    attending.await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 50);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
}
