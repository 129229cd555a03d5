//! Serves HTTP/1.1 on one connection, until the client closes it, a timeout expires, or the server shuts down.

use std::{
    convert::Infallible,
    future::poll_fn,
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
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{
    response_budget::ResponsePermit,
    server::{
        activity::{Activity, ActivityTimeouts, ExpiredTimeout, InFlightRequest},
        paced_io::PacedIo,
        peer::Peer,
        request_error::RejectedRequest,
    },
};

/// The largest head of a request. A query with 1,000 user IDs fits. If all connections send such heads, they use 160 MiB together with hyper's
/// initial buffers. It is also the limit of hyper's write buffer.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionTimeouts {
    pub(crate) activity: ActivityTimeouts,
    /// How long the client may take to read 64 KiB of a response.
    pub(crate) write_stall: Duration,
    /// How often `activity` is checked.
    pub(crate) check_interval: Duration,
}

/// The settings of hyper for all connections.
pub(crate) fn http1_builder() -> Builder {
    let mut builder = Builder::new();
    // `activity.rs` has the timeouts: hyper's timeout for a head also applies to idle connections.
    builder.header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Serves one connection until it is closed.
pub(crate) async fn serve_connection<S>(
    stream: S,
    http1: Builder,
    router: Router,
    peer: Peer,
    timeouts: ConnectionTimeouts,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(PacedIo::new(stream, Arc::clone(&activity), timeouts.write_stall, HEAD_BYTES_MAX));
    let service_activity = Arc::clone(&activity);
    let service = service_fn(move |request| call_router(router.clone(), &peer, &service_activity, request));
    let mut connection = pin!(http1.serve_connection(io, service));
    let mut checks = tokio::time::interval(timeouts.check_interval);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_shutting_down = false;
    loop {
        tokio::select! {
            // Bytes that have arrived count, even if they are read after the timeout.
            biased;
            result = count_polls(&activity, connection.as_mut()) => {
                if let Err(error) = result {
                    tracing::debug!(error = ?error, "connection failed");
                }
                return;
            }
            () = shutdown.cancelled(), if !is_shutting_down => {}
            _ = checks.tick() => match activity.expired_timeout(&timeouts.activity) {
                None => continue,
                Some(ExpiredTimeout::KeepAlive) if !is_shutting_down => {}
                // The client gets a response. If it does not read that, the next check closes the connection.
                Some(ExpiredTimeout::RequestHead) if activity.reject_incomplete_head() => continue,
                Some(timeout) => {
                    tracing::debug!(timeout = ?timeout, "connection timed out");
                    return;
                }
            },
        }
        is_shutting_down = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Counts the polls of a connection.
fn count_polls<F: Future>(activity: &Activity, mut connection: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| {
        activity.count_poll();
        connection.as_mut().poll(context)
    })
}

/// The router's response to a request, with a body that records its progress.
fn call_router(
    mut router: Router,
    peer: &Peer,
    activity: &Arc<Activity>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<TrackedBody>, Infallible>> + use<> {
    let mut in_flight = activity.start_request();
    if let Some(error) = in_flight.take_rejection() {
        request.extensions_mut().insert(RejectedRequest(error));
    }
    let client = peer.request_client(request.headers());
    request.extensions_mut().insert(client);
    // Only hyper finds the end of a chunked body, so the request after it cannot be checked, and the connection is closed.
    let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let response = router.call(request);
    async move {
        let mut response = response.await?;
        if is_last {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(permit) = response.extensions_mut().remove::<ResponsePermit>() {
            in_flight.set_permit(permit);
        }
        Ok(response.map(|body| TrackedBody { body, in_flight }))
    }
}

/// A body that records each of its frames, and its end when it is dropped.
struct TrackedBody {
    body: Body,
    in_flight: InFlightRequest,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.in_flight.on_progress();
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
