//! Whether the listener of the API accepts connections, for the liveness probe.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long accepting may fail. A shortage of file descriptors or memory ends sooner, because idle connections are closed after 75 seconds
/// (`listener.rs`).
const FAILURE_MAX: Duration = Duration::from_secs(90);

/// Whether a listener accepts connections. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ListenerHealth(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    failing_since: Option<Instant>,
}

/// Held while the listener accepts connections; dropping it reports that the listener is closed.
#[derive(Debug)]
pub struct AcceptGuard(ListenerHealth);

impl ListenerHealth {
    /// Returns the guard to hold while the listener accepts connections.
    pub fn accept_guard(&self) -> AcceptGuard {
        AcceptGuard(self.clone())
    }

    /// Records that a connection was accepted.
    pub fn record_success(&self) {
        self.0.lock().failing_since = None;
    }

    /// Records that a connection could not be accepted.
    pub fn record_failure(&self) {
        self.0.lock().failing_since.get_or_insert_with(Instant::now);
    }

    /// Whether the listener is open and has not failed to accept for 90 seconds.
    pub fn is_accepting(&self) -> bool {
        let state = self.0.lock();
        !state.is_closed && state.failing_since.is_none_or(|since| since.elapsed() < FAILURE_MAX)
    }
}

impl Drop for AcceptGuard {
    fn drop(&mut self) {
        self.0.0.lock().is_closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn long_failure_or_closed_listener_is_reported() {
        let health = ListenerHealth::default();
        let guard = health.accept_guard();
        health.record_failure();
        tokio::time::advance(FAILURE_MAX / 2).await;
        health.record_failure();
        assert!(health.is_accepting());
        tokio::time::advance(FAILURE_MAX / 2).await;
        assert!(!health.is_accepting());
        health.record_success();
        assert!(health.is_accepting());
        drop(guard);
        assert!(!health.is_accepting());
    }
}
