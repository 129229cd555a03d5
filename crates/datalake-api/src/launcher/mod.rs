//! How runs are started: the one way from the reader to the processor, which it never links.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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
    /// Returns the run that the request's key named or joined, else an active run that answers the request, else a new one.
    ///
    /// A [`Trigger::Posted`] request is answered only by a run that provably begins to read after the request arrived; other triggers are
    /// answered by any active run with sufficient parameters.
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError>;

    /// The ID of the run that a request with the key starts, on every replica and after every restart.
    fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        RunId::parse(&format!("run-{}", key.digest())).expect("made of letters, digits and a hyphen")
    }

    /// The run that the key of this run ID joined, as far as this process remembers without a request.
    fn joined(&self, _key: &RunId) -> Option<JoinedRun> {
        None
    }

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

/// Active runs that a launcher allows: parallel runs are safe, but each reads the sources and holds memory.
pub const ACTIVE_RUNS_MAX: usize = 3;

/// What a run does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunParameters {
    /// Which sources the run reads.
    pub mode: RunMode,
    /// The blocked run whose reported deletions are permitted.
    pub allow_mass_delete_of: Option<RunId>,
}

impl RunParameters {
    /// Whether a run with these parameters does all that `requested` asks for: a full run does what an incremental one does, and deletions are
    /// permitted as requested.
    pub fn cover(&self, requested: &Self) -> bool {
        let reads_enough = self.mode == RunMode::Full || requested.mode == RunMode::Incremental;
        let permits_enough = requested.allow_mass_delete_of.is_none() || requested.allow_mass_delete_of == self.allow_mass_delete_of;
        reads_enough && permits_enough
    }

    /// The arguments that the processor's command line gets for them.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let mut arguments = Vec::new();
        if self.mode == RunMode::Full {
            arguments.push(FULL);
        }
        if let Some(run_id) = &self.allow_mass_delete_of {
            arguments.extend([ALLOW_MASS_DELETE_OF, run_id.as_str()]);
        }
        arguments
    }
}

/// The processor's flag for a run that reads every source.
pub(crate) const FULL: &str = "--full";

/// The processor's flag, followed by a run ID, that permits the deletions that a blocked run reported.
pub(crate) const ALLOW_MASS_DELETE_OF: &str = "--allow-mass-delete-of";

/// A position in the order of arrivals of requests and starts of runs in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionSelector(u64);

impl VersionSelector {
    /// A moment after every earlier one. A counter, since two readings of a clock may be equal.
    pub fn now() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::SeqCst))
    }
}

/// The request for a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The name that an idempotency key gives the run, see [`RunLauncher::run_id_of`]; generated by the launcher if there is no key.
    pub run_id: Option<RunId>,
    /// What the run is to do.
    pub parameters: RunParameters,
    /// What requests the run.
    pub trigger: Trigger,
    /// When the request arrived: the run reflects everything that was stored before.
    pub arrived: VersionSelector,
}

impl RunRequest {
    /// A request that arrives now.
    pub fn new(run_id: Option<RunId>, parameters: RunParameters, trigger: Trigger) -> Self {
        Self {
            run_id,
            parameters,
            trigger,
            arrived: VersionSelector::now(),
        }
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
    /// Whether a run that has begun to read before the request does not answer it: only a client expects to find what it has just stored.
    pub(crate) fn needs_later_read(self) -> bool {
        self == Self::Posted
    }

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
    fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(10).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer to a request for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The run that does what was requested.
    pub run: Run,
    /// Whether the request started it; false if it joined the run, or repeated a key.
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
    /// [`ACTIVE_RUNS_MAX`] runs are active, and none of them answers the request.
    #[error("{ACTIVE_RUNS_MAX} runs are active, and none of them begins to read after this request; retry when one of them has ended")]
    TooManyRuns,
    /// The idempotency key named or joined a run for other parameters.
    #[error("this Idempotency-Key was sent before with another body, for the run {run_id}; send the same body, or use another key")]
    KeyReused {
        /// The run of the first request with the key.
        run_id: RunId,
    },
    /// There are no blocked deletions of this run that could be permitted.
    #[error("allow_mass_delete_of is {run_id}: {reason}")]
    NothingBlocked {
        /// The run that the request names.
        run_id: RunId,
        /// Why, and what to do.
        reason: &'static str,
        /// Whether the run may still be blocked.
        is_active: bool,
    },
    /// The store cannot be read now, so that it is not known what the request refers to.
    #[error("the store does not answer, so it is not known whether {what}; retry")]
    StoreUnavailable {
        /// What has to be known first.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else is in progress; a little later it is not.
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
    /// What it was started with, by its Job or its process; none if only its report is known.
    pub parameters: Option<RunParameters>,
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

impl Run {
    /// Whether the run is known to have been started with other parameters.
    pub(crate) fn differs_from(&self, requested: &RunParameters) -> bool {
        match &self.parameters {
            Some(parameters) => parameters != requested,
            None => self.mode.is_some_and(|mode| mode != requested.mode),
        }
    }
}

impl From<Arc<RunReport>> for Run {
    fn from(report: Arc<RunReport>) -> Self {
        Self {
            run_id: report.run_id.clone(),
            state: RunState::Ended(report.outcome),
            mode: Some(report.mode),
            parameters: Some(RunParameters {
                mode: report.mode,
                allow_mass_delete_of: report.allow_mass_delete_of.clone(),
            }),
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
    fn check_cover(run: &RunParameters, requested: &RunParameters, expected: bool) {
        assert_eq!(run.cover(requested), expected, "run: {run:?}, requested: {requested:?}");
    }

    #[test]
    fn runs_cover_requests_of_their_mode_and_deletions() {
        let parameters = |mode, run_id: Option<&str>| RunParameters {
            mode,
            allow_mass_delete_of: run_id.map(|run_id| RunId::parse(run_id).unwrap()),
        };
        let (incremental, full) = (
            |run_id| parameters(RunMode::Incremental, run_id),
            |run_id| parameters(RunMode::Full, run_id),
        );
        check_cover(&incremental(None), &incremental(None), true);
        check_cover(&full(None), &incremental(None), true);
        check_cover(&full(None), &full(None), true);
        check_cover(&incremental(None), &full(None), false);
        check_cover(&incremental(Some("a")), &incremental(None), true);
        check_cover(&full(Some("a")), &incremental(Some("a")), true);
        check_cover(&incremental(Some("a")), &incremental(Some("b")), false);
        check_cover(&full(None), &incremental(Some("a")), false);
        check_cover(&incremental(Some("a")), &full(Some("a")), false);
    }

    #[test]
    fn moments_are_ordered_and_never_equal() {
        let moments = [VersionSelector::now(), VersionSelector::now(), VersionSelector::now()];
        assert!(moments.windows(2).all(|pair| pair[0] < pair[1]), "{moments:?}");
    }

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
