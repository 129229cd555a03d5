//! The log and the end of a child process.

use std::{io::Write, process::ExitStatus, sync::Arc, time::Duration};

use datalake_core::{progress::RunProgress, run::RunOutcome};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{WriteLog, progress_lines::ProgressLines};
use crate::failure_message::failure_message;

/// The number of bytes at the end of a child's log that are searched for the error. It fits a chain of causes.
const ERROR_BYTES_MAX: usize = 2_000;

/// Bytes of a child's log that are kept: about forty lines, and under a megabyte for all runs that are remembered.
const LOG_TAIL_BYTES_MAX: usize = 8_000;

/// A line of the log that is longer is written in parts.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A process that the child started may keep its standard error open after the child's end. The launcher
/// waits for the rest of the log for at most this time.
const LOG_END_WAIT_MAX: Duration = Duration::from_secs(1);

/// The end of a child process.
pub(super) struct ChildEnd {
    pub(super) outcome: RunOutcome,
    /// The exit status or the signal.
    pub(super) status: String,
    /// The message of a run that did not succeed.
    pub(super) error: Option<String>,
}

/// The end of a child's log so far. All clones share it.
#[derive(Clone, Default)]
pub(super) struct LogTail(Arc<Mutex<Vec<u8>>>);

/// What a child writes to its standard error: its log, and its progress.
#[derive(Clone, Default)]
pub(super) struct ChildOutput {
    pub(super) log: LogTail,
    /// Closed when the child has ended.
    pub(super) progress: watch::Sender<Option<RunProgress>>,
}

/// Waits for the end of the child, and collects its log. When `stop` is cancelled, the child gets SIGTERM, and SIGKILL after the grace period.
pub(super) async fn wait(
    child: &mut Child,
    stop: &CancellationToken,
    grace_period: Duration,
    output: &ChildOutput,
    write_log: WriteLog,
) -> ChildEnd {
    let copying = child
        .stderr
        .take()
        .map(|stderr| tokio::spawn(copy_log(stderr, output.clone(), write_log)));
    let ended = tokio::select! {
        ended = child.wait() => ended,
        () = stop.cancelled() => terminate(child, grace_period).await,
    };
    if let Some(mut copying) = copying {
        // After a timeout, the log so far is used.
        let _ = tokio::time::timeout(LOG_END_WAIT_MAX, &mut copying).await;
        copying.abort();
    }
    let (outcome, status) = match ended {
        Ok(status) => (outcome(status, stop.is_cancelled()), status.to_string()),
        Err(error) => (RunOutcome::Failed, format!("an unknown status ({error})")),
    };
    let error = (outcome != RunOutcome::Succeeded).then(|| exit_message(&status, &output.log.failure_message()));
    ChildEnd { outcome, status, error }
}

/// The outcome of a run from the exit status of its process.
fn outcome(status: ExitStatus, was_stopped: bool) -> RunOutcome {
    let has_status = |outcome: &RunOutcome| status.code() == Some(i32::from(outcome.exit_status()));
    let known = [RunOutcome::Succeeded, RunOutcome::Misconfigured, RunOutcome::Blocked]
        .into_iter()
        .find(has_status);
    match known {
        Some(outcome) => outcome,
        None if was_stopped => RunOutcome::Stopped,
        None => RunOutcome::Failed,
    }
}

fn exit_message(status: &str, message: &str) -> String {
    let end = match status.strip_prefix("exit status: ") {
        Some(status) => format!("process exited with status {status}"),
        None => format!("process ended with {}", status.replacen(": ", " ", 1)),
    };
    match message {
        "" => format!("{end} and no output"),
        _ => format!("{end}: {message}"),
    }
}

async fn terminate(child: &mut Child, grace_period: Duration) -> std::io::Result<ExitStatus> {
    // No other process has this ID, since the child has not been waited for.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // A failure means that the child has just ended.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(ended) = tokio::time::timeout(grace_period, child.wait()).await {
        return ended;
    }
    child.start_kill()?;
    child.wait().await
}

/// Copies the child's log to the log of this process by whole lines, and keeps the end of it and the last progress.
async fn copy_log(mut stderr: ChildStderr, output: ChildOutput, write_log: WriteLog) {
    let mut buffer = vec![0; 4_096];
    let (mut line, mut lines) = (Vec::new(), ProgressLines::default());
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let (log, progress) = lines.split(buffer.get(..length).unwrap_or_default());
        if progress.is_some() {
            output.progress.send_replace(progress);
        }
        output.log.push(&log);
        line.extend_from_slice(&log);
        let end = line.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let complete = end.or((line.len() > LINE_BYTES_MAX).then_some(line.len()));
        if let Some(complete) = complete {
            write_log(line.drain(..complete).as_slice());
        }
    }
    let rest = lines.into_rest();
    output.log.push(&rest);
    line.extend(rest);
    if !line.is_empty() {
        write_log(&line);
    }
}

/// The log of this process if no other is set.
pub(super) fn write_to_stderr(lines: &[u8]) {
    // If standard error is closed, the run continues without.
    let _may_be_closed = std::io::stderr().write_all(lines);
}

impl LogTail {
    /// The last whole lines; none if nothing was logged.
    pub(super) fn lines(&self) -> Option<Arc<str>> {
        let tail = self.0.lock();
        let text = String::from_utf8_lossy(&tail);
        let is_cut = tail.len() == LOG_TAIL_BYTES_MAX;
        let whole = text.split_once('\n').filter(|_| is_cut).map_or(&*text, |(_, whole)| whole);
        (!whole.trim().is_empty()).then(|| whole.into())
    }

    fn failure_message(&self) -> String {
        let tail = self.0.lock();
        let end = tail.len().saturating_sub(ERROR_BYTES_MAX)..;
        failure_message(&String::from_utf8_lossy(tail.get(end).unwrap_or_default()))
    }

    fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock();
        tail.extend_from_slice(bytes);
        let surplus = tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_message_has_status_and_error() {
        assert_eq!(
            exit_message("exit status: 1", "no bucket"),
            "process exited with status 1: no bucket"
        );
        assert_eq!(
            exit_message("signal: 9 (SIGKILL)", ""),
            "process ended with signal 9 (SIGKILL) and no output"
        );
    }

    #[test]
    fn log_tail_has_the_last_whole_lines() {
        let log = LogTail::default();
        assert_eq!(log.lines(), None);
        log.push(b"one\ntwo\n");
        assert_eq!(log.lines().as_deref(), Some("one\ntwo\n"));
        log.push(&[b'x'; LOG_TAIL_BYTES_MAX - 5]);
        log.push(b"\nlast\n");
        assert_eq!(log.lines().as_deref(), Some("last\n"), "the line that is cut is left out");
        assert_eq!(log.0.lock().len(), LOG_TAIL_BYTES_MAX);
    }
}
