//! The token that a request must carry before it may start a run.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The digest of a configured token. The token itself is not kept, and no log can show it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Takes the token as it was configured.
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether the headers carry the token. Digests are compared: how long that takes tells nothing of the token.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let (scheme, token) = given
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .ok_or(Problem::Unauthorized)?;
        let holds = scheme.eq_ignore_ascii_case(b"Bearer ") && self.0 == <[u8; 32]>::from(Sha256::digest(token));
        holds.then_some(()).ok_or(Problem::Unauthorized)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
