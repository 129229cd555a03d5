//! The header `Idempotency-Key`. A key that starts a run determines its ID; a launcher remembers which run a key joined.

use std::collections::VecDeque;

use datalake_core::run::RunId;
use sha2::{Digest, Sha256};

use crate::run::RunParameters;

/// The value of the header `Idempotency-Key`, which identifies one request of a client. Invariant: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

/// The text is not an [`IdempotencyKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key consists of 1 to 255 visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Parses the key. Quotes around it are part of it.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let is_valid = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| Self(text.into())).ok_or(IdempotencyKeyError)
    }

    /// The first 80 bits of the key's SHA-256 in hexadecimal digits: enough that no two keys of one lake collide.
    pub(crate) fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(10).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The key as the client sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A run that a request with an idempotency key joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRun {
    /// The ID of the joined run.
    pub run_id: RunId,
    /// The parameters of the request with the key.
    pub requested: RunParameters,
}

/// Keys that are remembered, each under 500 bytes: ten per hour for four days.
const JOINED_MAX: usize = 1_000;

/// The run IDs of keys, each with the run that the key joined, in ascending order of time.
#[derive(Debug, Default)]
pub(crate) struct JoinedKeys(VecDeque<(RunId, JoinedRun)>);

impl JoinedKeys {
    /// Records which run the key joined.
    pub(crate) fn insert(&mut self, key: RunId, joined: JoinedRun) {
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
    fn only_visible_ascii_keys_of_at_most_255_characters_are_accepted() {
        check_key("a", true);
        check_key("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", true);
        check_key(&"~".repeat(255), true);
        check_key(&"~".repeat(256), false);
        check_key("", false);
        check_key("a b", false);
        check_key("a\n", false);
        check_key("é", false);
    }

    #[test]
    fn oldest_joined_key_is_evicted_at_the_limit() {
        let id = |text: String| RunId::parse(&text).unwrap();
        let joined = |run_id: &str| JoinedRun {
            run_id: id(run_id.to_owned()),
            requested: RunParameters::default(),
        };
        let mut keys = JoinedKeys::default();
        for number in 0..=JOINED_MAX {
            keys.insert(id(format!("key-{number}")), joined("a"));
        }
        assert_eq!(keys.get(&id("key-0".to_owned())), None);
        assert_eq!(keys.get(&id("key-1".to_owned())), Some(&joined("a")));
        keys.insert(id("key-1".to_owned()), joined("b"));
        assert_eq!(keys.get(&id("key-1".to_owned())), Some(&joined("b")), "a key has one run");
        assert_eq!(keys.0.len(), JOINED_MAX);
    }
}
