//! Connections: accepting them, serving HTTP/1 and HTTP/2 on each, and ending them, by themselves or when the server is to end.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::{Request, Response, Version},
};
use bytes::Bytes;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
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
    client_io::ClientIo,
    first_head::has_come,
};

/// Each connection that was served and does nothing costs about 16 KiB: 64 MiB. Those over it wait in the kernel until others end, which all do in time.
const CONNECTIONS_MAX: u32 = 4_096;

/// A head that lists a thousand user ids in its query has room. All connections sending such heads at once hold 128 MiB.
/// It also bounds what of a stream waits in the process beside the chunk that is being sent.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The same for HTTP/2, whose own type for it is this.
const HEAD_BYTES_MAX_MULTIPLEXED: u32 = 32 * 1024;

/// Browsers ask for six things at a time. The answers of one connection, 256 KiB each (larger ones are counted), then hold at most 8 MiB.
const STREAMS_MAX: u32 = 32;

/// What a client that reads slowly lets wait in the process, a stream: one chunk.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// What waits in the kernel beyond what the network has room for. Without it a slow client is given megabytes at once, and then seems to
/// take nothing for minutes. `client_io.rs` wants half of it taken in 30 seconds.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// A peer that went away without a word is noticed by then, while an answer to it goes on.
const PING_PERIOD: Duration = Duration::from_secs(30);

/// How long a connection may take for what.
const PATIENCE: Patience = Patience {
    times: Times {
        // One packet as a rule, and some repeats of a lost one.
        head: Duration::from_secs(10),
        // Load balancers keep idle connections for 60 seconds; who keeps them for less sometimes closes one that is just being used.
        idle: Duration::from_secs(75),
        // An answer begins within 90 seconds (see `limits.rs`), and a stream of events shows life more often.
        silence: Duration::from_mins(2),
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
    serve_at_most(CONNECTIONS_MAX, listener, router, shutdown).await;
}

async fn serve_at_most(connections_max: u32, listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS)));
    let protocol = protocol();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), accept(&listener).await)
        };
        let (permit, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        tune(&stream);
        let (protocol, router, shutdown) = (protocol.clone(), router.clone(), shutdown.child_token());
        tokio::spawn(async move {
            let activity = Arc::new(Activity::new());
            if has_come(&stream, &activity, &PATIENCE.times, PATIENCE.look, &shutdown).await {
                // In a box, so that the wait before it takes little room.
                Box::pin(attend(stream, activity, protocol, router, PATIENCE, shutdown)).await;
            }
            drop(permit);
        });
    }
    // Whoever comes now is refused by the kernel and goes to another replica.
    drop(listener);
    // All the room there is: the last connection has ended.
    let _all = room.acquire_many(connections_max).await;
}

/// The next connection. What fails is tried again: a server that gave up here would answer nobody any more.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
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

fn protocol() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Times are `activity.rs`'s: hyper's own would give an idle connection no more time than a head that does not end.
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX_MULTIPLEXED)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_PERIOD);
    builder
}

/// Serves one connection to its end.
async fn attend<S>(
    stream: S,
    activity: Arc<Activity>,
    protocol: Builder<TokioExecutor>,
    router: Router,
    patience: Patience,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&activity), patience.wait));
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
                    tracing::debug!(error = error.as_ref(), "a connection broke");
                }
                return;
            }
            () = shutdown.cancelled(), if !is_ending => {}
            _ = looks.tick() => match activity.overdue(&patience.times) {
                None => continue,
                Some(Overdue::Idle) if !is_ending => {}
                Some(overdue) => {
                    tracing::debug!(overdue = ?overdue, "a connection is cut");
                    return;
                }
            },
        }
        // Requests in flight get their answers, and a client of HTTP/2 is told that no more are taken.
        is_ending = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// The router's answer, with a note of when it ends.
fn answer(
    mut router: Router,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Attended>, Infallible>> + use<> {
    let answering = activity.begin(request.version() == Version::HTTP_2);
    let answer = router.call(request);
    async move { Ok(answer.await?.map(|body| Attended { body, answering })) }
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
    use axum::routing::get;
    use futures_util::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn router() -> Router {
        Router::new()
            .route("/", get(async || "hello"))
            .route("/endless", get(async || endless()))
            .route("/never", get(std::future::pending::<()>))
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
        check(Overdue::Head, "GE", "").await;
        check(Overdue::Head, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow:", "").await;
        check(Overdue::Idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK").await;
        check(Overdue::Idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /", "HTTP/1.1 200 OK").await;
        check(Overdue::Answer, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n", "").await;
        // The preface and empty settings: a client that then asks nothing.
        check(Overdue::Head, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "\0").await;
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
        let serving = tokio::spawn(serve_at_most(1, listener, router(), shutdown.clone()));
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
