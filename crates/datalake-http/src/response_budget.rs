//! The budget in bytes for the memory of all responses, and the pacing of large responses.

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

use crate::client_limits::{Client, Permit, Resource, ResourceLimit};

/// The budget for all responses: a fourth of the memory limit of the API in the chart.
const BUDGET_KIB: u32 = 128 * 1024;

/// The part that one client may use, however slowly it reads.
const BUDGET_KIB_PER_CLIENT: u32 = BUDGET_KIB / 2;

/// A response of unknown length holds two chunks while its client reads, and up to 1 MiB if it is compressed.
const STREAM_KIB: u32 = 1024;

/// An event stream holds one event.
const EVENT_STREAM_KIB: u32 = 16;

/// A page of 1,000 rows is smaller. Responses up to this size are made as a whole and are not paced.
pub const SMALL_RESPONSE_BYTES_MAX: u64 = 256 * 1024;

/// A page of 100 rows is smaller.
const TINY_RESPONSE_KIB_MAX: u32 = 16;

/// The part of the budget that is reserved for tiny responses.
const TINY_RESPONSES_BUDGET_KIB: u32 = BUDGET_KIB / 4;

/// The size of the chunks of a large response. The last chunk is written when the client has read nearly everything, and the permit is then
/// released.
const CHUNK_BYTES: usize = 32 * 1024;

/// Frames of a large response after which the task yields: about 300 µs of work. Without yielding, a client that reads fast would occupy a thread
/// for 10 ms.
const FRAMES_BEFORE_YIELD: u32 = 8;

/// The budget for the memory of responses. Clones share it.
#[derive(Clone, Debug)]
pub struct ResponseBudget {
    kib: ResourceLimit,
    /// Permits to produce a frame of a stream. They bound how many streams use a CPU at the same time.
    cpu_slots: Arc<Semaphore>,
}

/// A response's part of the budget. The connection drops it after it has written the last byte.
#[derive(Clone, Debug)]
pub struct ResponsePermit {
    _permit: Arc<Permit>,
    /// Set for streams: each frame needs a slot.
    cpu_slots: Option<Arc<Semaphore>>,
}

/// The response would exceed the budget of its client or of all clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExhausted;

impl Default for ResponseBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseBudget {
    /// The budget of a server.
    pub fn new() -> Self {
        // One CPU stays free for small responses.
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            kib: ResourceLimit::new(Resource::ResponseKib, BUDGET_KIB, BUDGET_KIB_PER_CLIENT),
            cpu_slots: Arc::new(Semaphore::new(cpus.saturating_sub(1).max(1))),
        }
    }

    /// KiB that no response holds.
    #[cfg(test)]
    pub(crate) fn available_kib(&self) -> usize {
        self.kib.available()
    }

    /// Whether a streamed response would be rejected, so a handler need not start it.
    pub fn is_exhausted(&self) -> bool {
        !self.has_available(STREAM_KIB)
    }

    /// Whether the budget of all clients together has `kib` left for a response of this size.
    fn has_available(&self, kib: u32) -> bool {
        let reserved = if kib <= TINY_RESPONSE_KIB_MAX {
            0
        } else {
            TINY_RESPONSES_BUDGET_KIB
        };
        let needed = u64::from(reserved) + u64::from(kib);
        u64::try_from(self.kib.available()).is_ok_and(|available| available >= needed)
    }

    /// Acquires the response's part of the budget for the client and stores the [`ResponsePermit`] in the response's extensions.
    pub fn admit(&self, client: &Arc<Client>, mut response: Response) -> Result<Response, BudgetExhausted> {
        let kib = match response.body().size_hint().exact() {
            Some(0) => return Ok(response),
            Some(bytes) => u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX),
            None if is_event_stream(&response) => EVENT_STREAM_KIB,
            None => STREAM_KIB,
        };
        let permit = self
            .has_available(kib)
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

/// Splits the body of a large response into chunks, which hold the response's permit until the last one is read.
///
/// This step is outside of the compression. The semaphore assigns a slot to the body that has waited longest, which must be one that is polled
/// again soon. A body inside of the compression is not polled while the compressor has output left.
pub async fn pace_body(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let response = next(request).await;
    let is_small = response
        .body()
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes <= SMALL_RESPONSE_BYTES_MAX);
    let permit = response.extensions().get::<ResponsePermit>().filter(|_| !is_small).cloned();
    let Some(permit) = permit else {
        return response;
    };
    let cpu_slots = permit.cpu_slots.clone().map(PollSemaphore::new);
    response.map(|body| {
        Body::new(PacedBody {
            body,
            frame_rest: Bytes::new(),
            frames_since_yield: 0,
            permit: Some(permit),
            cpu_slots,
        })
    })
}

/// A body that is split into chunks and holds its response's permit until its end.
struct PacedBody {
    body: Body,
    /// The part of the last frame that was not returned yet.
    frame_rest: Bytes,
    frames_since_yield: u32,
    permit: Option<ResponsePermit>,
    cpu_slots: Option<PollSemaphore>,
}

impl PacedBody {
    fn next_chunk(&mut self) -> Frame<Bytes> {
        let bytes = self.frame_rest.len().min(CHUNK_BYTES);
        Frame::data(self.frame_rest.split_to(bytes))
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.frame_rest.is_empty() {
            return Poll::Ready(Some(Ok(self.next_chunk())));
        }
        if self.frames_since_yield == FRAMES_BEFORE_YIELD {
            self.frames_since_yield = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.frames_since_yield += 1;
        // The slot is released after each frame, so that the stream that has waited longest is next.
        let _cpu_slot = match &mut self.cpu_slots {
            Some(cpu_slots) => ready!(cpu_slots.poll_acquire(context)),
            None => None,
        };
        Pin::new(&mut self.body).poll_frame(context).map(|frame| match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(bytes) => {
                    self.frame_rest = bytes;
                    self.next_chunk()
                }
                Err(trailers) => trailers,
            })),
            end_or_error => {
                self.permit = None;
                end_or_error
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.frame_rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let frame_rest = u64::try_from(self.frame_rest.len()).unwrap_or(u64::MAX);
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(frame_rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(frame_rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
