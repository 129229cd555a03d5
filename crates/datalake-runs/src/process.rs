//! KnownRuns as child processes: the same executable with the arguments that a Job would get. Several children may run at once.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt,
    io::Write,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use datalake_core::report::{RunId, RunOutcome};
use jiff::Timestamp;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    sync::{self, watch},
};
use tokio_util::sync::CancellationToken;

use crate::trace_context;
use crate::{
    failure_message::last_words,
    idempotency::{JoinedKeys, JoinedRun},
    launcher::{ACTIVE_RUNS_MAX, LaunchError, Launched, LogicalTime, NextRun, RunLauncher, RunRequest},
    run::{Run, RunParameters, RunState},
};
use datalake_core::clock::Clock;

/// Ended runs that are remembered for the case that they left no report: a day of them at one each quarter of an hour.
const ENDED_RUNS_MAX: usize = 100;

/// Bytes of a child's last words: a chain of causes, and not a log.
const LAST_WORDS_BYTES_MAX: usize = 2_000;

/// Bytes of a child's log that are kept: some forty lines, of as many runs as are remembered under a megabyte.
const LOG_TAIL_BYTES_MAX: usize = 8_000;

/// A child that ended may have left its standard error open in a process of its own; nobody waits for that one.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// A posted run's child is spawned this long after its request, so that requests of the same moment share the run: a child begins to read at
/// once, and no later request may join it.
const GATHERING: Duration = Duration::from_millis(50);

/// How the executable is called for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments: `process --lake URL …`. The mode and the run's id are added for each run.
    pub arguments: Vec<OsString>,
    /// From the polite request to end to the end by force.
    pub grace_period: Duration,
}

/// Starts runs as children of this process. Cheap to clone.
#[derive(Clone)]
pub struct ProcessLauncher {
    shared: Arc<Shared>,
}

/// The last time, this one or before, that a schedule names.
pub type PreviousScheduled = Box<dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync>;

struct Shared {
    command: RunCommand,
    new_run_id: fn() -> RunId,
    clock: Clock,
    /// Held by the request that may start a run: the next one sees that run.
    turn: sync::Mutex<()>,
    runs: Mutex<KnownRuns>,
    next: Mutex<NextRun>,
    schedule: OnceLock<PreviousScheduled>,
    changes: watch::Sender<()>,
}

/// What is known of runs. Locked for moments only.
#[derive(Default)]
struct KnownRuns {
    /// The newest last.
    active: Vec<ActiveRun>,
    /// The newest last.
    ended: VecDeque<Run>,
    joined: JoinedKeys,
    shutting_down: bool,
}

struct ActiveRun {
    run: Run,
    parameters: RunParameters,
    /// Before the child was spawned: it reads later than every request that arrived before.
    spawned: LogicalTime,
    stop: CancellationToken,
    said: Said,
}

/// The end of what a child has written so far.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl fmt::Debug for ProcessLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLauncher")
            .field("command", &self.shared.command)
            .finish_non_exhaustive()
    }
}

impl ProcessLauncher {
    /// Nothing is started before the first launch. `new_run_id` names the runs that nobody else names.
    pub fn new(command: RunCommand, new_run_id: fn() -> RunId, clock: Clock) -> Self {
        let shared = Shared {
            command,
            new_run_id,
            clock,
            turn: sync::Mutex::default(),
            runs: Mutex::default(),
            next: Mutex::default(),
            schedule: OnceLock::new(),
            changes: watch::Sender::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Tells those who ask when the next run is due. Whoever starts runs on a schedule knows.
    pub fn set_next_run(&self, next: NextRun) {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
        self.shared.changes.send_replace(());
    }

    /// Tells those who ask which runs were due. The first one counts.
    pub fn set_schedule(&self, previous_scheduled: PreviousScheduled) {
        let _set_before = self.shared.schedule.set(previous_scheduled);
    }

    /// Starts no more runs, asks the active ones to end, and returns when they have: by force once the command's grace is over.
    pub async fn shut_down(&self) {
        let mut changes = self.shared.changes.subscribe();
        {
            let mut runs = self.shared.runs();
            runs.shutting_down = true;
            for active in &runs.active {
                active.stop.cancel();
            }
        }
        while !self.shared.runs().active.is_empty() {
            // The sender lives in `self`, so this cannot fail.
            let _ = changes.changed().await;
        }
    }
}

#[async_trait]
impl RunLauncher for ProcessLauncher {
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        let _turn = self.shared.turn.lock().await;
        if let Some(run) = self.shared.runs().answer(&request)? {
            return Ok(Launched { run, started: false });
        }
        if request.trigger.needs_later_read() {
            tokio::time::sleep(GATHERING).await;
        }
        self.spawn(request)
    }

    fn joined(&self, key: &RunId) -> Option<JoinedRun> {
        self.shared.runs().joined.get(key).cloned()
    }

    async fn runs(&self) -> Vec<Run> {
        let runs = self.shared.runs();
        let active = runs.active.iter().map(|active| Run {
            log_tail: active.said.log_tail(),
            ..active.run.clone()
        });
        active.chain(runs.ended.iter().cloned()).collect()
    }

    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        let runs = self.shared.runs();
        if let Some(active) = runs.active.iter().find(|active| active.run.run_id == *run_id) {
            active.stop.cancel();
        }
        Ok(())
    }

