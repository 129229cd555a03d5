//! Combines the API and the web UI in one router with its layers, and serves it until shutdown.

use std::time::Duration;

use axum::{Router, extract::FromRef, middleware};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{net::TcpListener, sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, util::MapRequest};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    admin, bootstrap, index,
    layers::{self, InnerState, OuterState},
};
use datalake_api::{
    limits::requests::RequestLimits,
    problem,
    request::row_path,
    routes,
    snapshots::watch::TableWatch,
    state::{ApiState, Parts},
    telemetry::metrics::Metrics,
};
use datalake_http::{
    content_coding::compression,
    cors::Cors,
    server::{
        listener::{self, ConnectionLimits, HttpListener},
        listener_health::ListenerHealth,
    },
};

/// Kubernetes and docker wait 30 seconds for a process that they stop, by default. The rest is for a run that the server started.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The exporter of metrics recommends this period.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// The listeners of a server.
#[derive(Debug)]
pub struct Listeners {
    /// The API and the web UI.
    pub api: TcpListener,
    /// Probes and metrics only, with limits of their own.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(api: TcpListener) -> Self {
        Self { api, admin: None }
    }
}

/// The router with every layer. The caller has to follow the table.
pub fn router(parts: Parts) -> Router {
    layered(parts).0
}

/// The router with every layer, and the state of its handlers.
fn layered(parts: Parts) -> (Router, ApiState) {
    let cors = Cors::new(&parts.cors_origins);
    let outer = OuterState {
        metrics: parts.metrics.clone(),
        cors: cors.clone(),
    };
    let (access, clock, allowed_hosts) = (parts.access.clone(), parts.clock, parts.allowed_hosts.clone());
    let lake_label = parts.lake_label.clone();
    let state = ApiState::from(parts);
    let inner = InnerState {
        limits: RequestLimits::new(FromRef::from_ref(&state)),
        access,
        clock,
        allowed_hosts,
        cors,
        lake_label,
        table: FromRef::from_ref(&state),
    };
    // The first layer is the outermost.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(outer, layers::outer_layers))
        .layer(compression())
        .layer(middleware::from_fn_with_state(inner, layers::inner_layers))
        .layer(CatchPanicLayer::custom(problem::from_panic));
    let routed = routes::router(index::router(), datalake_ui::router(), datalake_ui::paths())
        .layer(layers)
        .with_state(state.clone());
    let table = TableWatch::from_ref(&state);
    let by_row = MapRequest::new(routed, move |request| row_path::with_joined_id(&table, request));
    (Router::new().fallback_service(by_row), state)
}

/// Serves until `shutdown`, then completes requests in flight for at most 20 seconds.
///
/// It polls the table twice a second, and when `hints` changes, for example when a run ends. While there is no table, it starts the first run.
///
/// The future is boxed, so that this crate compiles its code, and not each crate that awaits it.
pub fn serve(listeners: Listeners, parts: Parts, hints: watch::Receiver<()>, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
    serve_listeners(listeners, parts, hints, shutdown).boxed()
}

async fn serve_listeners(listeners: Listeners, parts: Parts, hints: watch::Receiver<()>, shutdown: CancellationToken) {
    // Background tasks end after the last response.
    let background = shutdown.child_token();
    parts.runs.set_shutdown(shutdown.clone());
    let follow = parts.table.clone().follow(hints, background.clone());
    let first_run = bootstrap::ensure_first_run(parts.table.clone(), parts.runs.clone(), parts.clock, background.clone());
    let poll_runs = parts.runs.clone().poll(background.clone());
    let upkeep = upkeep(parts.metrics.clone(), background.clone());
    let Listeners { api, admin } = listeners;
    let listener_health = ListenerHealth::default();
    let http_listener = HttpListener {
        listener: api,
        limits: ConnectionLimits::API,
        trusted_proxies: parts.trusted_proxies.clone(),
        health: listener_health.clone(),
    };
    let (router, state) = layered(parts);
    let serve = async {
        serve_until_drained(http_listener, router, shutdown).await;
        background.cancel();
    };
    let admin = async {
        if let Some(listener) = admin {
            admin::serve(listener, listener_health, state, background.clone()).await;
        }
    };
    let ((), (), (), (), (), ()) = tokio::join!(serve, admin, follow, first_run, poll_runs, upkeep);
}

async fn serve_until_drained(listener: HttpListener, router: Router, shutdown: CancellationToken) {
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        () = listener::serve(listener, router, shutdown.clone()) => {}
        () = drained => tracing::warn!("shutdown timed out with requests in flight"),
    }
}

async fn upkeep(metrics: Metrics, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => metrics.run_upkeep(),
        }
    }
}
