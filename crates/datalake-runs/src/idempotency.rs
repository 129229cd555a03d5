//! `Idempotency-Key`: a key that starts a run names it; a key that joins a run is remembered in this process.

use std::collections::VecDeque;

use datalake_core::report::RunId;
use sha2::{Digest, Sha256};

use crate::run::RunParameters;

/// The value of the header `Idempotency-Key`: a client's name for one request. Invariant: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

/// The text is no [`IdempotencyKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Takes the key as it stands; quotes around it are part of it.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let is_valid = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| Self(text.into())).ok_or(IdempotencyKeyError)
    }

    /// 80 bits of the key's SHA-256 in hexadecimal digits: no two keys of one lake meet.
    pub(crate) fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(10).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The run that a key joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRun {
    /// The run.
    pub run_id: RunId,
    /// What the request with the key asked for.
    pub requested: RunParameters,
}

/// Keys that are remembered, each under 500 bytes: ten for each hour of four days.
const JOINED_MAX: usize = 1_000;

/// The run IDs of keys, each with the run that the key joined. The newest last.
#[derive(Debug, Default)]
pub(crate) struct JoinedKeys(VecDeque<(RunId, JoinedRun)>);

impl JoinedKeys {
    /// Remembers which run the key joined.
    pub(crate) fn remember(&mut self, key: RunId, joined: JoinedRun) {
        self.0.retain(|(known, _)| *known != key);
        if self.0.len() == JOINED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((key, joined));
    }

    /// The run that the key joined.
    pub(crate) fn get(&self, key: &RunId) -> Option<&JoinedRun> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, joined)| joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_key(text: &str, accepted: bool) {
        assert_eq!(IdempotencyKey::parse(text).is_ok(), accepted, "key: {text:?}");
    }

    #[test]
    fn idempotency_keys() {
        check_key("a", true);
        check_key("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", true);
        check_key(&"~".repeat(255), true);
        check_key(&"~".repeat(256), false);
        check_key("", false);
        check_key("a b", false);
        check_key("a\n", false);
        check_key("é", false);
    }
}
