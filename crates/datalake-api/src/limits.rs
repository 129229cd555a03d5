//! The bounds that hold for every request.

use std::{
    num::NonZero,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRef, FromRequestParts, Request},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::problem::Problem;

/// The longest wait that a client may ask for is a minute; what takes longer than that and the store's own attempts hangs.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// A request in flight holds some KiB.
const REQUESTS_MAX: usize = 1_024;

/// Anybody may wait for a run's end, a version or news, for a minute, or for a store that hangs: half of the room stays for those who ask for
/// what is in memory.
const WAITING_MAX: usize = REQUESTS_MAX / 2;

/// An answer that is made as it is taken holds two pieces while its client reads, and up to 1 MiB where it is compressed: 64 MiB at worst,
/// 4 MiB as a rule. No machine makes more of them at a time; the others are with clients that read slowly.
const LARGE_ANSWERS_MAX: usize = 64;

/// A page of a thousand rows is smaller: it is made whole.
pub(crate) const SMALL_ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What is made whole is held until its client has read it. All answers together that are not tiny may hold as much as the large ones at
/// worst: hundreds of pages of a thousand rows, or eight of the largest pictures.
const HELD_KIB_MAX: usize = 64 * 1024;

/// A page of a hundred rows is smaller. Each connection may hold one such answer.
const TINY_ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// A large answer is handed on in such pieces, so that its place is free when its client has nearly all of it, and not before.
const PIECE_BYTES: usize = 32 * 1024;

/// Frames of a large answer after which others on its thread come to their turn: some 300 µs, where a quick client would take the thread for
/// ten milliseconds.
const FRAMES_AT_ONCE: u32 = 8;

/// What Kubernetes asks each few seconds; the answers are a few bytes and take nothing.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// How much more is answered at once, and for how long. Clones share the numbers.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    room: Arc<Semaphore>,
    large: LargeAnswers,
    /// KiB of answers that are made whole.
    held: Arc<Semaphore>,
    /// How many large answers are worked on at the same time; the others wait in turn.
    turns: Arc<Semaphore>,
    answer_max: Duration,
}

impl Limits {
    pub(crate) fn new(large: LargeAnswers) -> Self {
        // One core is always free for small answers: between 64 large ones they would wait for the work of all.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            room: Arc::new(Semaphore::new(REQUESTS_MAX)),
            held: Arc::new(Semaphore::new(HELD_KIB_MAX)),
            large,
            answer_max: ANSWER_MAX,
        }
    }
}

/// The places of large answers. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LargeAnswers(Arc<Semaphore>);

impl LargeAnswers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_ANSWERS_MAX)))
    }

    /// Whether an answer that is large would be refused: nothing of it need be made.
    pub(crate) fn are_all_taken(&self) -> bool {
        self.0.available_permits() == 0
    }

    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// What an answer takes until it has ended: its bytes, or a place among the large ones.
#[derive(Debug)]
struct Taken {
    _held: OwnedSemaphorePermit,
    /// By which the work of large ones is done.
    turns: Option<Arc<Semaphore>>,
}

impl Limits {
    /// What the answer takes, if anything; refused where there is no more of it. A stream of events holds a few KiB, and has a place of its
    /// own by then (`routes/events.rs`).
    fn take(&self, response: &Response) -> Option<Result<Taken, Problem>> {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_of_events = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let taken = match response.body().size_hint().exact() {
            Some(bytes) if bytes <= TINY_ANSWER_BYTES_MAX => return None,
            None if is_of_events => return None,
            Some(bytes) => {
                let kib = bytes.div_ceil(1024).min(u64::try_from(HELD_KIB_MAX).unwrap_or(u64::MAX));
                let kib = u32::try_from(kib).unwrap_or(u32::MAX);
                let held = Arc::clone(&self.held).try_acquire_many_owned(kib).ok();
                held.map(|held| Taken { _held: held, turns: None })
            }
            None => self.large.enter().map(|place| Taken {
                _held: place,
                turns: Some(Arc::clone(&self.turns)),
            }),
        };
        Some(taken.ok_or(Problem::TooManyStreams))
    }
}

/// Room for requests that wait for something to happen, or for the store. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct WaitingRoom(Arc<Semaphore>);

impl WaitingRoom {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(WAITING_MAX)))
    }

    /// A place for as long as it is held; none where all are taken.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// A place among those who wait, for as long as the request is handled; refused where all are taken.
pub(crate) struct Place {
    _held: OwnedSemaphorePermit,
}

impl<S> FromRequestParts<S> for Place
where
    S: Send + Sync,
    WaitingRoom: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Problem> {
        let held = WaitingRoom::from_ref(state).enter().ok_or(Problem::TooBusy)?;
        Ok(Self { _held: held })
    }
}

/// Refuses a request at once where too many are in flight, and one that takes too long to be answered. An answer that has begun is not cut.
pub(crate) async fn limit(limits: &Limits, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    // A probe that is refused has the server killed, and with it the answers that are under way.
    if PROBES.contains(&request.uri().path()) {
        return next(request).await;
    }
    let Ok(_permit) = limits.room.try_acquire() else {
        return Problem::TooBusy.into_response();
    };
    match tokio::time::timeout(limits.answer_max, next(request)).await {
        Ok(response) => bounded(limits, response),
        Err(_) => Problem::TimedOut.into_response(),
    }
}

