//! The memory that responses hold, which comes out of one budget in bytes, and the order in which large responses are made.

use std::{
    num::NonZero,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::header,
    response::Response,
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use crate::clients::{Client, Permit, Resource, ResourceLimit};

/// All responses in memory: a fourth of what the chart gives the API.
const BUDGET_KIB: u32 = 128 * 1024;

/// A client that reads slowly takes no more than half of it.
const BUDGET_KIB_PER_CLIENT: u32 = BUDGET_KIB / 2;

/// A response whose length is not known in advance holds two chunks while its client reads, and up to 1 MiB where it is compressed.
const STREAM_KIB: u32 = 1024;

/// A stream of events holds one event.
const EVENTS_KIB: u32 = 16;

/// A page of a thousand rows is smaller: it is made whole.
pub const SMALL_RESPONSE_BYTES_MAX: u64 = 256 * 1024;

/// A page of a hundred rows is smaller.
const TINY_RESPONSE_KIB_MAX: u32 = 16;

/// Larger responses leave this to tiny ones.
const BUDGET_KIB_FOR_TINY: u32 = BUDGET_KIB / 4;

/// A large response is passed on in chunks of this size, so that its part of the budget is free when its client has nearly all of it, and not
/// before.
const CHUNK_BYTES: usize = 32 * 1024;

/// Frames of a large response after which other tasks of its thread run: some 300 µs, where a fast client would occupy the thread for ten
/// milliseconds.
const FRAMES_BEFORE_YIELD: u32 = 8;

/// The budget. Clones share it.
#[derive(Clone, Debug)]
pub struct ResponseBudget {
    kib: ResourceLimit,
    /// How many streamed responses are made at the same time; the others wait in order.
    cpu_slots: Arc<Semaphore>,
}

/// The part of the budget that a response holds, until its last byte was written to the connection.
#[derive(Clone, Debug)]
pub struct ResponsePermit {
    _permit: Arc<Permit>,
    /// By which chunks of a stream are made.
    cpu_slots: Option<Arc<Semaphore>>,
}

/// The budget of the client or of all clients is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExhausted;

impl ResponseBudget {
    /// The whole budget, shared by all clients.
    pub fn new() -> Self {
        // One core is always free for small responses: between many large ones they would wait for the work of all.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            kib: ResourceLimit::new(Resource::ResponseKib, BUDGET_KIB, BUDGET_KIB_PER_CLIENT),
            cpu_slots: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
        }
    }

    /// KiB that no response holds.
    #[cfg(test)]
    pub fn free_kib(&self) -> usize {
        self.kib.available()
    }

    /// Whether a streamed response would be refused: nothing of it need be made.
    pub fn is_exhausted(&self) -> bool {
        !self.has_room(STREAM_KIB)
    }

    /// Whether all clients together leave so much.
    fn has_room(&self, kib: u32) -> bool {
        let reserved = if kib <= TINY_RESPONSE_KIB_MAX { 0 } else { BUDGET_KIB_FOR_TINY };
        let needed = u64::from(reserved) + u64::from(kib);
        u64::try_from(self.kib.available()).is_ok_and(|free| free >= needed)
    }

    /// The response with its part of the budget among its extensions.
    pub fn admit(&self, client: &Arc<Client>, mut response: Response) -> Result<Response, BudgetExhausted> {
        let kib = match response.body().size_hint().exact() {
            Some(0) => return Ok(response),
            Some(bytes) => u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX),
            None if is_event_stream(&response) => EVENTS_KIB,
            None => STREAM_KIB,
        };
        let permit = self
            .has_room(kib)
            .then(|| self.kib.try_acquire(client, kib))
            .flatten()
            .ok_or(BudgetExhausted)?;
        let is_stream = kib == STREAM_KIB && response.body().size_hint().exact().is_none();
        response.extensions_mut().insert(ResponsePermit {
            _permit: Arc::new(permit),
            cpu_slots: is_stream.then(|| Arc::clone(&self.cpu_slots)),
        });
        Ok(response)
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Passes a large response on in chunks that hold its part of the budget until the last. This is outside of the compression: a turn is given to a
/// body that waits for it, which must be one that is polled again, and a compressor with something to pass on is not.
pub async fn pace_body(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let response = next(request).await;
    let is_small = response
        .body()
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes <= SMALL_RESPONSE_BYTES_MAX);
    let held = response.extensions().get::<ResponsePermit>().filter(|_| !is_small).cloned();
    let Some(held) = held else {
        return response;
    };
    let turns = held.cpu_slots.clone().map(PollSemaphore::new);
    response.map(|body| {
        Body::new(PacedBody {
            body,
            rest: Bytes::new(),
            frames: 0,
            held: Some(held),
            cpu_slots: turns,
        })
    })
}

/// A body that is passed on in chunks and holds its part of the budget until its end.
struct PacedBody {
    body: Body,
    /// What of the last frame was not passed on yet.
    rest: Bytes,
    /// Frames since other tasks ran.
    frames: u32,
    held: Option<ResponsePermit>,
    cpu_slots: Option<PollSemaphore>,
}

impl PacedBody {
    fn chunk(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.len().min(CHUNK_BYTES);
        Frame::data(self.rest.split_to(bytes))
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.chunk())));
        }
        if self.frames == FRAMES_BEFORE_YIELD {
            self.frames = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.frames += 1;
        // Released after each frame, so that the stream that has waited longest is next.
        let _turn = match &mut self.cpu_slots {
            Some(turns) => ready!(turns.poll_acquire(context)),
            None => None,
        };
        Pin::new(&mut self.body).poll_frame(context).map(|frame| match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(bytes) => {
                    self.rest = bytes;
                    self.chunk()
                }
                Err(trailers) => trailers,
            })),
            end => {
                self.held = None;
                end
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
