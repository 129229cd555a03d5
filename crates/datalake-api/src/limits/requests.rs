//! The limits of requests: how many are handled at the same time, how many of them wait, and for how long.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::{
    operator_paths::{METRICS, is_probe},
    problem::Problem,
};
use datalake_http::{
    client_limits::{Permit, RequestClient, Resource, ResourceLimit},
    response_budget::ResponseBudget,
};

/// The longest wait that a client may request is a minute. A request that takes longer than that wait plus the store's retries is considered
/// hung.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(90);

/// A request in flight uses a few KiB of memory.
const REQUESTS_MAX: u32 = 1_024;

/// A request may wait for up to a minute for the end of a run, a version, or a change. Waits and reads of the store together leave a
/// quarter of all requests to those that are served from memory.
const WAITS_MAX: u32 = REQUESTS_MAX / 2;

/// A read of the store lasts as long as the store hangs.
const STORE_READS_MAX: u32 = REQUESTS_MAX / 4;

/// A response that follows a run keeps its connection for minutes.
const FOLLOWERS_MAX: u32 = 256;

/// Metrics are scraped every few seconds, and matter most under overload.
const SCRAPES_MAX: usize = 8;

/// One client may use half of each limit.
const fn per_client(max: u32) -> u32 {
    max / 2
}

/// The limits that apply to every request. Clones share them.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    requests: ResourceLimit,
    scrapes: Arc<Semaphore>,
    budget: ResponseBudget,
    response_time_max: Duration,
}

impl RequestLimits {
    /// The limits of a server whose responses share this budget.
    pub fn new(budget: ResponseBudget) -> Self {
        Self {
            requests: ResourceLimit::new(Resource::Requests, REQUESTS_MAX, per_client(REQUESTS_MAX)),
            scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
            budget,
            response_time_max: RESPONSE_TIME_MAX,
        }
    }
}

/// Rejects a request at once if too many are in flight, and ends one that takes too long. A response whose head is sent is not cut off.
pub async fn limit(limits: &RequestLimits, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    // An orchestrator kills a server whose probes fail, and with it the responses in flight.
    if is_probe(request.uri().path()) {
        return next(request).await;
    }
    if request.uri().path() == METRICS
        && let Ok(_permit) = limits.scrapes.try_acquire()
    {
        return next(request).await;
    }
    let RequestClient(client) = RequestClient::from_extensions(request.extensions());
    let Some(_permit) = limits.requests.try_acquire(&client, 1) else {
        return Problem::TooBusy.into_response();
    };
    let response = pin!(next(request));
    match tokio::time::timeout(limits.response_time_max, client.run_in_cpu_slot(response)).await {
        Ok(response) => limits
            .budget
            .admit(&client, response)
            .unwrap_or_else(|error| Problem::from(error).into_response()),
        Err(_) => Problem::TimedOut.into_response(),
    }
}

macro_rules! limits_of_routes {
    ($($(#[$doc:meta])* $limit:ident, $permit:ident: $resource:ident, $max:ident;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $limit(ResourceLimit);

            impl Default for $limit {
                fn default() -> Self {
                    Self::new()
                }
            }

            impl $limit {
                /// The limit, with all permits free.
                pub fn new() -> Self {
                    Self(ResourceLimit::new(Resource::$resource, $max, per_client($max)))
                }

                /// A permit for one more request of the client.
                pub fn permit(&self, RequestClient(client): &RequestClient) -> Result<$permit, Problem> {
                    let permit = self.0.try_acquire(client, 1).ok_or(Problem::TooBusy)?;
                    Ok($permit { _permit: permit })
                }
            }

            #[doc = concat!("A permit of the [`", stringify!($limit), "`], which is returned when this is dropped.")]
            #[derive(Debug)]
            pub struct $permit {
                _permit: Permit,
            }

            impl<S> FromRequestParts<S> for $permit
            where
                S: Send + Sync,
                $limit: FromRef<S>,
            {
                type Rejection = Problem;

                async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                    $limit::from_ref(state).permit(&RequestClient::from_extensions(&parts.extensions))
                }
            }
        )+
    };
}

limits_of_routes! {
    /// The limit of requests that wait for an event. Clones share it.
    WaitLimit, WaitPermit: Waits, WAITS_MAX;
    /// The limit of requests that read the store. Clones share it.
    StoreReadLimit, StoreReadPermit: StoreReads, STORE_READS_MAX;
    /// The limit of responses that follow a run. Clones share it.
    FollowerLimit, FollowerPermit: Followers, FOLLOWERS_MAX;
}

#[cfg(test)]
mod tests;