    async fn next_run(&self) -> NextRun {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.shared.schedule.get().and_then(|previous_scheduled| previous_scheduled(at))
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }
}

impl ProcessLauncher {
    fn spawn(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        let RunRequest {
            run_id,
            parameters,
            trigger,
            ..
        } = request;
        let mut runs = self.shared.runs();
        if runs.shutting_down {
            return Err(LaunchError::ShuttingDown);
        }
        if runs.active.len() >= ACTIVE_RUNS_MAX {
            return Err(LaunchError::TooManyRuns);
        }
        let run = Run {
            run_id: run_id.unwrap_or_else(self.shared.new_run_id),
            state: RunState::Running,
            mode: Some(parameters.mode),
            parameters: Some(parameters.clone()),
            trigger: Some(trigger),
            started_at: Some(self.shared.clock.now()),
            ended_at: None,
            error: None,
            log_tail: None,
            report: None,
        };
        let spawned = LogicalTime::now();
        let child = self.shared.command.spawn(&run.run_id, &parameters)?;
        tracing::info!(run.id = %run.run_id, run.mode = parameters.mode.as_str(), process.id = child.id(), "run started as a child process");
        let (stop, said) = (CancellationToken::new(), Said::default());
        runs.active.push(ActiveRun {
            run: run.clone(),
            parameters,
            spawned,
            stop: stop.clone(),
            said: said.clone(),
        });
        drop(runs);
        tokio::spawn(Arc::clone(&self.shared).attend(run.run_id.clone(), child, stop, said));
        self.shared.changes.send_replace(());
        Ok(Launched { run, started: true })
    }
}

impl KnownRuns {
    /// The run that answers a request without a new one.
    fn answer(&mut self, request: &RunRequest) -> Result<Option<Run>, LaunchError> {
        if let Some(key) = &request.run_id
            && let Some((run, is_same)) = self.of_key(key, &request.parameters)
        {
            let run_id = run.run_id.clone();
            return is_same.then_some(Some(run)).ok_or(LaunchError::KeyReused { run_id });
        }
        let answers = |active: &&ActiveRun| {
            let reads_later = request.arrived < active.spawned || !request.trigger.needs_later_read();
            reads_later && !active.stop.is_cancelled() && active.parameters.cover(&request.parameters)
        };
        let joined = self.active.iter().rev().find(answers).map(|active| active.run.clone());
        if let (Some(key), Some(run)) = (&request.run_id, &joined) {
            let joined = JoinedRun {
                run_id: run.run_id.clone(),
                requested: request.parameters.clone(),
            };
            self.joined.remember(key.clone(), joined);
        }
        Ok(joined)
    }

    /// The run that the key started or joined, and whether that was for the same parameters.
    fn of_key(&self, key: &RunId, requested: &RunParameters) -> Option<(Run, bool)> {
        if let Some(run) = self.get(key) {
            return Some((run.clone(), !run.differs_from(requested)));
        }
        let joined = self.joined.get(key)?;
        let run = self.get(&joined.run_id)?;
        Some((run.clone(), joined.requested == *requested))
    }

    fn get(&self, run_id: &RunId) -> Option<&Run> {
        let active = self.active.iter().map(|active| &active.run);
        active.chain(&self.ended).find(|run| run.run_id == *run_id)
    }
}

impl RunCommand {
    fn spawn(&self, run_id: &RunId, parameters: &RunParameters) -> Result<Child, LaunchError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(parameters.arguments());
        // That of this process, if it has one, is about something else.
        command
            .env_remove(trace_context::ENVIRONMENT_VARIABLE)
            .envs(trace_context::child_environment());
        // Its standard output is the report, which is read from the lake.
        command
            .env("DATALAKE_RUN_ID", run_id.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // Ctrl-C reaches a whole process group: in its own one, the child ends when it is asked to, and not twice.
        command.stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        command.spawn().map_err(|error| LaunchError::Failed {
            reason: format!("the processor {} cannot be started: {error}", self.program.display()),
            source: Some(error.into()),
        })
    }
}

