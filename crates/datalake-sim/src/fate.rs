//! What may become of an operation: the faults of the random simulation.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};

/// What becomes of a released operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered at once.
    #[default]
    Pass,
    /// It is not carried out, and the client gives up: `Unavailable`.
    FailBefore,
    /// It is carried out and the answer is lost: `Unavailable`.
    FailAfter,
    /// It is not carried out: `Conflict`, as S3 answers two conditional requests at once (409).
    Conflict,
    /// It is carried out, and the client's own retry is refused: `Conflict` (412).
    ConflictAfter,
    /// It is carried out, and the answer arrives later.
    Delay,
    /// It is carried out now and once more later: a retry overtook the first request.
    Twice,
    /// The client gives up, and it is carried out later.
    Late,
    /// The body ends early.
    Short,
    /// A listing lacks what was added last.
    Stale(Stale),
    /// The disk is full: nothing is written.
    Full,
}

/// By how much a listing is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// So many of the keys that were written last are missing.
    pub lacks: usize,
}

/// A write on its way to the store.
pub(crate) struct Late(Mutex<BoxFuture<'static, ()>>);

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

impl Late {
    pub(crate) fn new(request: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Mutex::new(request.boxed()))
    }

    /// The request arrives.
    pub(crate) fn arrive(self) {
        let request = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        request.now_or_never().expect("the store in memory answers at once");
    }
}
