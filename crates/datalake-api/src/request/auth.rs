//! Access control: a request is authorized by the bearer token, or by the cookie of a browser that has signed in with it.

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
    operator_paths::is_probe_or_metrics,
    problem::{Problem, UnauthorizedReason},
    request::session::SessionKey,
};
use datalake_core::clock::Clock;
use datalake_http::cross_site::is_confirmed_same_origin;

/// Which requests need the token.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// None: every client that reaches the port has full access.
    #[default]
    Open,
    /// Requests that start or stop runs. Reads need no token.
    ProtectRuns(Token),
    /// All requests except those for probes, metrics, and the style sheets and scripts of the pages.
    ProtectAll(Token),
}

/// Verifies the configured token. It keeps only keys derived from the token, so no log can show the token. Clones share them.
#[derive(Clone)]
pub struct Token {
    keys: Arc<ArcSwap<Keys>>,
    hint: Option<Arc<str>>,
}

/// The keys derived from the token.
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

/// How the client of a request is authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The server has no token, so every client is authorized.
    Any,
    /// The client sent the token.
    Token,
    /// The client is a browser that has signed in.
    Session,
    /// The client is not authorized.
    Anonymous,
}

impl Token {
    /// Derives the keys from the configured token.
    pub fn new(token: &str) -> Self {
        Self {
            keys: Arc::new(ArcSwap::from_pointee(Keys::of(token))),
            hint: None,
        }
    }

    /// Replaces the token in all clones. Returns false if it is the same token.
    pub fn replace(&self, token: &str) -> bool {
        let keys = Keys::of(token);
        let digest = keys.digest;
        self.keys.swap(Arc::new(keys)).digest != digest
    }

    /// Adds a hint to the 401 responses that explains how to get the token.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Whether the given token is this one. The comparison takes the same time for every token, so it reveals neither content nor length.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.keys.load().digest.ct_eq(&Sha256::digest(given)).into()
    }

    /// The `Set-Cookie` header of a session that begins now.
    pub fn begin_session(&self, now: Timestamp, is_https: bool) -> HeaderValue {
        self.keys.load().session.begin(now, is_https)
    }

    fn caller(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Result<Caller, UnauthorizedReason> {
        // Other schemes are ignored: a proxy may use them. A bearer token takes precedence over a cookie, which browsers send by
        // themselves.
        if let Some(token) = bearer(headers) {
            return self.matches(token).then_some(Caller::Token).ok_or(UnauthorizedReason::WrongToken);
        }
        if !self.keys.load().session.is_active(headers, now) {
            return Err(UnauthorizedReason::NoToken);
        }
        // SameSite does not separate ports: browsers also send the cookie with requests of pages of other servers on this host.
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match is_read || is_confirmed_same_origin(headers, uri.authority().map(Authority::as_str)) {
            true => Ok(Caller::Session),
            false => Err(UnauthorizedReason::OtherOrigin),
        }
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Result<(), Problem> {
        let caller = self.caller(method, uri, headers, now);
        caller.map(|_| ()).map_err(|reason| self.unauthorized(reason))
    }

    /// The problem of an unauthorized request, with the hint.
    pub fn unauthorized(&self, reason: UnauthorizedReason) -> Problem {
        Problem::Unauthorized {
            reason,
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
    /// The token, if there is one.
    pub fn token(&self) -> Option<&Token> {
        match self {
            Self::Open => None,
            Self::ProtectRuns(token) | Self::ProtectAll(token) => Some(token),
        }
    }
}

impl Caller {
    /// Whether the client may start and stop runs.
    pub fn is_authorized(self) -> bool {
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

/// Proof that the request may start and stop runs.
#[derive(Debug)]
pub struct RunAuthorization;

impl<S> FromRequestParts<S> for RunAuthorization
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

/// Whether a path needs no token although reads do, because browsers load it to sign in.
pub type IsPublic = fn(&str) -> bool;

/// Rejects unauthorized requests if reads need the token. Probes and scrapers need none.
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
        Access::ProtectAll(token) if !is_open => match token.check(request.method(), request.uri(), request.headers(), clock.now()) {
            Ok(()) => next(request).await,
            Err(problem) => problem.into_response(),
        },
        Access::Open | Access::ProtectRuns(_) | Access::ProtectAll(_) => next(request).await,
    }
}
