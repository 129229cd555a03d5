//! Tests of the response budget and the pacing of large responses.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::State,
    http::{HeaderName, StatusCode},
    middleware::{self, Next},
    response::IntoResponse,
    routing::get,
};
use futures_util::{FutureExt, StreamExt, stream};
use tower::ServiceExt;

use super::*;
use crate::client_limits::{Clients, RequestClient};

/// A budget of `kib` in addition to the part for tiny responses.
fn budget(kib: u32) -> ResponseBudget {
    let reserved = TINY_RESPONSES_BUDGET_KIB;
    ResponseBudget {
        kib: ResourceLimit::new(Resource::ResponseKib, reserved + kib, reserved + kib),
        cpu_slots: Arc::new(Semaphore::new(1)),
    }
}

fn stream_body() -> Body {
    Body::from_stream(stream::iter(["a", "b"]).map(Ok::<_, Infallible>))
}

const EVENTS: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];

fn with_admission(router: Router, budget: ResponseBudget) -> Router {
    router.layer(middleware::from_fn_with_state(
        budget,
        async |State(budget): State<ResponseBudget>, request: Request, next: Next| {
            let RequestClient(client) = RequestClient::from_extensions(request.extensions());
            let admitted = budget.admit(&client, next.run(request).await);
            admitted.unwrap_or_else(|BudgetExhausted| StatusCode::SERVICE_UNAVAILABLE.into_response())
        },
    ))
}

fn with_paced_bodies(router: Router) -> Router {
    router.layer(middleware::from_fn(|request, next: Next| {
        pace_body(request, |request| next.run(request))
    }))
}

fn router(budget: ResponseBudget) -> Router {
    let router = Router::new()
        .route("/empty", get(async || ()))
        .route("/tiny", get(async || vec![b'x'; 16 * 1024]))
        .route("/large", get(async || vec![b'x'; 256 * 1024 + 1]))
        .route("/stream", get(async || stream_body()))
        .route("/events", get(async || (EVENTS, stream_body())));
    with_paced_bodies(with_admission(router, budget))
}

