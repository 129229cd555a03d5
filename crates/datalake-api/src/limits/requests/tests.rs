//! Tests of the request limits: overload, slow requests, and the share of one client.

use std::net::Ipv4Addr;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::StatusCode,
    middleware::{self, Next},
    routing::get,
};
use tower::ServiceExt;

use super::*;
use datalake_http::client_limits::Clients;

fn limits(requests_max: u32, response_time_max: Duration) -> RequestLimits {
    RequestLimits {
        requests: ResourceLimit::new(Resource::Requests, requests_max, requests_max),
        scrapes: Arc::new(Semaphore::new(1)),
        budget: ResponseBudget::new(),
        response_time_max,
    }
}

fn router(limits: RequestLimits) -> Router {
    Router::new()
        .route("/", get(std::future::pending::<()>))
        .route("/healthz", get(async || "alive"))
        .route("/readyz", get(async || "ready"))
        .route("/metrics", get(async || "metrics"))
        .layer(middleware::from_fn_with_state(
            limits,
            async |State(limits): State<RequestLimits>, request: Request, next: Next| {
                limit(&limits, request, |request| next.run(request)).await
            },
        ))
}

async fn status(limits: RequestLimits, path: &str) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router(limits).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn exceeded_limits_are_problems() {
    assert_eq!(status(limits(1, Duration::ZERO), "/").await, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(status(limits(0, Duration::ZERO), "/").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn probes_and_metrics_are_served_under_overload() {
    let full = limits(0, RESPONSE_TIME_MAX);
    for path in ["/healthz", "/readyz", METRICS] {
        assert_eq!(status(full.clone(), path).await, StatusCode::OK, "{path}");
    }
    let _scrape = Arc::clone(&full.scrapes).try_acquire_owned().unwrap();
    assert_eq!(
        status(full.clone(), METRICS).await,
        StatusCode::SERVICE_UNAVAILABLE,
        "scrapes are limited too"
    );
}

#[test]
fn one_client_leaves_half_of_a_limit_to_others() {
    let limit = WaitLimit::new();
    let clients = Clients::default();
    let [first, second, third] = [1, 2, 3].map(|host| RequestClient(clients.client(Ipv4Addr::new(10, 0, 0, host).into())));
    let take_all = |client: &RequestClient| std::iter::from_fn(|| limit.permit(client).ok()).collect::<Vec<_>>();
    let (of_first, of_second) = (take_all(&first), take_all(&second));
    let half = usize::try_from(WAITS_MAX / 2).unwrap();
    assert_eq!([of_first.len(), of_second.len()], [half, half]);
    assert!(limit.clone().permit(&third).is_err());
    drop(of_first);
    assert!(limit.permit(&third).is_ok());
}
