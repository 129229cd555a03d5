//! The router with all that surrounds it, and its life on a listener.

use std::time::Duration;

use axum::{Router, extract::FromRef, middleware};
use tokio::{net::TcpListener, sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    admin, bootstrap, index,
    layers::{self, Inside, Outside},
};
use datalake_api::{
    limits::requests::RequestLimits,
    problem, routes,
    state::{ApiState, Parts},
    telemetry::metrics::Metrics,
};
use datalake_http::{
    content_coding::compression,
    cors::Cors,
    server::{
        accepting::Accepting,
        connection::{self, ConnectionLimits, Listening},
    },
};

/// Whoever stops a server waits half a minute for it, as Kubernetes does by default: the rest is for the run that it may have started.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Samples are folded as often as the exporter itself would.
const FOLD_PERIOD: Duration = Duration::from_secs(5);

/// What a server listens on.
#[derive(Debug)]
pub struct Listeners {
    /// For everything.
    pub api: TcpListener,
    /// For probes and metrics alone, with limits of its own.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(api: TcpListener) -> Self {
        Self { api, admin: None }
    }
}

/// The router with every layer. It answers by itself; somebody else has to refresh the table.
pub fn router(parts: Parts) -> Router {
    layered(parts).0
}

/// The router with every layer, and its state.
fn layered(parts: Parts) -> (Router, ApiState) {
    let cors = Cors::new(&parts.cors_origins);
    let outside = Outside {
        metrics: parts.metrics.clone(),
        cors: cors.clone(),
    };
    let (access, clock, allowed_hosts) = (parts.access.clone(), parts.clock, parts.allowed_hosts.clone());
    let state = ApiState::from(parts);
    let inside = Inside {
        limits: RequestLimits::new(FromRef::from_ref(&state)),
        access,
        clock,
        allowed_hosts,
        cors,
    };
    // From the outside in.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(outside, layers::outside))
        .layer(compression())
        .layer(middleware::from_fn_with_state(inside, layers::inside))
        .layer(CatchPanicLayer::custom(problem::from_panic));
    (
        routes::router(index::router(), datalake_ui::router(), datalake_ui::paths())
            .layer(layers)
            .with_state(state.clone()),
        state,
    )
}

/// Serves until `shutdown`, then lets requests in flight end, for 20 seconds at most.
///
/// Meanwhile it follows the table: twice a second, and at once whenever `hints` changes, as the launcher's do at the end of a run. Where there
/// is no table yet, it starts the first run.
pub async fn serve(listeners: impl Into<Listeners>, parts: Parts, hints: watch::Receiver<()>, shutdown: CancellationToken) {
    // What goes on beside the answers ends with the last of them.
    let beside = shutdown.child_token();
    parts.runs.end_with(shutdown.clone());
    let follow = parts.table.clone().follow(hints, beside.clone());
    let first_run = bootstrap::ensure_first_run(parts.table.clone(), parts.runs.clone(), parts.clock, beside.clone());
    let keep_up = parts.runs.clone().keep_up(beside.clone());
    let fold = fold(parts.metrics.clone(), beside.clone());
    let Listeners { api, admin } = listeners.into();
    let accepting = Accepting::default();
    let listening = Listening {
        listener: api,
        limits: ConnectionLimits::API,
        trusted_proxies: parts.trusted_proxies.clone(),
        accepting: accepting.clone(),
    };
    let (router, state) = layered(parts);
    let answer = async {
        answer(listening, router, shutdown).await;
        beside.cancel();
    };
    let admin = async {
        if let Some(listener) = admin {
            admin::serve(listener, accepting, state, beside.clone()).await;
        }
    };
    let ((), (), (), (), (), ()) = tokio::join!(answer, admin, follow, first_run, keep_up, fold);
}

async fn answer(listening: Listening, router: Router, shutdown: CancellationToken) {
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        () = connection::serve(listening, router, shutdown.clone()) => {}
        () = drained => tracing::warn!("requests were still in flight when the time to end them was over"),
    }
}

async fn fold(metrics: Metrics, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(FOLD_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => metrics.run_upkeep(),
        }
    }
}
