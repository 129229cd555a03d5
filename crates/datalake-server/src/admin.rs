//! The listener for probes and metrics alone. Its connections and requests have limits of their own, so that no load on the API delays them.

use std::time::Duration;

use axum::{Router, extract::State, middleware, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use datalake_api::{
    probes::{LIVENESS, METRICS, READINESS},
    problem::{Problem, document::write_documents},
    request::parameters::NoParameters,
    routes::health,
    state::ApiState,
};
use datalake_http::{
    server::{
        accepting::Accepting,
        connection::{self, ConnectionLimits, Listening},
    },
    trusted_proxies::TrustedProxies,
};

/// Responses in flight are a few KiB.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Serves until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, accepting: Accepting, state: ApiState, shutdown: CancellationToken) {
    let listening = Listening {
        listener,
        limits: ConnectionLimits::ADMIN,
        // The limits are by connection.
        trusted_proxies: TrustedProxies::default(),
        accepting: Accepting::default(),
    };
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        () = connection::serve(listening, router(accepting, state), shutdown.clone()) => {}
        () = drained => {}
    }
}

fn router(accepting: Accepting, state: ApiState) -> Router {
    let health = Router::new().route(LIVENESS, get(alive)).with_state(accepting);
    let others = Router::new()
        .route(READINESS, get(health::ready))
        .route(METRICS, get(health::metrics))
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
async fn alive(State(accepting): State<Accepting>, _: NoParameters) -> Result<&'static str, Problem> {
    match accepting.is_accepting() {
        true => Ok(health::ALIVE),
        false => Err(Problem::NotAccepting),
    }
}
