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
use crate::clients::{Clients, RequestClient};

/// A budget of so many KiB beside what is for tiny responses.
fn budget(kib: u32) -> ResponseBudget {
    let reserved = BUDGET_KIB_FOR_TINY;
    ResponseBudget {
        kib: ResourceLimit::new(Resource::ResponseKib, reserved + kib, reserved + kib),
        cpu_slots: Arc::new(Semaphore::new(1)),
    }
}

fn streamed() -> Body {
    Body::from_stream(stream::iter(["a", "b"]).map(Ok::<_, Infallible>))
}

const EVENTS: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];

fn admitted(router: Router, budget: ResponseBudget) -> Router {
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
        .route("/whole", get(async || vec![b'x'; 256 * 1024 + 1]))
        .route("/stream", get(async || streamed()))
        .route("/events", get(async || (EVENTS, streamed())));
    with_paced_bodies(admitted(router, budget))
}

async fn get_of(router: &Router, path: &str) -> Response {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn streams_hold_their_part_until_they_end() {
    let router = router(budget(2 * STREAM_KIB));
    let first = get_of(&router, "/stream").await;
    let second = get_of(&router, "/stream").await;
    let refused = get_of(&router, "/stream").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get_of(&router, "/whole").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/empty", "/tiny", "/events"] {
        assert_eq!(get_of(&router, path).await.status(), StatusCode::OK, "{path}");
    }
    // It is free when the response has ended, and when it was given up.
    assert_eq!(to_bytes(first.into_body(), 1000).await.unwrap(), "ab");
    assert_eq!(get_of(&router, "/stream").await.status(), StatusCode::OK);
    drop(second);
    assert_eq!(get_of(&router, "/stream").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn whole_responses_hold_their_bytes_until_they_end() {
    let router = router(budget(600));
    let first = get_of(&router, "/whole").await;
    let second = get_of(&router, "/whole").await;
    assert_eq!(get_of(&router, "/whole").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get_of(&router, "/tiny").await.status(), StatusCode::OK);
    drop(first);
    assert_eq!(get_of(&router, "/whole").await.status(), StatusCode::OK);
    assert_eq!(to_bytes(second.into_body(), usize::MAX).await.unwrap().len(), 256 * 1024 + 1);
    assert_eq!(get_of(&router, "/whole").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn tiny_responses_of_one_client_leave_room_for_another() {
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

/// The client of the first reads nothing while it waits for its turn.
#[tokio::test]
async fn unread_compressed_response_keeps_no_turn() {
    let budget = budget(8 * STREAM_KIB);
    // Bytes that hardly compress.
    let bytes = |seed: u64| (0..4_000).flat_map(move |number: u64| (seed + number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let text = move || stream::iter((0..100).map(move |number| Ok::<_, Infallible>(bytes(number * 4_000).collect::<Vec<u8>>())));
    let router = Router::new().route("/", get(async move || Body::from_stream(text())));
    let router = admitted(router, budget.clone()).layer(crate::content_coding::compression());
    let router = with_paced_bodies(router);
    let ask = async |accepted: &str| {
        let request = Request::get("/").header(header::ACCEPT_ENCODING, accepted);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.into_body().into_data_stream()
    };
    let (mut slow, mut quick) = (ask("gzip").await, ask("identity").await);
    let soon = Duration::from_secs(10);
    for _ in 0..20 {
        let working = Arc::clone(&budget.cpu_slots).try_acquire_owned().unwrap();
        let passed_on = slow.next().now_or_never();
        drop(working);
        if passed_on.is_none() {
            // It waits for its turn, and asks again when that has come.
            assert!(slow.next().await.is_some());
        }
        // It has something to send, and does not ask again for long.
        let chunk = tokio::time::timeout(soon, quick.next()).await;
        chunk.expect("the turn is the other's").unwrap().unwrap();
    }
}

#[tokio::test]
async fn streams_are_made_in_turns() {
    let budget = budget(8 * STREAM_KIB);
    let router = router(budget.clone());
    let working = Arc::clone(&budget.cpu_slots).try_acquire_owned().unwrap();
    let mut first = get_of(&router, "/stream").await.into_body().into_data_stream();
    let mut second = get_of(&router, "/stream").await.into_body().into_data_stream();
    // Small ones do not wait for it.
    let whole = get_of(&router, "/whole").await.into_body();
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
async fn large_responses_yield_to_other_tasks() {
    let frames = || stream::iter(["a"; 17]).map(Ok::<_, Infallible>);
    let router = Router::new().route("/", get(async move || Body::from_stream(frames())));
    let router = with_paced_bodies(admitted(router, budget(8 * STREAM_KIB)));
    let mut frames = get_of(&router, "/").await.into_body().into_data_stream();
    let mut ready = Vec::new();
    for _ in 0..19 {
        ready.push(frames.next().now_or_never().is_some());
    }
    let eight_and_a_pause = [true, true, true, true, true, true, true, true, false];
    assert_eq!(ready, [&eight_and_a_pause[..], &eight_and_a_pause, &[true]].concat());
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn chunks_make_the_whole() {
    let router = router(budget(8 * STREAM_KIB));
    let response = get_of(&router, "/whole").await;
    assert_eq!(response.body().size_hint().exact(), Some(256 * 1024 + 1));
    let mut chunks = response.into_body().into_data_stream();
    let mut lengths = Vec::new();
    while let Some(chunk) = chunks.next().await {
        lengths.push(chunk.unwrap().len());
    }
    assert_eq!(lengths, [&[32_768; 8][..], &[1]].concat());
}
