//! What surrounds every route. Each step takes the request and what answers it, so that all steps are one future: a layer of its own for each
//! would be allocated, moved and cloned for every request, and cost more than most answers.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use datalake_api::{
    cache_control::set_cache_control,
    limits::requests::{RequestLimits, limit},
    probes::is_probe_or_metrics,
    problem::{Problem, document::write_documents},
    request::auth::{Access, protect_reads},
    telemetry::{access_log::observe, metrics::Metrics},
};
use datalake_core::clock::Clock;
use datalake_http::{
    allowed_hosts::AllowedHosts,
    content_coding::{accepts_any, weaken_etags},
    cors::{Cors, cors},
    cross_site::is_cross_site,
    response_budget::pass_in_chunks,
};
use datalake_ui::page::problem::show_problems;

/// What the steps outside of the compression need.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) metrics: Metrics,
    pub(crate) cors: Cors,
}

/// What the steps inside of the compression need.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) limits: RequestLimits,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) cors: Cors,
}

/// The steps outside of the compression, from the outside in.
pub(crate) async fn outside(State(outside): State<Outside>, request: Request, next: Next) -> Response {
    let answer = async |request| next.run(request).await;
    let answer = async |request| pass_in_chunks(request, answer).await;
    let answer = async |request| weaken_etags(request, answer).await;
    let answer = async |request| cors(&outside.cors, request, answer).await;
    let answer = async |request| set_cache_control(request, answer).await;
    let answer = async |request| secure(request, answer).await;
    observe(&outside.metrics, request, answer).await
}

/// The steps inside of the compression, from the outside in.
pub(crate) async fn inside(State(inside): State<Inside>, request: Request, next: Next) -> Response {
    let answer = async |request| next.run(request).await;
    let answer = async |request| protect_reads(&inside.access, inside.clock, datalake_ui::is_public, request, answer).await;
    let answer = async |request| limit(&inside.limits, request, answer).await;
    let answer = async |request| admit(&inside, request, answer).await;
    let answer = async |request| show_problems(request, answer).await;
    write_documents(request, answer).await
}

/// Rejects requests that browsers send for pages of other sites, and clients that accept no content coding, before a handler runs.
async fn admit(inside: &Inside, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if !is_probe_or_metrics(request.uri().path())
        && let Some(host) = inside.allowed_hosts.rejected(&request)
    {
        return Problem::HostNotAllowed { host }.into_response();
    }
    if is_cross_site(&request, &inside.cors) {
        return Problem::CrossSite.into_response();
    }
    if !accepts_any(request.headers()) {
        return Problem::NoContentCoding.into_response();
    }
    next(request).await
}

/// Headers for browsers where the route sets none of its own.
const SECURITY: [(HeaderName, HeaderValue); 3] = [
    // A source's bytes are taken for nothing but their type.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Paths name users, and links lead to other sites.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // A page of another site that embeds a user's image would learn whether there is one.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

async fn secure(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    for (name, value) in SECURITY {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
