//! Whether the listener of the API accepts connections, as its liveness probe reports it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A shortage of file descriptors or memory ends sooner, since idle connections end after 75 seconds (`connections.rs`).
const FAILING_MAX: Duration = Duration::from_secs(90);

/// Whether a listener accepts connections. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ListenerHealth(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    has_ended: bool,
    failing_since: Option<Instant>,
}

/// The time during which the listener accepts; its end is when this is dropped.
#[derive(Debug)]
pub struct AcceptGuard(ListenerHealth);

impl ListenerHealth {
    /// The listener begins to accept.
    pub fn begin(&self) -> AcceptGuard {
        AcceptGuard(self.clone())
    }

    /// A connection was accepted.
    pub fn succeeded(&self) {
        self.state().failing_since = None;
    }

    /// A connection could not be accepted.
    pub fn failed(&self) {
        self.state().failing_since.get_or_insert_with(Instant::now);
    }

    /// Whether it accepts, or has not failed for long.
    pub fn is_accepting(&self) -> bool {
        let state = self.state();
        !state.has_ended && state.failing_since.is_none_or(|since| since.elapsed() < FAILING_MAX)
    }

    /// Changes are single steps: a panic elsewhere leaves the state intact.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AcceptGuard {
    fn drop(&mut self) {
        self.0.state().has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn long_failure_or_end_is_reported() {
        let health = ListenerHealth::default();
        let time = health.begin();
        health.failed();
        tokio::time::advance(FAILING_MAX / 2).await;
        health.failed();
        assert!(health.is_accepting());
        tokio::time::advance(FAILING_MAX / 2).await;
        assert!(!health.is_accepting());
        health.succeeded();
        assert!(health.is_accepting());
        drop(time);
        assert!(!health.is_accepting());
    }
}
