//! Runs of the executable: started, paused, continued and killed.

use std::{
    fmt, fs,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::lake::Lake;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// The limit of every wait. A machine that is busy with other tests is slow.
pub(super) const TIMEOUT: Duration = Duration::from_mins(2);

/// The time between two checks of a condition.
pub(super) const POLL: Duration = Duration::from_millis(1);

/// The output and the exit status of a run.
#[derive(Clone)]
pub(super) struct Ended {
    /// The exit status; none after a signal.
    pub(super) status: Option<i32>,
    /// The report, unless the run was killed before it.
    pub(super) report: Value,
    /// The log.
    pub(super) log: String,
}

/// For failed assertions: without the counts and the beginning of the log.
impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Ended");
        shown.field("status", &self.status);
        for name in ["run_id", "outcome", "committed", "version", "error", "notices"] {
            shown.field(name, &format_args!("{}", self.report[name]));
        }
        let last = self.log.lines().rev().take(3).collect::<Vec<_>>();
        shown.field("log", &last).finish_non_exhaustive()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A run that has started.
pub(super) struct Run {
    child: Child,
}

impl Run {
    /// Starts a run with further arguments. `endpoint` is the address of a proxy.
    pub(super) fn start(lake: &Lake, arguments: &[&str], endpoint: Option<&str>) -> Self {
        let mut command = lake.command("process", endpoint);
        command.args(["--output", "json"]).args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts a command whose output is read at the end.
    pub(super) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a separate thread, because a tracer waits for the events of all children of its thread, and would consume the exit status of this one.
        let child = thread::scope(|scope| scope.spawn(|| command.spawn()).join().unwrap());
        Self { child: child.unwrap() }
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Kills the run.
    pub(super) fn kill(&self) {
        kill(self.pid(), Signal::SIGKILL).unwrap();
    }

    /// Stops the run until it is continued, and returns when all of its threads have stopped.
    pub(super) fn pause(&mut self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        wait_until("the run stops", || threads_are_in(self.pid(), &['T', 't']) || self.has_ended());
    }

    /// Continues a run that was stopped.
    pub(super) fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub(super) fn end(self) -> Ended {
        self.child.wait_with_output().unwrap().into()
    }
}

/// A run from start to end.
pub(super) fn run(lake: &Lake, arguments: &[&str]) -> Ended {
    Run::start(lake, arguments, None).end()
}

/// Polls until a condition holds.
#[track_caller]
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = now();
    while !holds() {
        assert!(start.elapsed() < TIMEOUT, "{what}: not within {} s", TIMEOUT.as_secs());
        thread::sleep(POLL);
    }
}

/// Whether all threads of a process are in one of these states, or have ended.
pub(super) fn threads_are_in(pid: Pid, states: &[char]) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name of the command comes before the state and may contain spaces.
        let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.trim_start().chars().next());
        state.is_none_or(|state| matches!(state, 'X' | 'Z') || states.contains(&state))
    })
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "no test here pauses the time of tokio")]
pub(super) fn now() -> Instant {
    Instant::now()
}
