//! The requests in flight of a connection and the time of its last progress. `connection.rs` checks them regularly for expired timeouts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    response_budget::ResponsePermit,
    server::{request_error::RequestError, request_stream::Rejection},
};

/// The timeouts between two steps of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivityTimeouts {
    /// From the first byte of a request to the end of its head.
    pub(crate) request_head: Duration,
    /// From the end of a response, or from the start of the connection, to the next request.
    pub(crate) keep_alive: Duration,
    /// From one frame of a response to the next.
    pub(crate) response_stall: Duration,
    /// From one frame of a response to the next, after the client has shut down its sending side. The client may have disconnected.
    pub(crate) response_stall_after_half_close: Duration,
}

/// The timeout for which a connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpiredTimeout {
    /// There was no request.
    KeepAlive,
    /// The head of a request is incomplete.
    RequestHead,
    /// The client does not read a response, or has shut down its sending side and the response is not ready.
    ResponseStall,
}

/// The activity of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<ConnectionState>,
    polls: AtomicU64,
}

#[derive(Debug)]
struct ConnectionState {
    /// When each response in flight made progress last, by the number of its request.
    in_flight: BTreeMap<u64, Instant>,
    requests_started: u64,
    /// Whether a part of the next head has arrived.
    is_in_head: bool,
    /// When the connection became idle, or the first byte of the head arrived.
    last_step_at: Instant,
    /// Whether the incomplete head must be rejected.
    is_head_rejected: bool,
    /// The rejected request, with which the connection ends.
    rejection: Option<Rejection>,
    half_close: Option<HalfClose>,
    /// Permits of responses whose last bytes may be in the connection's write buffer.
    unflushed_permits: Vec<ResponsePermit>,
}

/// The client has shut down its sending side while responses are in flight.
#[derive(Debug)]
struct HalfClose {
    since: Instant,
    /// Woken when the last response has ended.
    waker: Waker,
}

/// A request in flight, until its response has ended or is dropped.
#[derive(Debug)]
pub(crate) struct InFlightRequest {
    activity: Arc<Activity>,
    number: u64,
    permit: Option<ResponsePermit>,
}

impl Activity {
    /// The activity of a connection without requests.
    pub(crate) fn new() -> Self {
        let state = Mutex::new(ConnectionState {
            in_flight: BTreeMap::new(),
            requests_started: 0,
            is_in_head: false,
            last_step_at: Instant::now(),
            is_head_rejected: false,
            rejection: None,
            half_close: None,
            unflushed_permits: Vec::new(),
        });
        Self {
            state,
            polls: AtomicU64::new(0),
        }
    }

    /// Counts a poll of the connection.
    pub(crate) fn count_poll(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of the current poll of the connection.
    pub(crate) fn current_poll(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Records that a part of a head has arrived.
    pub(crate) fn on_head_bytes_received(&self) {
        let mut state = self.state.lock();
        if state.in_flight.is_empty() && !state.is_in_head {
            state.is_in_head = true;
            state.last_step_at = Instant::now();
        }
    }

    /// Requests the rejection of the incomplete head. Returns false if that was requested before.
    pub(crate) fn reject_incomplete_head(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().is_head_rejected, true)
    }

    /// Whether the incomplete head must be rejected.
    pub(crate) fn is_head_rejected(&self) -> bool {
        self.state.lock().is_head_rejected
    }

    /// Stores the rejection of a request for [`InFlightRequest::take_rejection`].
    pub(crate) fn reject(&self, rejection: Rejection) {
        self.state.lock().rejection = Some(rejection);
    }

    /// Records that the client has shut down its sending side. Returns whether responses are in flight; then the waker is woken when the last one
    /// has ended.
    pub(crate) fn wait_for_responses(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.in_flight.is_empty() {
            return false;
        }
        let since = state.half_close.take().map_or_else(Instant::now, |half_close| half_close.since);
        state.half_close = Some(HalfClose {
            since,
            waker: waker.clone(),
        });
        true
    }

    /// Records that the head of a request is complete.
    pub(crate) fn start_request(self: &Arc<Self>) -> InFlightRequest {
        let mut state = self.state.lock();
        let number = state.requests_started;
        state.requests_started += 1;
        state.in_flight.insert(number, Instant::now());
        state.is_in_head = false;
        InFlightRequest {
            activity: Arc::clone(self),
            number,
            permit: None,
        }
    }

    /// Records that the write buffer of the connection is empty.
    pub(crate) fn on_flushed(&self) {
        let mut state = self.state.lock();
        if !state.unflushed_permits.is_empty() {
            state.unflushed_permits.clear();
        }
    }

    /// The timeout that has expired, if any.
    pub(crate) fn expired_timeout(&self, timeouts: &ActivityTimeouts) -> Option<ExpiredTimeout> {
        let state = self.state.lock();
        // The response that has made no progress for the longest time counts, so that reading other responses does not prolong it.
        let stalled = state.in_flight.values().min();
        let (since, timeout, expired) = match (stalled, state.is_in_head) {
            (Some(stalled), _) => match &state.half_close {
                Some(HalfClose { since, .. }) => (
                    stalled.max(since),
                    timeouts.response_stall_after_half_close,
                    ExpiredTimeout::ResponseStall,
                ),
                None => (stalled, timeouts.response_stall, ExpiredTimeout::ResponseStall),
            },
            (None, false) => (&state.last_step_at, timeouts.keep_alive, ExpiredTimeout::KeepAlive),
            (None, true) => (&state.last_step_at, timeouts.request_head, ExpiredTimeout::RequestHead),
        };
        (since.elapsed() >= timeout).then_some(expired)
    }
}

impl InFlightRequest {
    /// Why the request was rejected before it reached hyper, if it was.
    pub(crate) fn take_rejection(&self) -> Option<RequestError> {
        let mut state = self.activity.state.lock();
        let rejection = state.rejection.take_if(|rejection| rejection.request_number == self.number);
        rejection.map(|rejection| rejection.error)
    }

    /// Holds the permit until the last byte of the response is written.
    pub(crate) fn set_permit(&mut self, permit: ResponsePermit) {
        self.permit = Some(permit);
    }

    /// Records that a frame of the response was read.
    pub(crate) fn on_progress(&self) {
        self.activity.state.lock().in_flight.insert(self.number, Instant::now());
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        let mut state = self.activity.state.lock();
        state.in_flight.remove(&self.number);
        state.unflushed_permits.extend(self.permit.take());
        state.last_step_at = Instant::now();
        if state.in_flight.is_empty()
            && let Some(HalfClose { waker, .. }) = state.half_close.take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