async fn get_response(router: &Router, path: &str) -> Response {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn stream_holds_its_permit_until_it_ends() {
    let router = router(budget(2 * STREAM_KIB));
    let first = get_response(&router, "/stream").await;
    let second = get_response(&router, "/stream").await;
    let rejected = get_response(&router, "/stream").await;
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get_response(&router, "/large").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/empty", "/tiny", "/events"] {
        assert_eq!(get_response(&router, path).await.status(), StatusCode::OK, "{path}");
    }
    // The permit is released when the response has ended, and when it is dropped.
    assert_eq!(to_bytes(first.into_body(), 1000).await.unwrap(), "ab");
    assert_eq!(get_response(&router, "/stream").await.status(), StatusCode::OK);
    drop(second);
    assert_eq!(get_response(&router, "/stream").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn response_of_known_length_holds_its_bytes_until_it_ends() {
    let router = router(budget(600));
    let first = get_response(&router, "/large").await;
    let second = get_response(&router, "/large").await;
    assert_eq!(get_response(&router, "/large").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get_response(&router, "/tiny").await.status(), StatusCode::OK);
    drop(first);
    assert_eq!(get_response(&router, "/large").await.status(), StatusCode::OK);
    assert_eq!(to_bytes(second.into_body(), usize::MAX).await.unwrap().len(), 256 * 1024 + 1);
    assert_eq!(get_response(&router, "/large").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn tiny_responses_of_one_client_leave_budget_for_others() {
    let budget = ResponseBudget::new();
    let clients = Clients::default();
    let admit = |host: u8| {
        budget.admit(
            &clients.client(Ipv4Addr::new(10, 0, 0, host).into()),
            vec![b'x'; 16 * 1024].into_response(),
        )
    };
    let unread: Vec<_> = (0..BUDGET_KIB_PER_CLIENT / 16).map(|_| admit(1)).collect();
    assert!(unread.iter().all(Result::is_ok));
    assert_eq!(admit(1).unwrap_err(), BudgetExhausted);
    assert!(admit(2).is_ok());
}

#[tokio::test]
async fn unread_compressed_response_occupies_no_cpu_slot() {
    let budget = budget(8 * STREAM_KIB);
    // Pseudorandom bytes hardly compress.
    let bytes = |seed: u64| (0..4_000).flat_map(move |number: u64| (seed + number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let text = move || stream::iter((0..100).map(move |number| Ok::<_, Infallible>(bytes(number * 4_000).collect::<Vec<u8>>())));
    let router = Router::new().route("/", get(async move || Body::from_stream(text())));
    let router = with_admission(router, budget.clone()).layer(crate::content_coding::compression());
    let router = with_paced_bodies(router);
    let send = async |accepted: &str| {
        let request = Request::get("/").header(header::ACCEPT_ENCODING, accepted);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.into_body().into_data_stream()
    };
    let (mut compressed, mut plain) = (send("gzip").await, send("identity").await);
    let timeout = Duration::from_secs(10);
    for _ in 0..20 {
        let occupied = Arc::clone(&budget.cpu_slots).try_acquire_owned().unwrap();
        let first_poll = compressed.next().now_or_never();
        drop(occupied);
        if first_poll.is_none() {
            // The compressed response waits for the slot.
            assert!(compressed.next().await.is_some());
        }
        // The compressor has output now and does not poll its input again soon: the slot must go to the other response.
        let chunk = tokio::time::timeout(timeout, plain.next()).await;
        chunk.expect("the slot is free").unwrap().unwrap();
    }
}

#[tokio::test]
async fn streams_get_cpu_slots_in_order_of_arrival() {
    let budget = budget(8 * STREAM_KIB);
    let router = router(budget.clone());
    let occupied = Arc::clone(&budget.cpu_slots).try_acquire_owned().unwrap();
    let mut first = get_response(&router, "/stream").await.into_body().into_data_stream();
    let mut second = get_response(&router, "/stream").await.into_body().into_data_stream();
    // A response of known length needs no slot.
    let large = get_response(&router, "/large").await.into_body();
    assert_eq!(to_bytes(large, usize::MAX).await.unwrap().len(), 256 * 1024 + 1);
    assert!(first.next().now_or_never().is_none());
    assert!(second.next().now_or_never().is_none());
    drop(occupied);
    // The first stream is next, although the second is polled first.
    assert!(second.next().now_or_never().is_none());
    assert_eq!(first.next().await.unwrap().unwrap(), "a");
    assert_eq!(second.next().await.unwrap().unwrap(), "a");
    assert_eq!(first.next().await.unwrap().unwrap(), "b");
}

#[tokio::test]
async fn large_response_yields_after_eight_frames() {
    let frames = || stream::iter(["a"; 17]).map(Ok::<_, Infallible>);
    let router = Router::new().route("/", get(async move || Body::from_stream(frames())));
    let router = with_paced_bodies(with_admission(router, budget(8 * STREAM_KIB)));
    let mut frames = get_response(&router, "/").await.into_body().into_data_stream();
    let mut ready = Vec::new();
    for _ in 0..19 {
        ready.push(frames.next().now_or_never().is_some());
    }
    let eight_frames_and_a_yield = [true, true, true, true, true, true, true, true, false];
    assert_eq!(ready, [&eight_frames_and_a_yield[..], &eight_frames_and_a_yield, &[true]].concat());
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn large_response_is_split_into_chunks() {
    let router = router(budget(8 * STREAM_KIB));
    let response = get_response(&router, "/large").await;
    assert_eq!(response.body().size_hint().exact(), Some(256 * 1024 + 1));
    let mut chunks = response.into_body().into_data_stream();
    let mut lengths = Vec::new();
    while let Some(chunk) = chunks.next().await {
        lengths.push(chunk.unwrap().len());
    }
    assert_eq!(lengths, [&[32_768; 8][..], &[1]].concat());
}
