//! Who may do what: the bearer token that a request must carry.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    extract::{FromRef, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{pages, probes::is_probe_or_metrics, problem::Problem};

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

/// The digest of a configured token. The token itself is not kept, and no log can show it. Clones share it.
#[derive(Clone)]
pub struct Token {
    digest: Arc<ArcSwap<[u8; 32]>>,
    hint: Option<Arc<str>>,
}

impl Token {
    /// Takes the token as it was configured.
    pub fn new(token: &str) -> Self {
        Self {
            digest: Arc::new(ArcSwap::from_pointee(Sha256::digest(token).into())),
            hint: None,
        }
    }

    /// Takes another token from now on, in all clones. Returns false if it is the same.
    pub fn replace(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        *self.digest.swap(Arc::new(digest)) != digest
    }

    /// Tells whoever comes without the token how it is got. That is told to everybody.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Whether the headers carry the token. How long that takes tells nothing of the token, not even its length.
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let refused = |is_wrong| Problem::Unauthorized {
            is_wrong,
            hint: self.hint.clone(),
        };
        let (_, token) = given
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .ok_or_else(|| refused(false))?;
        let holds = bool::from(self.digest.load().ct_eq(&Sha256::digest(token)));
        holds.then_some(()).ok_or_else(|| refused(true))
    }
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

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The request may start and stop runs.
pub(crate) struct MayRun;

impl<S> FromRequestParts<S> for MayRun
where
    S: Send + Sync,
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Access::from_ref(state) {
            Access::Open => Ok(Self),
            Access::RunsNeed(token) | Access::AllNeeds(token) => token.check(&parts.headers).map(|()| Self),
        }
    }
}

/// Refuses reads without the token, where reads need it. Probes and scrapes carry none.
pub(crate) async fn protect_reads(access: &Access, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let path = request.uri().path();
    // A browser that is refused a page still draws the refusal.
    let is_open = is_probe_or_metrics(path) || path.starts_with(pages::ASSETS);
    match access {
        Access::AllNeeds(token) if !is_open => match token.check(request.headers()) {
            Ok(()) => next(request).await,
            Err(problem) => problem.into_response(),
        },
        Access::Open | Access::RunsNeed(_) | Access::AllNeeds(_) => next(request).await,
    }
}
