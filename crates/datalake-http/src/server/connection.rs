//! Connections: accepting them, serving HTTP/1.1 on each, and ending them, by themselves or when the server is to end.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
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
    clients::{Client, Clients, RequestClient, Resource},
    response_budget::ResponsePermit,
    server::{
        activity::{Activity, Answering, Overdue, Times},
        listener_health::ListenerHealth,
        paced_io::ClientIo,
        request_error::RejectedRequest,
    },
    trusted_proxies::TrustedProxies,
};

/// How many connections a listener serves.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// All of them. Those over it wait in the kernel until others end, which all do in time.
    max: u32,
    /// Those of one client, so that its silent connections leave room for others and for probes.
    per_client_max: u32,
}

impl ConnectionLimits {
    /// Each connection that was served and does nothing costs about 16 KiB: 64 MiB. A proxy needs no more than a fourth of them: as many requests
    /// are handled at once (`limits.rs`).
    pub const API: Self = Self {
        max: 4_096,
        per_client_max: 1_024,
    };

    /// Probes and scrapers open one connection each.
    pub const ADMIN: Self = Self {
        max: 64,
        per_client_max: 16,
    };
}

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

/// A listener, and how its connections are served.
#[derive(Debug)]
pub struct HttpListener {
    /// The listener whose connections are accepted.
    pub listener: TcpListener,
    /// How many connections are served at once.
    pub limits: ConnectionLimits,
    /// The proxies that name the clients of their requests.
    pub trusted_proxies: TrustedProxies,
    /// Records whether connections are accepted, for the liveness probe.
    pub health: ListenerHealth,
}

/// Accepts and serves until `shutdown`. Then nothing more is accepted, and the connections end when their requests have their answers;
/// it returns when all have.
pub async fn serve(http_listener: HttpListener, router: Router, shutdown: CancellationToken) {
    let HttpListener {
        listener,
        limits,
        trusted_proxies,
        health,
    } = http_listener;
    let room = Arc::new(Semaphore::new(usize::try_from(limits.max).unwrap_or(Semaphore::MAX_PERMITS)));
    let origins = Origins {
        clients: Clients::default(),
        trusted_proxies: Arc::new(trusted_proxies),
    };
    let protocol = protocol();
    // However this ends, nothing is accepted afterwards.
    let _until_the_end = health.begin();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), accept(&listener, &health).await)
        };
        let (permit, (stream, address)) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let peer = origins.clients.client(address.ip());
        let Some(connection) = peer.try_acquire(limits.per_client_max, Resource::Connections, 1) else {
            tracing::debug!("connection closed: the client has as many as it may");
            continue;
        };
        tune(&stream);
        let origin = Origin {
            origins: origins.clone(),
            address: address.ip(),
            peer,
        };
        let (protocol, router, shutdown) = (protocol.clone(), router.clone(), shutdown.child_token());
        tokio::spawn(async move {
            let activity = Arc::new(Activity::new());
            let client = Arc::clone(&origin.peer);
            // On the heap, so that a task is small.
            let mut attending = Box::pin(attend(stream, activity, protocol, router, origin, PATIENCE, shutdown));
            client.run_in_cpu_slot(attending.as_mut()).await;
            drop((connection, permit));
        });
    }
    // The kernel refuses new connections, and their clients go to another replica.
    drop(listener);
    // All the room there is: the last connection has ended.
    let _all = room.acquire_many(limits.max).await;
}

/// What attributes requests to clients.
#[derive(Clone, Debug)]
struct Origins {
    clients: Clients,
    trusted_proxies: Arc<TrustedProxies>,
}

/// Where the requests of a connection come from.
#[derive(Clone, Debug)]
struct Origin {
    origins: Origins,
    address: IpAddr,
    /// The client of this address.
    peer: Arc<Client>,
}

impl Origin {
    /// The client of a request.
    fn client(&self, request: &Request<Incoming>) -> RequestClient {
        let address = self.origins.trusted_proxies.client(self.address, request.headers());
        match address == self.address {
            true => RequestClient(Arc::clone(&self.peer)),
            false => RequestClient(self.origins.clients.client(address)),
        }
    }
}

/// The next connection. A failure is retried: a server that gave up here would not serve any more.
async fn accept(listener: &TcpListener, health: &ListenerHealth) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                health.succeeded();
                return accepted;
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                health.failed();
                tracing::error!(error = %error, "cannot accept a connection; retrying in a second");
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
async fn attend<S>(
    stream: S,
    activity: Arc<Activity>,
    protocol: Builder,
    router: Router,
    origin: Origin,
    patience: Patience,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&activity), patience.wait, HEAD_BYTES_MAX));
    let answering = Arc::clone(&activity);
    let service = service_fn(move |request| answer(router.clone(), &origin, &answering, request));
    let mut connection = pin!(protocol.serve_connection(io, service));
    let mut looks = tokio::time::interval(patience.look);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        tokio::select! {
            // What has come counts, however late it is looked at.
            biased;
            ended = polled(&activity, connection.as_mut()) => {
                if let Err(error) = ended {
                    tracing::debug!(error = ?error, "a connection broke");
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

/// Counts the polls of a connection.
fn polled<F: Future>(activity: &Activity, mut connection: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| {
        activity.begin_poll();
        connection.as_mut().poll(context)
    })
}

/// The router's answer, with a note of when it ends.
fn answer(
    mut router: Router,
    origin: &Origin,
    activity: &Arc<Activity>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Attended>, Infallible>> + use<> {
    let mut answering = activity.begin();
    if let Some(error) = answering.refusal() {
        request.extensions_mut().insert(RejectedRequest(error));
    }
    let client = origin.client(&request);
    request.extensions_mut().insert(client);
    // Where its body ends is hyper's to know: what follows it is not checked, and not read.
    let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let answer = router.call(request);
    async move {
        let mut answer = answer.await?;
        if is_last {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(held) = answer.extensions_mut().remove::<ResponsePermit>() {
            answering.hold(held);
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
mod tests;
