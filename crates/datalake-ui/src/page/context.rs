//! What every page needs to know of the request and of the server, beside its own subject.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, Uri, header, request::Parts},
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::page::{
    api_address::ApiAddress,
    layout::{self, Account, Frame, Redrawn, View},
    live::{Known, Live},
    run_permission::RunPermission,
    sign_in::LocalAddress,
};
use datalake_api::{
    request::auth::{Access, Caller},
    routes::run_redaction,
    snapshots::watch::TableWatch,
};
use datalake_core::clock::Clock;
use datalake_http::forwarded::is_https;
use datalake_runs::runs::Runs;

/// The request of a page. Views ask it for their [`Frame`]; it asks the store for nothing.
#[derive(Clone, Debug)]
pub struct PageContext {
    /// Scheme, host and port as the client wrote them: what curl has to be told.
    pub(crate) origin: String,
    /// Path and query of the page.
    pub(crate) address: String,
    /// The present, by the server's clock.
    pub(crate) now: Timestamp,
    /// What is known of the lake without asking the store.
    pub(crate) known: Known,
    /// Names the state of the lake that the page shows.
    pub(crate) live: Live,
    /// Who may start a run here.
    pub(crate) starting: RunPermission,
    /// The client, as far as access is concerned.
    pub(crate) caller: Caller,
    begun: Instant,
}

/// Nobody waits for a page much longer; an open one is redrawn anyway.
const WAIT_MAX: Duration = Duration::from_secs(2);

impl PageContext {
    /// The page is drawn of what is known by then, whoever does not answer.
    pub(crate) fn deadline(&self) -> Instant {
        deadline(self.begun, Instant::now())
    }

    /// The frame of a view of this visit, with the API address that the page's own address stands for.
    pub(crate) fn frame<'a>(&'a self, view: View, title: &'a str) -> Frame<'a> {
        Frame {
            view,
            title,
            api: ApiAddress::of_page(&self.address),
            words: layout::SAME,
            command: "curl",
            origin: &self.origin,
            redrawn: Redrawn::After(&self.live),
            account: match self.caller {
                // A client that has the token anyway, as behind a proxy that adds it, has nothing to sign in to.
                Caller::Any | Caller::Token => Account::None,
                Caller::Session => Account::SignedIn,
                Caller::Anonymous => Account::Anonymous(LocalAddress::or_overview(&self.address)),
            },
        }
    }
}

impl<S> FromRequestParts<S> for PageContext
where
    S: Send + Sync,
    Clock: FromRef<S>,
    TableWatch: FromRef<S>,
    Runs: FromRef<S>,
    Access: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let begun = Instant::now();
        let now = Clock::from_ref(state).now();
        let runs = Runs::from_ref(state);
        let Ok(caller) = Caller::from_request_parts(parts, state).await;
        let mut known = Known::gather(&TableWatch::from_ref(state), &runs, now).await;
        known.runs = known.runs.into_iter().map(|run| run_redaction::for_caller(run, caller)).collect();
        Ok(Self {
            origin: origin(&parts.headers, &parts.uri),
            address: address(&parts.uri),
            now,
            live: known.live(),
            known,
            starting: match (runs.starts_runs(), caller) {
                (false, _) => RunPermission::NotOffered,
                (true, Caller::Any) => RunPermission::Open,
                (true, Caller::Token | Caller::Session) => RunPermission::SignedIn,
                (true, Caller::Anonymous) => RunPermission::NeedsToken,
            },
            caller,
            begun,
        })
    }
}

/// Whoever asked to wait for a version may have waited long by `now`, and has a part of the time besides.
fn deadline(begun: Instant, now: Instant) -> Instant {
    (begun + WAIT_MAX).max(now + WAIT_MAX / 2)
}

/// Path and query.
pub(crate) fn address(uri: &Uri) -> String {
    uri.path_and_query().map_or("/", |address| address.as_str()).to_owned()
}

/// Scheme, host and port under which the client reaches the server; a proxy in between may state that it speaks TLS for it.
pub(crate) fn origin(headers: &HeaderMap, uri: &Uri) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if is_https(headers) { "https" } else { "http" };
    let is_host = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let host = uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| text(header::HOST));
    let host = host.filter(|host| !host.is_empty()).filter(is_host).unwrap_or("localhost:8080");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_was_waited_for_takes_nothing_from_the_rest() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(deadline(begun, begun), begun + 2 * second);
        assert_eq!(deadline(begun, begun + second), begun + 2 * second);
        assert_eq!(deadline(begun, begun + 30 * second), begun + 31 * second);
    }

    #[track_caller]
    fn check_origin(host: &'static str, scheme: Option<&'static str>, expected: &str) {
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        if let Some(scheme) = scheme {
            headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
        }
        assert_eq!(origin(&headers, &Uri::from_static("/")), expected, "host: {host}");
    }

    #[test]
    fn origins() {
        check_origin("lake.example.com", None, "http://lake.example.com");
        check_origin("lake.example.com", Some("https"), "https://lake.example.com");
        check_origin("[::1]:8080", Some("gopher"), "http://[::1]:8080");
        // What no host can be is not repeated into a line that people paste into a shell.
        check_origin("x';rm -rf ~;'", None, "http://localhost:8080");
        check_origin("", None, "http://localhost:8080");
        let of_uri = origin(&HeaderMap::new(), &Uri::from_static("http://127.0.0.1:99/data"));
        assert_eq!(of_uri, "http://127.0.0.1:99");
    }
}