impl Shared {
    /// What the lock guards is replaced in single steps, so a panic elsewhere leaves it whole.
    fn runs(&self) -> MutexGuard<'_, KnownRuns> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the child's end and writes it down.
    async fn attend(self: Arc<Self>, run_id: RunId, mut child: Child, stop: CancellationToken, said: Said) {
        let reading = child.stderr.take().map(|stderr| tokio::spawn(pass_on(stderr, said.clone())));
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = stop.cancelled() => end(&mut child, self.command.grace_period).await,
        };
        if let Some(mut reading) = reading {
            // What was heard by then counts.
            let _ = tokio::time::timeout(LAST_WORDS_WAIT, &mut reading).await;
            reading.abort();
        }
        let (outcome, ending) = match ended {
            Ok(status) => (outcome(status, stop.is_cancelled()), status.to_string()),
            Err(error) => (RunOutcome::Failed, format!("it cannot be waited for: {error}")),
        };
        let mut runs = self.runs();
        if let Some(index) = runs.active.iter().position(|active| active.run.run_id == run_id) {
            let ActiveRun { mut run, .. } = runs.active.remove(index);
            tracing::info!(run.id = %run.run_id, run.outcome = outcome.as_str(), ending, "a run's child process ended");
            run.state = RunState::Ended(outcome);
            run.ended_at = Some(self.clock.now());
            run.error = (outcome != RunOutcome::Succeeded).then(|| in_words(&ending, &said.last_words()));
            run.log_tail = said.log_tail();
            runs.ended.push_back(run);
            if runs.ended.len() > ENDED_RUNS_MAX {
                runs.ended.pop_front();
            }
        }
        drop(runs);
        self.changes.send_replace(());
    }
}

/// The outcome that an exit status stands for.
fn outcome(status: ExitStatus, was_asked_to_stop: bool) -> RunOutcome {
    let by_status = |outcome: &RunOutcome| status.code() == Some(i32::from(outcome.exit_status()));
    let known = [RunOutcome::Succeeded, RunOutcome::Misconfigured, RunOutcome::Refused]
        .into_iter()
        .find(by_status);
    match known {
        Some(outcome) => outcome,
        None if was_asked_to_stop => RunOutcome::Stopped,
        None => RunOutcome::Failed,
    }
}

fn in_words(ending: &str, last_words: &str) -> String {
    match last_words {
        "" => format!("the process ended with {ending} and said nothing"),
        _ => format!("the process ended with {ending} and said last: {last_words}"),
    }
}

/// Asks the child to end; forces it once `grace` is over.
async fn end(child: &mut Child, grace: Duration) -> std::io::Result<ExitStatus> {
    // The child has not been waited for, so its number is still its own.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // A failure means that it ended just now: waiting tells.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(ended) = tokio::time::timeout(grace, child.wait()).await {
        return ended;
    }
    child.start_kill()?;
    child.wait().await
}

/// Passes the child's standard error on to this process's own, and keeps the end of it.
async fn pass_on(mut stderr: ChildStderr, said: Said) {
    let mut buffer = vec![0; 4_096];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default();
        // Whoever closed our standard error does not want to hear it; the run goes on.
        let _ = std::io::stderr().write_all(bytes);
        said.hear(bytes);
    }
}

impl Said {
    /// What the lock guards is whole after each step.
    fn tail(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, bytes: &[u8]) {
        let mut tail = self.tail();
        tail.extend_from_slice(bytes);
        let surplus = tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        tail.drain(..surplus);
    }

    fn last_words(&self) -> String {
        let tail = self.tail();
        let last = tail.len().saturating_sub(LAST_WORDS_BYTES_MAX)..;
        last_words(&String::from_utf8_lossy(tail.get(last).unwrap_or_default()))
    }

    /// Whole lines; none where nothing was said.
    fn log_tail(&self) -> Option<Arc<str>> {
        let tail = self.tail();
        let text = String::from_utf8_lossy(&tail);
        let is_cut = tail.len() == LOG_TAIL_BYTES_MAX;
        let whole = text.split_once('\n').filter(|_| is_cut).map_or(&*text, |(_, whole)| whole);
        (!whole.trim().is_empty()).then(|| whole.into())
    }
}
