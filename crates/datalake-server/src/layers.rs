//! The layers around every route. Each layer is a function, so that all layers compile to two futures. tower layers would be allocated, moved and
//! cloned for every request.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use datalake_api::{
    cache_control::set_cache_control,
    lake_label::LakeLabel,
    limits::requests::{RequestLimits, limit},
    operator_paths::is_probe_or_metrics,
    problem::{Problem, document::write_documents},
    request::auth::{Access, protect_reads},
    snapshots::watch::TableWatch,
    telemetry::{access_log::observe, metrics::Metrics},
};
use datalake_core::clock::Clock;
use datalake_http::{
    allowed_hosts::AllowedHosts,
    content_coding::{accepts_any, weaken_etags},
    cors::{Cors, cors},
    cross_site::is_cross_site,
    response_budget::pace_body,
};
use datalake_ui::page::problem::show_problems;

/// The state of the layers outside the compression layer.
#[derive(Clone, Debug)]
pub(crate) struct OuterState {
    pub(crate) metrics: Metrics,
    pub(crate) cors: Cors,
}

/// The state of the layers inside the compression layer.
#[derive(Clone, Debug)]
pub(crate) struct InnerState {
    pub(crate) limits: RequestLimits,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) cors: Cors,
    pub(crate) lake_label: LakeLabel,
    pub(crate) table: TableWatch,
}

/// The layers outside the compression layer. The last line is the outermost layer.
pub(crate) async fn outer_layers(State(state): State<OuterState>, request: Request, next: Next) -> Response {
    let next = async |request| next.run(request).await;
    let next = async |request| pace_body(request, next).await;
    let next = async |request| weaken_etags(request, next).await;
    let next = async |request| cors(&state.cors, request, next).await;
    let next = async |request| set_cache_control(request, next).await;
    let next = async |request| set_security_headers(request, next).await;
    observe(&state.metrics, request, next).await
}

/// The layers inside the compression layer. The last line is the outermost layer.
pub(crate) async fn inner_layers(State(state): State<InnerState>, request: Request, next: Next) -> Response {
    let next = async |request| next.run(request).await;
    let next = async |request| protect_reads(&state.access, state.clock, datalake_ui::is_public, request, next).await;
    let next = async |request| limit(&state.limits, request, next).await;
    let next = async |request| admit(&state, request, next).await;
    let next = async |request| show_problems(&state.lake_label, &state.table, request, next).await;
    write_documents(request, next).await
}

/// Rejects requests that browsers send for pages of other sites, and clients that accept no content coding, before a handler runs.
async fn admit(state: &InnerState, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if !is_probe_or_metrics(request.uri().path())
        && let Some(host) = state.allowed_hosts.rejected_host(&request)
    {
        return Problem::HostNotAllowed { host }.into_response();
    }
    if is_cross_site(&request, &state.cors) {
        return Problem::CrossSite.into_response();
    }
    if !accepts_any(request.headers()) {
        return Problem::NoContentCoding.into_response();
    }
    next(request).await
}

/// Headers for browsers, unless the route sets them.
const SECURITY: [(HeaderName, HeaderValue); 3] = [
    // Browsers must not guess another type from the bytes of a source.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Paths name users; links to other sites must not reveal them.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // A page of another site that embeds a user's image would learn whether the user has one.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

async fn set_security_headers(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    for (name, value) in SECURITY {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
