//! What surrounds every route. Each step takes the request and what answers it, so that all steps are one future: a layer of its own for each
//! would be allocated, moved and cloned for every request, and cost more than most answers.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::{
    caching::caching,
    compression::refuse_codings,
    cors::{AllowList, cors},
    etags::etags,
    limits::{Limits, hand_on, limit},
    metrics::Metrics,
    observe::observe,
    problem::write_documents,
    token::{Access, protect_reads},
};

/// What the steps outside of the compression need.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) metrics: Metrics,
    pub(crate) allowed: AllowList,
}

/// What the steps inside of the compression need.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) limits: Limits,
    pub(crate) access: Access,
}

/// The steps outside of the compression, from the outside in.
pub(crate) async fn outside(State(outside): State<Outside>, request: Request, next: Next) -> Response {
    let answer = async |request| next.run(request).await;
    let answer = async |request| hand_on(request, answer).await;
    let answer = async |request| etags(request, answer).await;
    let answer = async |request| cors(&outside.allowed, request, answer).await;
    let answer = async |request| caching(request, answer).await;
    let answer = async |request| secure(request, answer).await;
    observe(&outside.metrics, request, answer).await
}

/// The steps inside of the compression, from the outside in.
pub(crate) async fn inside(State(inside): State<Inside>, request: Request, next: Next) -> Response {
    let answer = async |request| next.run(request).await;
    let answer = async |request| protect_reads(&inside.access, request, answer).await;
    let answer = async |request| limit(&inside.limits, request, answer).await;
    let answer = async |request| refuse_codings(request, answer).await;
    write_documents(request, answer).await
}

/// Of what comes from sources, a browser must take nothing for more than its type says; and paths name users, to whom links lead away.
async fn secure(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
    response
}
