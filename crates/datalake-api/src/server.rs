//! The router with all that surrounds it, and its life on a listener.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, middleware};
use datalake_store::bucket::Bucket;
use tokio::{net::TcpListener, sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
};

use crate::{
    clock::Clock,
    first_run,
    limits::{Limits, limit},
    metrics::Metrics,
    observe::observe,
    problem, routes,
    run_history::RunHistory,
    state::ApiState,
    table_watch::TableWatch,
    token::{self, Access},
};

/// Kubernetes kills 30 seconds after it asks: the rest is for the run that this server may have started.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Samples are folded as often as the exporter itself would.
const FOLD_PERIOD: Duration = Duration::from_secs(5);

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where the present comes from.
    pub clock: Clock,
    /// The table; [`serve`] follows it.
    pub table: TableWatch,
    /// The runs, with what starts them.
    pub runs: RunHistory,
    /// The lake: pictures are read from it.
    pub bucket: Arc<dyn Bucket>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who may start runs, and read.
    pub access: Access,
}

/// The router with every layer. It answers by itself; somebody else has to refresh the table.
pub fn router(parts: Parts) -> Router {
    let metrics = parts.metrics.clone();
    let access = parts.access.clone();
    // From the outside in.
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(middleware::from_fn_with_state(metrics, observe))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(problem::write_documents))
        .layer(middleware::from_fn_with_state(Limits::new(), limit))
        .layer(middleware::from_fn_with_state(access, token::protect_reads))
        .layer(CatchPanicLayer::custom(problem::of_panic));
    routes::router().layer(layers).with_state(ApiState::from(parts))
}

/// Serves until `shutdown`, then lets requests in flight end, for 20 seconds at most.
///
/// Meanwhile it follows the table: each second, and at once whenever `hints` changes, as the launcher's do at the end of a run. Where there
/// is no table yet, it starts the first run.
pub async fn serve(listener: TcpListener, parts: Parts, hints: watch::Receiver<()>, shutdown: CancellationToken) -> io::Result<()> {
    // What goes on beside the answers also ends when the listener fails by itself.
    let beside = shutdown.child_token();
    let follow = parts.table.clone().follow(hints, beside.clone());
    let first_run = first_run::see_to(parts.table.clone(), parts.runs.clone(), parts.clock, beside.clone());
    let fold = fold(parts.metrics.clone(), beside.clone());
    let answer = async {
        let answered = answer(listener, router(parts), shutdown).await;
        beside.cancel();
        answered
    };
    let (answered, (), (), ()) = tokio::join!(answer, follow, first_run, fold);
    answered
}

async fn answer(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        served = serving => served,
        () = drained => {
            tracing::warn!("requests were still in flight when the time to end them was over");
            Ok(())
        }
    }
}

async fn fold(metrics: Metrics, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(FOLD_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => metrics.fold(),
        }
    }
}
