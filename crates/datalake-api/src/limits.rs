//! The bounds that hold for every request.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// The longest wait that a client may ask for is a minute; what takes longer than that and the store's own attempts hangs.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// A request in flight holds some KiB; most of those that last are waiting for a run's end.
const REQUESTS_MAX: usize = 1_024;

/// How many more requests are answered at once, and for how long. Clones share the number.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    room: Arc<Semaphore>,
    answer_max: Duration,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self::of(REQUESTS_MAX, ANSWER_MAX)
    }

    fn of(requests_max: usize, answer_max: Duration) -> Self {
        Self {
            room: Arc::new(Semaphore::new(requests_max)),
            answer_max,
        }
    }
}

/// Refuses a request at once where too many are in flight, and one that takes too long to be answered. An answer that has begun is not cut.
pub(crate) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.room.try_acquire() else {
        return Problem::TooBusy.into_response();
    };
    match tokio::time::timeout(limits.answer_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::TimedOut.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::StatusCode, middleware, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn status(limits: Limits) -> StatusCode {
        let hanging = Router::new()
            .route("/", get(std::future::pending::<()>))
            .layer(middleware::from_fn_with_state(limits, limit));
        let request = Request::get("/").body(Body::empty()).unwrap();
        hanging.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn bounds_are_problems() {
        assert_eq!(status(Limits::of(1, Duration::ZERO)).await, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(status(Limits::of(0, Duration::ZERO)).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}
