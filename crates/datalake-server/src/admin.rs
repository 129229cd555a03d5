//! The admin listener: probes and metrics only. Its connections and requests have limits of their own, so that no load on the API delays them.

use std::time::Duration;

use axum::{Router, extract::State, middleware, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use datalake_api::{
    operator_paths::{LIVENESS, METRICS, READINESS},
    problem::{Problem, document::write_documents},
    request::parameters::NoParameters,
    routes::{health, metrics},
    state::ApiState,
};
use datalake_http::{
    server::{
        listener::{self, ConnectionLimits, HttpListener},
        listener_health::ListenerHealth,
    },
    trusted_proxies::TrustedProxies,
};

/// Responses in flight are a few KiB.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Serves until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, listener_health: ListenerHealth, state: ApiState, shutdown: CancellationToken) {
    let http_listener = HttpListener {
        listener,
        limits: ConnectionLimits::ADMIN,
        // The limits are by connection.
        trusted_proxies: TrustedProxies::default(),
        health: ListenerHealth::default(),
    };
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        () = listener::serve(http_listener, router(listener_health, state), shutdown.clone()) => {}
        () = drained => {}
    }
}

fn router(listener_health: ListenerHealth, state: ApiState) -> Router {
    let health = Router::new().route(LIVENESS, get(alive)).with_state(listener_health);
    let others = Router::new()
        .route(READINESS, get(health::ready))
        .route(METRICS, get(metrics::metrics))
        .with_state(state);
    health
        .merge(others)
        .fallback(async || Problem::NoSuchPath { nearest: None })
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn(|request, next: middleware::Next| {
            write_documents(request, |request| next.run(request))
        }))
}

/// Whether the process runs and the listener of the API accepts connections.
async fn alive(State(listener_health): State<ListenerHealth>, _: NoParameters) -> Result<&'static str, Problem> {
    match listener_health.is_accepting() {
        true => Ok(health::ALIVE),
        false => Err(Problem::NotAccepting),
    }
}
