//! Faults of the store: what can happen to a released operation.

use std::fmt;

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;

/// What happens to a released operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// No fault: the operation is executed, and its result is returned at once.
    #[default]
    None,
    /// The operation is not executed, and the client gives up: `Unavailable`.
    FailBefore,
    /// The operation is executed, and its response is lost: `Unavailable`.
    FailAfter,
    /// The operation is not executed: `Conflict`, as S3 responds to concurrent conditional requests (409).
    Conflict,
    /// The operation is executed, and the client's own retry fails: `Conflict` (412).
    ConflictAfter,
    /// The operation is executed, and its response arrives later.
    Delay,
    /// The operation is executed now and once more later: a retry overtook the first request.
    Duplicate,
    /// The client gives up, and the operation is executed later.
    ArriveLate,
    /// The body ends early.
    ShortBody,
    /// A listing lacks the newest keys.
    StaleListing(StaleListing),
    /// The disk is full: nothing is written.
    DiskFull,
}

/// How far a listing is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleListing {
    /// How many of the most recently written keys are missing.
    pub missing: usize,
}

/// A write that has not reached the store yet.
pub(crate) struct DelayedWrite(Mutex<BoxFuture<'static, ()>>);

impl fmt::Debug for DelayedWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DelayedWrite")
    }
}

impl DelayedWrite {
    pub(crate) fn new(request: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Mutex::new(request.boxed()))
    }

    /// Executes the write.
    pub(crate) fn deliver(self) {
        let request = self.0.into_inner();
        request.now_or_never().expect("the in-memory store responds at once");
    }
}
