//! The runtime in which actors are polled: its time is virtual.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use tokio::runtime::Runtime;

/// The asynchronous runtime that the worlds of one thread share.
#[derive(Clone, Debug)]
pub struct SimRuntime {
    pub(super) inner: Rc<Runtime>,
}

impl SimRuntime {
    /// A runtime whose time only the worlds advance.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs no system resources");
        Self { inner: Rc::new(runtime) }
    }
}

impl Default for SimRuntime {
    fn default() -> Self {
        Self::new()
    }
}

/// Set when the polled actor is woken.
#[derive(Debug, Default)]
pub(super) struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl WakeFlag {
    /// Whether the actor was woken since the last [`WakeFlag::clear`].
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
