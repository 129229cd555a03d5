//! Who may do what: a request has the bearer token, or the cookie of a browser that has signed in with it.

use std::{convert::Infallible, fmt, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    extract::{FromRef, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, Uri, header, request::Parts, uri::Authority},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    probes::is_probe_or_metrics,
    problem::{Problem, Refusal},
    request::session::SessionKey,
};
use datalake_core::clock::Clock;
use datalake_http::cross_site::is_confirmed_same_origin;

/// What needs the token.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Nothing: whoever reaches the port may do all.
    #[default]
    Open,
    /// Starting and stopping runs. Reads are open.
    RunsNeed(Token),
    /// All but what keeps the server running, health, readiness and metrics, and the style and script of the pages.
    AllNeeds(Token),
}

/// A configured token, as what verifies it. The token itself is not kept, and no log can show it. Clones share it.
#[derive(Clone)]
pub struct Token {
    keys: Arc<ArcSwap<Keys>>,
    hint: Option<Arc<str>>,
}

/// What is derived from the token.
struct Keys {
    digest: [u8; 32],
    session: SessionKey,
}

impl Keys {
    fn of(token: &str) -> Self {
        Self {
            digest: Sha256::digest(token).into(),
            session: SessionKey::of_token(token),
        }
    }
}

/// The client of a request, as far as access is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anyone: the server has no token.
    Any,
    /// A client that sent the token.
    Token,
    /// A browser that has signed in.
    Session,
    /// A client without the token.
    Anonymous,
}

impl Token {
    /// Takes the token as it was configured.
    pub fn new(token: &str) -> Self {
        Self {
            keys: Arc::new(ArcSwap::from_pointee(Keys::of(token))),
            hint: None,
        }
    }

    /// Takes another token from now on, in all clones. Returns false if it is the same.
    pub fn replace(&self, token: &str) -> bool {
        let keys = Keys::of(token);
        let digest = keys.digest;
        self.keys.swap(Arc::new(keys)).digest != digest
    }

    /// Shows every client without the token how to get it.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Whether a client sent this token. How long that takes reveals nothing of the token, not even its length.
    pub fn is(&self, given: &[u8]) -> bool {
        self.keys.load().digest.ct_eq(&Sha256::digest(given)).into()
    }

    /// The `Set-Cookie` of a session that begins now.
    pub fn begin_session(&self, now: Timestamp, is_https: bool) -> HeaderValue {
        self.keys.load().session.begin(now, is_https)
    }

    fn caller(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Result<Caller, Refusal> {
        // A proxy may use other schemes for itself. A bearer token decides: the client chose it for this request.
        if let Some(token) = bearer(headers) {
            return self.is(token).then_some(Caller::Token).ok_or(Refusal::WrongToken);
        }
        if !self.keys.load().session.is_active(headers, now) {
            return Err(Refusal::NoToken);
        }
        // Pages of other servers on this host are of the same site, so that browsers send the cookie with their requests as well.
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match is_read || is_confirmed_same_origin(headers, uri.authority().map(Authority::as_str)) {
            true => Ok(Caller::Session),
            false => Err(Refusal::OtherOrigin),
        }
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Result<(), Problem> {
        let caller = self.caller(method, uri, headers, now);
        caller.map(|_| ()).map_err(|refusal| self.refusal(refusal))
    }

    /// The problem of a request without the rights of the token, with the hint where to get it.
    pub fn refusal(&self, refusal: Refusal) -> Problem {
        Problem::Unauthorized {
            refusal,
            hint: self.hint.clone(),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

impl Access {
    /// The token, where anything needs one.
    pub fn token(&self) -> Option<&Token> {
        match self {
            Self::Open => None,
            Self::RunsNeed(token) | Self::AllNeeds(token) => Some(token),
        }
    }
}

impl Caller {
    /// Whether the client may start and stop runs without being asked for the token.
    pub fn has_rights(self) -> bool {
        self != Self::Anonymous
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Access: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let now = Clock::from_ref(state).now();
        Ok(match Access::from_ref(state).token() {
            None => Self::Any,
            Some(token) => { token.caller(&parts.method, &parts.uri, &parts.headers, now) }.unwrap_or(Self::Anonymous),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The request may start and stop runs.
#[derive(Debug)]
pub struct MayRun;

impl<S> FromRequestParts<S> for MayRun
where
    S: Send + Sync,
    Access: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let now = Clock::from_ref(state).now();
        match Access::from_ref(state).token() {
            None => Ok(Self),
            Some(token) => token.check(&parts.method, &parts.uri, &parts.headers, now).map(|()| Self),
        }
    }
}

/// Whether a path is public although reads need the token: what a browser loads to sign in.
pub type IsPublic = fn(&str) -> bool;

/// Rejects reads without the token where reads need it. Probes and scrapes have none.
pub async fn protect_reads(
    access: &Access,
    clock: Clock,
    is_public: IsPublic,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let path = request.uri().path();
    let is_open = is_probe_or_metrics(path) || is_public(path);
    match access {
        Access::AllNeeds(token) if !is_open => match token.check(request.method(), request.uri(), request.headers(), clock.now()) {
            Ok(()) => next(request).await,
            Err(problem) => problem.into_response(),
        },
        Access::Open | Access::RunsNeed(_) | Access::AllNeeds(_) => next(request).await,
    }
}
