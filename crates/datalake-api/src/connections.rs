//! Connections: accepting them, serving HTTP/1.1 on each, and ending them, by themselves or when the server is to end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::{HeaderValue, Request, Response, header},
};
use bytes::Bytes;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1::Builder,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{
    activity::{Activity, Answering, Overdue, Times},
    client_connections::ClientConnections,
    client_io::ClientIo,
    first_head::{self, FirstHead},
    request_error::RefusedRequest,
    table_watch::chain,
};

/// Each connection that was served and does nothing costs about 16 KiB: 64 MiB. Those over it wait in the kernel until others end, which all do in time.
const CONNECTIONS_MAX: u32 = 4_096;

/// One client may have a quarter of them, so that its silent connections leave room for others and for probes. A proxy needs no more: as many requests
/// are answered at once (`limits.rs`).
const CONNECTIONS_PER_CLIENT_MAX: u32 = CONNECTIONS_MAX / 4;

/// A head that lists a thousand user ids in its query has room. All connections sending such heads at once hold 160 MiB, hyper's first
/// buffers among them.
/// It also bounds what of a stream waits in the process beside the chunk that is being sent.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What waits in the kernel beyond what the network has room for. Without it a slow client is given megabytes at once, and then seems to
/// take nothing for minutes. `client_io.rs` wants half of it taken in 30 seconds.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// How long a connection may take for what.
const PATIENCE: Patience = Patience {
    times: Times {
        // One packet as a rule, and some repeats of a lost one.
        head: Duration::from_secs(10),
        // Load balancers keep idle connections for 60 seconds; who keeps them for less sometimes closes one that is just being used.
        idle: Duration::from_secs(75),
        // An answer begins within 90 seconds (see `limits.rs`), and a stream of events shows life more often.
        silence: Duration::from_mins(2),
        // A client that closed its connection looks the same, and what it waited for holds a place that others may need.
        silence_to_ended: Duration::from_secs(10),
    },
    // Longer than a train is in a tunnel between two cells.
    wait: Duration::from_secs(30),
    // Half of the shortest of the times.
    look: Duration::from_secs(5),
};

#[derive(Clone, Copy, Debug)]
struct Patience {
    times: Times,
    /// For a client that does not take 64 KiB of its answer.
    wait: Duration,
    /// How often it is looked whether a connection is overdue.
    look: Duration,
}

/// Where descriptors or memory ran out, some are free again after that.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until `shutdown`. Then nothing more is accepted, and the connections end when their requests have their answers;
/// it returns when all have.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let clients = ClientConnections::new(CONNECTIONS_PER_CLIENT_MAX);
    serve_at_most(CONNECTIONS_MAX, clients, listener, router, shutdown).await;
}

async fn serve_at_most(
    connections_max: u32,
    clients: ClientConnections,
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS)));
    let protocol = protocol();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), accept(&listener).await)
        };
        let (permit, (stream, address)) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Some(connection) = clients.enter(address.ip()) else {
            tracing::debug!("connection closed: the client has as many as it may");
            continue;
        };
        tune(&stream);
        let (protocol, router, shutdown) = (protocol.clone(), router.clone(), shutdown.child_token());
        tokio::spawn(async move {
            let activity = Arc::new(Activity::new());
            match first_head::wait(&stream, &activity, &PATIENCE.times, PATIENCE.look, &shutdown).await {
                FirstHead::None => {}
                // In a box, so that the wait before it takes little room.
                FirstHead::Came => Box::pin(attend(stream, activity, protocol, router, PATIENCE, shutdown)).await,
            }
            drop((connection, permit));
        });
    }
    // Whoever comes now is refused by the kernel and goes to another replica.
    drop(listener);
    // All the room there is: the last connection has ended.
    let _all = room.acquire_many(connections_max).await;
}

/// The next connection. What fails is tried again: a server that gave up here would answer nobody any more.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::error!(error = %error, "a connection cannot be accepted; trying again in a second");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client gave up before it was accepted; the next one is not concerned.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Answers leave at once, and what a client does not take waits in files and tables, not in the kernel. A client that is gone already
/// refuses the options, and is noticed by the first read.
fn tune(stream: &TcpStream) {
    let _gone_already = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _gone_already = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
}