/// The answer, with what it takes; a refusal where there is none.
fn bounded(limits: &Limits, mut response: Response) -> Response {
    match limits.take(&response) {
        None => response,
        Some(Err(problem)) => problem.into_response(),
        Some(Ok(taken)) => {
            response.extensions_mut().insert(Arc::new(taken));
            response
        }
    }
}

/// Hands an answer on in pieces, and holds what it takes until the last. Outside of the compression: a turn is given to a body that waits for it,
/// which must be one that is asked again, and a compressor with something to hand on is not.
pub(crate) async fn hand_on(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    let Some(taken) = response.extensions_mut().remove::<Arc<Taken>>() else {
        return response;
    };
    let turns = taken.turns.clone().map(PollSemaphore::new);
    response.map(|body| {
        Body::new(Placed {
            body,
            rest: Bytes::new(),
            frames: 0,
            taken: Some(taken),
            turns,
        })
    })
}

/// A body that holds what it takes until its end, in pieces.
struct Placed {
    body: Body,
    /// What of the last frame was not handed on yet.
    rest: Bytes,
    /// Frames since others came to their turn.
    frames: u32,
    taken: Option<Arc<Taken>>,
    turns: Option<PollSemaphore>,
}

impl Placed {
    fn piece(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.len().min(PIECE_BYTES);
        Frame::data(self.rest.split_to(bytes))
    }
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        if self.frames == FRAMES_AT_ONCE {
            self.frames = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.frames += 1;
        // Given back with each frame: whoever waited longest is next.
        let _turn = match &mut self.turns {
            Some(turns) => ready!(turns.poll_acquire(context)),
            None => None,
        };
        Pin::new(&mut self.body).poll_frame(context).map(|frame| match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(bytes) => {
                    self.rest = bytes;
                    self.piece()
                }
                Err(trailers) => trailers,
            })),
            end => {
                self.taken = None;
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
mod tests {
    use std::convert::Infallible;

    use axum::{
        Router,
        body::to_bytes,
        extract::State,
        http::{HeaderName, StatusCode},
        middleware::{self, Next},
        routing::get,
    };
    use futures_util::{FutureExt, StreamExt, stream};
    use tower::ServiceExt;

    use super::*;

    fn limits(requests_max: usize, answer_max: Duration) -> Limits {
        Limits {
            room: Arc::new(Semaphore::new(requests_max)),
            large: LargeAnswers(Arc::new(Semaphore::new(2))),
            held: Arc::new(Semaphore::new(600)),
            turns: Arc::new(Semaphore::new(1)),
            answer_max,
        }
    }

    fn streamed() -> Body {
        Body::from_stream(stream::iter(["a", "b"]).map(Ok::<_, Infallible>))
    }

    const EVENTS: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];

    fn limited(router: Router, limits: Limits) -> Router {
        router.layer(middleware::from_fn_with_state(
            limits,
            async |State(limits): State<Limits>, request: Request, next: Next| limit(&limits, request, |request| next.run(request)).await,
        ))
    }

    fn handed_on(router: Router) -> Router {
        router.layer(middleware::from_fn(|request, next: Next| {
            hand_on(request, |request| next.run(request))
        }))
    }

    fn router(limits: Limits) -> Router {
        let router = Router::new()
            .route("/", get(std::future::pending::<()>))
            .route("/healthz", get(async || "alive"))
            .route("/readyz", get(async || "ready"))
            .route("/tiny", get(async || vec![b'x'; 16 * 1024]))
            .route("/whole", get(async || vec![b'x'; 256 * 1024 + 1]))
            .route("/stream", get(async || streamed()))
            .route("/events", get(async || (EVENTS, streamed())));
        handed_on(limited(router, limits))
    }

    async fn ask(router: &Router, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    async fn status(limits: Limits) -> StatusCode {
        ask(&router(limits), "/").await.status()
    }

    #[tokio::test]
    async fn bounds_are_problems() {
        assert_eq!(status(limits(1, Duration::ZERO)).await, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(status(limits(0, Duration::ZERO)).await, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_probe_is_answered_however_many_requests_are_in_flight() {
        let full = router(limits(0, ANSWER_MAX));
        for probe in PROBES {
            assert_eq!(ask(&full, probe).await.status(), StatusCode::OK, "{probe}");
        }
    }

    #[test]
    fn the_waiting_room_has_an_end() {
        let room = WaitingRoom::new();
        let mut places: Vec<_> = (0..WAITING_MAX).map(|_| room.enter()).collect();
        assert!(places.iter().all(Option::is_some) && room.clone().enter().is_none());
        places.pop();
        assert!(room.enter().is_some());
    }

    #[tokio::test]
    async fn large_answers_hold_a_place_until_they_end() {
        let router = router(limits(100, ANSWER_MAX));
        let first = ask(&router, "/stream").await;
        let second = ask(&router, "/stream").await;
        let refused = ask(&router, "/stream").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
        // Those that are small need none, and events have places of their own.
        for path in ["/tiny", "/whole", "/events"] {
            assert_eq!(ask(&router, path).await.status(), StatusCode::OK, "{path}");
        }
        // A place is free when the answer has ended, and when it was given up.
        assert_eq!(to_bytes(first.into_body(), 1000).await.unwrap(), "ab");
        assert_eq!(ask(&router, "/stream").await.status(), StatusCode::OK);
        drop(second);
        assert_eq!(ask(&router, "/stream").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn whole_answers_hold_their_bytes_until_they_end() {
        let router = router(limits(100, ANSWER_MAX));
        let first = ask(&router, "/whole").await;
        let second = ask(&router, "/whole").await;
        assert_eq!(ask(&router, "/whole").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&router, "/tiny").await.status(), StatusCode::OK);
        drop(first);
        assert_eq!(ask(&router, "/whole").await.status(), StatusCode::OK);
        assert_eq!(to_bytes(second.into_body(), usize::MAX).await.unwrap().len(), 256 * 1024 + 1);
        assert_eq!(ask(&router, "/whole").await.status(), StatusCode::OK);
    }

    /// The client of the first reads nothing while it waits for its turn.
    #[tokio::test]
    async fn a_compressed_answer_that_nobody_reads_keeps_no_turn() {
        let limits = limits(100, ANSWER_MAX);
        // Bytes that hardly compress.
        let bytes = |seed: u64| (0..4_000).flat_map(move |number: u64| (seed + number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        let text = move || stream::iter((0..100).map(move |number| Ok::<_, Infallible>(bytes(number * 4_000).collect::<Vec<u8>>())));
        let router = Router::new().route("/", get(async move || Body::from_stream(text())));
        let router = limited(router, limits.clone()).layer(crate::compression::compression());
        let router = handed_on(router);
        let ask = async |accepted: &str| {
            let request = Request::get("/").header(header::ACCEPT_ENCODING, accepted);
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            answer.into_body().into_data_stream()
        };
        let (mut slow, mut quick) = (ask("gzip").await, ask("identity").await);
        let soon = Duration::from_secs(10);
        for _ in 0..20 {
            let working = Arc::clone(&limits.turns).try_acquire_owned().unwrap();
            let handed_on = slow.next().now_or_never();
            drop(working);
            if handed_on.is_none() {
                // It waits for its turn, and asks again when that has come.
                assert!(slow.next().await.is_some());
            }
            // It has something to send, and does not ask again for long.
            let piece = tokio::time::timeout(soon, quick.next()).await;
            piece.expect("the turn is the other's").unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn large_answers_take_turns() {
        let limits = limits(100, ANSWER_MAX);
        let router = router(limits.clone());
        let working = Arc::clone(&limits.turns).try_acquire_owned().unwrap();
        let mut first = ask(&router, "/stream").await.into_body().into_data_stream();
        let mut second = ask(&router, "/stream").await.into_body().into_data_stream();
        // Small ones do not wait for it.
        let whole = ask(&router, "/whole").await.into_body();
        assert_eq!(to_bytes(whole, usize::MAX).await.unwrap().len(), 256 * 1024 + 1);
        assert!(first.next().now_or_never().is_none());
        assert!(second.next().now_or_never().is_none());
        drop(working);
        // The first is next, however often the second asks.
        assert!(second.next().now_or_never().is_none());
        assert_eq!(first.next().await.unwrap().unwrap(), "a");
        assert_eq!(second.next().await.unwrap().unwrap(), "a");
        assert_eq!(first.next().await.unwrap().unwrap(), "b");
    }

    #[tokio::test]
    async fn large_answers_give_way() {
        let frames = || stream::iter(["a"; 17]).map(Ok::<_, Infallible>);
        let router = Router::new().route("/", get(async move || Body::from_stream(frames())));
        let router = handed_on(limited(router, limits(100, ANSWER_MAX)));
        let mut frames = ask(&router, "/").await.into_body().into_data_stream();
        let mut ready = Vec::new();
        for _ in 0..19 {
            ready.push(frames.next().now_or_never().is_some());
        }
        let eight_and_a_pause = [true, true, true, true, true, true, true, true, false];
        assert_eq!(ready, [&eight_and_a_pause[..], &eight_and_a_pause, &[true]].concat());
        assert!(frames.next().await.is_none());
    }

    #[tokio::test]
    async fn pieces_make_the_whole() {
        let router = router(limits(100, ANSWER_MAX));
        let answer = ask(&router, "/whole").await;
        assert_eq!(answer.body().size_hint().exact(), Some(256 * 1024 + 1));
        let mut pieces = answer.into_body().into_data_stream();
        let mut lengths = Vec::new();
        while let Some(piece) = pieces.next().await {
            lengths.push(piece.unwrap().len());
        }
        assert_eq!(lengths, [&[32_768; 8][..], &[1]].concat());
    }
}
