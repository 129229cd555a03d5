//! How runs are started: the one way from the reader to the processor, which it never links.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datalake_core::report::{RunId, RunMode, RunOutcome, RunReport};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

mod joined;
pub mod kubernetes;
mod last_words;
pub mod none;
pub mod process;

/// Starts runs and knows those that are active. What a run found and did is in its report, which is not the launcher's.
#[async_trait]
pub trait RunLauncher: fmt::Debug + Send + Sync {
    /// Starts a run, or gives the one that is active, or the one that the request's id names. Never two at once.
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError>;

    /// The id of every run that is asked for with the key, on every replica and after every restart.
    fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        RunId::parse(&format!("run-{}", key.digest())).expect("made of letters, digits and a hyphen")
    }

    /// The run that answered the wish for `wished`: another one where the wish joined it, as far as this server remembers.
    fn answer_to(&self, wished: &RunId) -> RunId;

    /// The runs that the launcher knows: the active ones, and ended ones for as long as it remembers them. In no order.
    async fn runs(&self) -> Vec<Run>;

    /// The run of that id; one that the launcher does not know of yet is looked for.
    async fn find(&self, run_id: &RunId) -> Option<Run> {
        self.runs().await.into_iter().find(|run| run.run_id == *run_id)
    }

    /// Asks an active run to end. One that is not active is left as it is.
    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError>;

    /// Whether it starts runs at all.
    fn starts_runs(&self) -> bool {
        true
    }

    /// When the next run begins by itself.
    async fn next_run(&self) -> NextRun {
        NextRun::Unknown
    }

    /// The last time, `at` or before, at which a run was due by itself; none where no schedule is known.
    async fn last_due(&self, _at: Timestamp) -> Option<Timestamp> {
        None
    }

    /// Changes whenever a run begins or ends.
    fn changes(&self) -> watch::Receiver<()>;
}

/// When the next run begins that nobody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextRun {
    /// Whatever starts runs does not tell this server.
    #[default]
    Unknown,
    /// No run begins by itself any more.
    Never,
    /// Then, unless one is under way.
    At(Timestamp),
}

/// The wish for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRequest {
    /// The run's name, that of [`RunLauncher::run_id_of`] for one; made by the launcher where none is given.
    pub run_id: Option<RunId>,
    /// Which sources the run reads.
    pub mode: RunMode,
    /// Who wishes.
    pub trigger: Trigger,
}

/// What made a run begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// A request to the API.
    #[default]
    Posted,
    /// A schedule.
    Schedule,
    /// The server itself, as there was no table yet.
    FirstRun,
    /// Somebody with kubectl.
    Kubectl,
}

impl Trigger {
    /// The word that stands for the trigger in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Schedule => "schedule",
            Self::FirstRun => "first_run",
            Self::Kubectl => "kubectl",
        }
    }
}

/// The value of the header `Idempotency-Key`: a client's name for one wish. Invariant: 1 to 255 visible ASCII characters.
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
    fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(10).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer to a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The run that does what was wished.
    pub run: Run,
    /// False where it was there before.
    pub started: bool,
}

/// Why no run was started. One variant a reaction.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// This server starts no runs.
    #[error("this server starts no runs")]
    NotOffered,
    /// The server is about to end.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Something else is under way; a little later it is not.
    #[error("{reason}")]
    Busy {
        /// What is waited for.
        reason: String,
    },
    /// It was tried in vain.
    #[error("{reason}")]
    Failed {
        /// What was tried, why it failed and what to do.
        reason: String,
        /// The cause.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Where a run stands. Computed from what exists, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Asked for, and not begun.
    Pending,
    /// Under way.
    Running,
    /// Ended.
    Ended(RunOutcome),
}

impl RunState {
    /// Whether the run has still to end.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// How the run ended; none while it has still to.
    pub fn outcome(self) -> Option<RunOutcome> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Ended(outcome) => Some(outcome),
        }
    }

    /// The word that stands for the state in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

/// What is known of a run, by its launcher or by its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run.
    pub run_id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// Which sources it reads; none where nobody recorded it.
    pub mode: Option<RunMode>,
    /// What made it begin; none where nobody recorded it.
    pub trigger: Option<Trigger>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The end of what its process wrote, in whole lines; none where the launcher did not hear it.
    pub log_tail: Option<Arc<str>>,
    /// What it found and did, once that is known: a launcher does not know it.
    pub report: Option<Arc<RunReport>>,
}

impl From<Arc<RunReport>> for Run {
    fn from(report: Arc<RunReport>) -> Self {
        Self {
            run_id: report.run_id.clone(),
            state: RunState::Ended(report.outcome),
            mode: Some(report.mode),
            trigger: None,
            started_at: Some(report.started_at),
            ended_at: Some(report.ended_at),
            error: report.error.clone(),
            log_tail: None,
            report: Some(report),
        }
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
