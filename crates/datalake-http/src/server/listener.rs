//! Accepts connections within the limits, and shuts down gracefully.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client_limits::{Clients, Resource},
    server::{
        activity::ActivityTimeouts,
        connection::{self, ConnectionTimeouts},
        listener_health::ListenerHealth,
        peer::ClientResolver,
    },
    trusted_proxies::TrustedProxies,
};

/// How many connections a listener serves at the same time.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// All connections. Further connections wait in the kernel's queue until others are closed.
    max: u32,
    /// The connections of one client. Further connections are closed at once, so that idle connections of one client cannot block others.
    per_client_max: u32,
}

impl ConnectionLimits {
    /// The limits of the API. An idle connection uses about 16 KiB, so all of them use 64 MiB. A proxy needs at most a fourth of them, because as
    /// many requests may be in flight.
    pub const API: Self = Self {
        max: 4_096,
        per_client_max: 1_024,
    };

    /// The limits of the admin listener. Probes and scrapers open one connection each.
    pub const ADMIN: Self = Self {
        max: 64,
        per_client_max: 16,
    };
}

/// The largest part of a response that the kernel buffers beyond what it has sent. Without this limit a slow client gets megabytes at once and
/// then seems to read nothing for minutes, although `paced_io.rs` requires it to read 64 KiB in 30 seconds.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// The timeouts of every connection.
const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
    activity: ActivityTimeouts {
        // A head usually fits in one packet. This leaves time for some retransmissions.
        request_head: Duration::from_secs(10),
        // Load balancers keep idle connections for 60 seconds. A server that closes them first may close one that is about to be used.
        keep_alive: Duration::from_secs(75),
        // The first frame of a response is ready within 90 seconds, and event streams send comments more often than this.
        response_stall: Duration::from_mins(2),
        // A client that has disconnected looks the same as one that has only shut down its sending side.
        response_stall_after_half_close: Duration::from_secs(10),
    },
    // A mobile client may be without a network for this long.
    write_stall: Duration::from_secs(30),
    // Half of the shortest timeout.
    check_interval: Duration::from_secs(5),
};

/// The pause after a failed accept. File descriptors and memory may be free again after it.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A TCP listener with the settings for its connections.
#[derive(Debug)]
pub struct HttpListener {
    /// The listener whose connections are served.
    pub listener: TcpListener,
    /// How many connections are served at the same time.
    pub limits: ConnectionLimits,
    /// The proxies whose headers name the clients of requests.
    pub trusted_proxies: TrustedProxies,
    /// Records whether connections are accepted, for the liveness probe.
    pub health: ListenerHealth,
}

/// Accepts and serves connections until `shutdown`. Then it closes the listener and idle connections, lets requests in flight finish, and
/// returns when all connections are closed.
pub async fn serve(http_listener: HttpListener, router: Router, shutdown: CancellationToken) {
    let HttpListener {
        listener,
        limits,
        trusted_proxies,
        health,
    } = http_listener;
    let connection_permits = Arc::new(Semaphore::new(usize::try_from(limits.max).unwrap_or(Semaphore::MAX_PERMITS)));
    let resolver = ClientResolver::new(Clients::default(), trusted_proxies);
    let http1 = connection::http1_builder();
    let _accept_guard = health.accept_guard();
    loop {
        let accepted = async {
            let permit = Arc::clone(&connection_permits).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), accept(&listener, &health).await)
        };
        let (permit, (stream, address)) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let peer = resolver.peer(address.ip());
        let Some(client_permit) = peer.client().try_acquire(Resource::Connections, 1, limits.per_client_max) else {
            tracing::debug!("connection rejected: too many connections from this client");
            continue;
        };
        set_socket_options(&stream);
        let (http1, router, shutdown) = (http1.clone(), router.clone(), shutdown.child_token());
        tokio::spawn(async move {
            let client = Arc::clone(peer.client());
            // Boxed, so that the task is small.
            let mut served = Box::pin(connection::serve_connection(stream, http1, router, peer, TIMEOUTS, shutdown));
            client.run_in_cpu_slot(served.as_mut()).await;
            drop((client_permit, permit));
        });
    }
    // The kernel now rejects connections, and clients connect to another replica.
    drop(listener);
    // All permits are available when the last connection is closed.
    let _all = connection_permits.acquire_many(limits.max).await;
}

/// Accepts the next connection. Retries after failures, because a server that returned would serve no further connection.
async fn accept(listener: &TcpListener, health: &ListenerHealth) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                health.record_success();
                return accepted;
            }
            Err(error) if is_aborted_by_client(&error) => {}
            Err(error) => {
                health.record_failure();
                tracing::error!(error = %error, "cannot accept a connection; retrying in 1 s");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Whether the client closed its connection before it was accepted. Other connections can still be accepted.
fn is_aborted_by_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Disables Nagle's algorithm and bounds the kernel's send buffer. Errors are ignored: they mean that the client has disconnected, which the first
/// read reports as well.
fn set_socket_options(stream: &TcpStream) {
    let _disconnected = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _disconnected = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
}

#[cfg(test)]
mod tests;
