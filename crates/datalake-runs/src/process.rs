//! Runs as child processes: the same executable with the arguments of a Job. Several children may run at the same time.

mod child;
mod known_runs;
mod progress_lines;

use std::{
    ffi::OsString,
    fmt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use datalake_core::{
    clock::Clock,
    progress::{self, RunProgress},
    run::RunId,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    process::{Child, Command},
    sync::{self, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    idempotency::JoinedRun,
    launcher::{ACTIVE_RUNS_MAX, LaunchError, Launched, LogicalTime, NextRun, RunLauncher, RunRequest},
    process::{
        child::ChildOutput,
        known_runs::{ActiveRun, KnownRuns},
    },
    run::{Run, RunParameters, RunState},
    trace_context,
};

/// The child of an API request is spawned this long after the request, so that simultaneous requests share a run. A child starts to read at once,
/// so later requests cannot join it.
const GATHERING: Duration = Duration::from_millis(50);

/// The command line of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments: `process --lake URL …`. Each run adds its mode, and its ID in the environment.
    pub arguments: Vec<OsString>,
    /// The time between SIGTERM and SIGKILL.
    pub grace_period: Duration,
}

/// Writes whole lines of the log of a child, which are JSON, to the log of this process.
pub type WriteLog = fn(&[u8]);

/// The last scheduled time at or before the given time, if any.
pub type PreviousScheduled = Box<dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync>;

/// Starts runs as child processes. Cheap to clone; all clones share the runs.
#[derive(Clone)]
pub struct ProcessLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    command: RunCommand,
    new_run_id: fn() -> RunId,
    clock: Clock,
    /// Locked by the request that may start a run, so that the next request sees that run.
    launching: sync::Mutex<()>,
    runs: Mutex<KnownRuns>,
    next: Mutex<NextRun>,
    previous: OnceLock<PreviousScheduled>,
    write_log: OnceLock<WriteLog>,
    changes: watch::Sender<()>,
}

impl fmt::Debug for ProcessLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLauncher")
            .field("command", &self.shared.command)
            .finish_non_exhaustive()
    }
}

impl ProcessLauncher {
    /// Creates a launcher without runs. `new_run_id` generates the IDs of runs whose request has no key.
    pub fn new(command: RunCommand, new_run_id: fn() -> RunId, clock: Clock) -> Self {
        let shared = Shared {
            command,
            new_run_id,
            clock,
            launching: sync::Mutex::default(),
            runs: Mutex::default(),
            next: Mutex::default(),
            previous: OnceLock::new(),
            write_log: OnceLock::new(),
            changes: watch::Sender::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the result of [`RunLauncher::next_run`].
    pub fn set_next_run(&self, next: NextRun) {
        *self.shared.next.lock() = next;
        self.shared.changes.send_replace(());
    }

    /// Sets the function behind [`RunLauncher::previous_scheduled`]. Later calls have no effect.
    pub fn set_schedule(&self, previous: PreviousScheduled) {
        let _already_set = self.shared.previous.set(previous);
    }

    /// Sets the function that writes the logs of children, which otherwise go to standard error unchanged. Later calls have no effect.
    pub fn set_log_writer(&self, write_log: WriteLog) {
        let _already_set = self.shared.write_log.set(write_log);
    }

    /// Starts no more runs, stops the active ones, and returns when they have ended. Kills those that outlast the command's grace period.
    pub async fn shut_down(&self) {
        let mut changes = self.shared.changes.subscribe();
        self.shared.runs.lock().shut_down();
        while self.shared.runs.lock().has_active() {
            // This cannot fail: `self` owns the sender.
            let _ = changes.changed().await;
        }
    }

    fn spawn(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        let RunRequest {
            run_id,
            parameters,
            trigger,
            ..
        } = request;
        let mut runs = self.shared.runs.lock();
        if runs.is_shutting_down() {
            return Err(LaunchError::ShuttingDown);
        }
        if runs.active_count() >= ACTIVE_RUNS_MAX {
            return Err(LaunchError::TooManyRuns);
        }
        let run = Run {
            mode: Some(parameters.mode),
            parameters: Some(parameters.clone()),
            trigger: Some(trigger),
            started_at: Some(self.shared.clock.now()),
            ..Run::new(run_id.unwrap_or_else(self.shared.new_run_id), RunState::Running)
        };
        let spawned = LogicalTime::now();
        let child = self.shared.command.spawn(&run.run_id, &parameters)?;
        tracing::info!(run.id = %run.run_id, run.mode = parameters.mode.as_str(), process.id = child.id(), "process of the run started");
        let (stop, output) = (CancellationToken::new(), ChildOutput::default());
        runs.add(ActiveRun {
            run: run.clone(),
            parameters,
            spawned,
            stop: stop.clone(),
            output: output.clone(),
        });
        drop(runs);
        tokio::spawn(Arc::clone(&self.shared).observe(run.run_id.clone(), child, stop, output));
        self.shared.changes.send_replace(());
        Ok(Launched { run, started: true })
    }
}

#[async_trait]
impl RunLauncher for ProcessLauncher {
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        let _launching = self.shared.launching.lock().await;
        if let Some(run) = self.shared.runs.lock().join(&request)? {
            return Ok(Launched { run, started: false });
        }
        if request.trigger.needs_later_read() {
            tokio::time::sleep(GATHERING).await;
        }
        self.spawn(request)
    }

    fn joined(&self, key: &RunId) -> Option<JoinedRun> {
        self.shared.runs.lock().joined(key).cloned()
    }

    async fn runs(&self) -> Vec<Run> {
        self.shared.runs.lock().all()
    }

    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        self.shared.runs.lock().stop(run_id);
        Ok(())
    }

    fn progress(&self, run_id: &RunId) -> Option<watch::Receiver<Option<RunProgress>>> {
        self.shared.runs.lock().progress(run_id)
    }

    async fn next_run(&self) -> NextRun {
        *self.shared.next.lock()
    }

    async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.shared.previous.get().and_then(|previous| previous(at))
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }
}

impl Shared {
    /// Waits for the end of the child and records it.
    async fn observe(self: Arc<Self>, run_id: RunId, mut child: Child, stop: CancellationToken, output: ChildOutput) {
        let write_log = *self.write_log.get_or_init(|| child::write_to_stderr);
        let end = child::wait(&mut child, &stop, self.command.grace_period, &output, write_log).await;
        tracing::info!(run.id = %run_id, run.outcome = end.outcome.as_str(), process.status = end.status, "run ended");
        self.runs.lock().end(&run_id, |run| Run {
            state: RunState::Ended(end.outcome),
            ended_at: Some(self.clock.now()),
            error: end.error,
            log_tail: output.log.lines(),
            ..run
        });
        self.changes.send_replace(());
    }
}

impl RunCommand {
    fn spawn(&self, run_id: &RunId, parameters: &RunParameters) -> Result<Child, LaunchError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(parameters.arguments());
        // A trace context in this process's own environment is that of another trace.
        command
            .env_remove(trace_context::ENVIRONMENT_VARIABLE)
            .envs(trace_context::child_environment());
        // The report on standard output is also in the lake.
        command
            .env("DATALAKE_RUN_ID", run_id.as_str())
            .env(progress::VARIABLE, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // Ctrl-C signals a whole process group. A child in its own group receives only the SIGTERM of its launcher, not a second signal.
        command.stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        command.spawn().map_err(|error| LaunchError::Failed {
            reason: format!("cannot start the processor {}: {error}", self.program.display()),
            source: Some(error.into()),
        })
    }
}