fn protocol() -> Builder {
    let mut builder = Builder::new();
    // Times are `activity.rs`'s: hyper's own would give an idle connection no more time than a head that does not end.
    builder.header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Serves one connection to its end.
async fn attend<S>(stream: S, activity: Arc<Activity>, protocol: Builder, router: Router, patience: Patience, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&activity), patience.wait, HEAD_BYTES_MAX));
    let answering = Arc::clone(&activity);
    let service = service_fn(move |request| answer(router.clone(), &answering, request));
    let mut connection = pin!(protocol.serve_connection(io, service));
    let mut looks = tokio::time::interval(patience.look);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        tokio::select! {
            // What has come counts, however late it is looked at.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = chain(&error), "a connection broke");
                }
                return;
            }
            () = shutdown.cancelled(), if !is_ending => {}
            _ = looks.tick() => match activity.overdue(&patience.times) {
                None => continue,
                Some(Overdue::Idle) if !is_ending => {}
                // The client is answered; where it does not take that, it is cut the next time.
                Some(Overdue::Head) if activity.time_out() => continue,
                Some(overdue) => {
                    tracing::debug!(overdue = ?overdue, "a connection is cut");
                    return;
                }
            },
        }
        // Requests in flight get their answers.
        is_ending = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// The router's answer, with a note of when it ends.
fn answer(
    mut router: Router,
    activity: &Arc<Activity>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Attended>, Infallible>> + use<> {
    let answering = activity.begin();
    if let Some(error) = answering.refusal() {
        request.extensions_mut().insert(RefusedRequest(error));
    }
    // Where its body ends is hyper's to know: what follows it is not checked, and not read.
    let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let answer = router.call(request);
    async move {
        let mut answer = answer.await?;
        if is_last {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.map(|body| Attended { body, answering }))
    }
}

/// A body whose end, and each step towards it, are noted.
struct Attended {
    body: Body,
    answering: Answering,
}

impl HttpBody for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.answering.proceed();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        http::StatusCode,
        middleware,
        routing::{get, post},
    };
    use futures_util::{StreamExt, stream};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpSocket,
    };

    use super::*;

    fn router() -> Router {
        Router::new()
            .route("/", get(async || "hello"))
            .route("/endless", get(async || endless()))
            .route("/never", get(std::future::pending::<()>))
            .route("/echo", post(async |body: String| body))
            .fallback(async || StatusCode::NOT_FOUND)
            .layer(middleware::from_fn(|request, next: middleware::Next| {
                crate::problem::write_documents(request, |request| next.run(request))
            }))
    }

    fn endless() -> Body {
        let chunks = stream::repeat(Bytes::from_static(&[b'x'; 4096]));
        Body::from_stream(chunks.map(Ok::<_, Infallible>))
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
        check(Overdue::Head, "GE", "HTTP/1.1 408").await;
        check(Overdue::Head, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow:", "HTTP/1.1 408").await;
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
        assert_eq!(status_line(HEAD_BYTES_MAX).await, "HTTP/1.1 431 Request Header Fields Too Large");
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
        let attended = attend(ours, activity, protocol(), router(), patience, CancellationToken::new());
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
    async fn what_hyper_would_refuse_without_a_word_is_a_problem() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            ("\x16\x03\x01", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
            (&long, 431),
            (&format!("{get}GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n{get}"), 400),
        ] {
            let answer = to_the_end(PATIENT, text).await;
            let (head, body) = answer.rsplit_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("HTTP/1.1 {status} ")), "{text:?}: {answer}");
            assert!(
                head.ends_with("\r\nconnection: close") || head.contains("\r\nconnection: close\r\n"),
                "{text:?}: {answer}"
            );
            assert!(head.contains("content-type: application/problem+json"), "{text:?}: {answer}");
            let document: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                (&document["status"], &document["instance"]),
                (&status.into(), &"".into()),
                "{text:?}"
            );
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
        let clients = ClientConnections::new(10);
        let serving = tokio::spawn(serve_at_most(1, clients, listener, router(), shutdown.clone()));
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
        let serving = tokio::spawn(serve_at_most(8, ClientConnections::new(2), listener, router(), shutdown.clone()));
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
}
