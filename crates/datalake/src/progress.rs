//! The progress of a command: a bar on a terminal, log lines otherwise.

use std::{
    fmt::Write,
    sync::{Arc, LazyLock},
    time::Duration,
};

use datalake_core::count::count;
use datalake_processor::options::{OnProgress, Progress};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::run_progress;

/// The time to the first log line, and between changes of the phase that are logged.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(1);

/// The time between two log lines of a phase: a run of an hour writes about 700.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// A bar moves at least this often, so that a command that waits for the store is seen to wait.
const TICK: Duration = Duration::from_millis(100);

/// The time after which the rate of a phase is known well enough for an estimate.
const ESTIMATE_AFTER: Duration = Duration::from_secs(2);

/// The bars on standard error. Log lines are written above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes to standard error without overwriting a bar.
pub(crate) fn above_bars<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

/// A progress bar on a terminal, hidden otherwise.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar without a known end, which shows the elapsed time from the start on.
    pub(crate) fn waiting(message: &str) -> Self {
        if !crate::logging::is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = BARS.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {msg} ({elapsed})"));
        bar.set_message(message.to_owned());
        bar.tick();
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// Shows another message.
    pub(crate) fn set_message(&self, message: &str) {
        self.bar.set_message(message.to_owned());
    }

    /// A listener for a run on this lake that starts now.
    pub(crate) fn listener(&self, lake: &str) -> Arc<OnProgress> {
        if let Some(listener) = run_progress::listener() {
            return listener;
        }
        if self.bar.is_hidden() {
            let lines = LogLines::new();
            return Arc::new(move |progress| lines.show(progress));
        }
        let (bar, lake, phase) = (self.bar.clone(), lake.to_owned(), Mutex::new(None));
        Arc::new(move |progress| show(&bar, &lake, &phase, progress))
    }

    /// A listener for uploads.
    pub(crate) fn upload_listener(&self) -> impl Fn(u64, u64) + Send + Sync + use<> {
        let (bar, lines) = (self.bar.clone(), LogLines::new());
        let is_counting = Mutex::new(false);
        move |sources: u64, total: u64| {
            if bar.is_hidden() {
                if lines.is_due("uploading") {
                    tracing::info!(sources, total, "uploading sources");
                }
                return;
            }
            if !std::mem::replace(&mut *is_counting.lock(), true) {
                bar.set_style(counting(
                    "{spinner} uploading sources [{bar:30}] {human_pos}/{human_len}{left} ({elapsed})",
                ));
                bar.set_length(total);
                bar.reset_eta();
            }
            bar.set_position(sources);
        }
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
        BARS.remove(&self.bar);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The phase of a run: its number of [`PHASES`], and its name.
fn phase_of(progress: Progress) -> (u8, &'static str) {
    match progress {
        Progress::Connecting => (1, "connecting"),
        Progress::Listed { .. } => (2, "listing sources"),
        Progress::Read { .. } => (3, "reading sources"),
        Progress::Copied { .. } => (4, "copying images"),
        Progress::Committing => (5, "committing"),
        Progress::Publishing => (6, "publishing"),
    }
}

/// The number of phases of a run.
const PHASES: u8 = 6;

/// Log lines at most once per period.
struct LogLines {
    state: Mutex<LogState>,
}

struct LogState {
    last: Instant,
    phase: Option<&'static str>,
    has_logged: bool,
}

impl LogLines {
    fn new() -> Self {
        Self {
            state: Mutex::new(LogState {
                last: Instant::now(),
                phase: None,
                has_logged: false,
            }),
        }
    }

    fn show(&self, progress: Progress) {
        let (number, phase) = phase_of(progress);
        if !self.is_due(phase) {
            return;
        }
        let step = format!("{number}/{PHASES}");
        match progress {
            Progress::Listed { objects } => tracing::info!(step, objects, "{phase}"),
            Progress::Read { users, total } | Progress::Copied { users, total } => tracing::info!(step, users, total, "{phase}"),
            Progress::Connecting | Progress::Committing | Progress::Publishing => tracing::info!(step, "{phase}"),
        }
    }

    /// Whether to log a line now: a second after the start, then in each period and at each change of the phase, at most once per second.
    fn is_due(&self, phase: &'static str) -> bool {
        let mut state = self.state.lock();
        let period = match state.has_logged && state.phase == Some(phase) {
            true => LINE_PERIOD,
            false => FIRST_LINE_AFTER,
        };
        if state.last.elapsed() < period {
            return false;
        }
        *state = LogState {
            last: Instant::now(),
            phase: Some(phase),
            has_logged: true,
        };
        true
    }
}

fn show(bar: &ProgressBar, lake: &str, shown: &Mutex<Option<u8>>, progress: Progress) {
    let (number, phase) = phase_of(progress);
    let is_new = shown.lock().replace(number) != Some(number);
    if is_new {
        let template = match progress {
            Progress::Connecting => "{spinner} {prefix} {msg} ({elapsed})",
            Progress::Listed { .. } => "{spinner} {prefix} {msg}: {human_pos} objects ({elapsed})",
            Progress::Read { .. } | Progress::Copied { .. } => {
                "{spinner} {prefix} {msg} [{bar:30}] {human_pos}/{human_len} users{left} ({elapsed})"
            }
            Progress::Committing | Progress::Publishing => "{spinner} {prefix} {msg} ({elapsed})",
        };
        bar.set_style(counting(template));
        bar.set_prefix(format!("[{number}/{PHASES}]"));
        bar.set_message(match progress {
            Progress::Connecting => format!("{phase} to {lake}"),
            _ => phase.to_owned(),
        });
        bar.set_position(0);
        bar.reset_eta();
        bar.tick();
    }
    match progress {
        Progress::Listed { objects } => bar.set_position(objects),
        Progress::Read { users, total } | Progress::Copied { users, total } => {
            bar.set_length(count(total));
            bar.set_position(count(users));
        }
        Progress::Connecting | Progress::Committing | Progress::Publishing => {}
    }
}

/// A style whose key `left` is the estimated rest of the phase, once it is known.
fn counting(template: &str) -> ProgressStyle {
    let started_at = Instant::now();
    style(template).with_key("left", move |state: &ProgressState, text: &mut dyn Write| {
        if state.pos() > 0 && started_at.elapsed() >= ESTIMATE_AFTER {
            let _the_text_is_in_memory = write!(text, ", {} left", HumanDuration(state.eta()));
        }
    })
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are valid constants")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_are_written_after_a_second_and_then_per_period_and_phase() {
        let lines = LogLines::new();
        assert!(!lines.is_due("listing"), "a short run writes no line");
        tokio::time::advance(FIRST_LINE_AFTER).await;
        assert!(lines.is_due("listing"));
        tokio::time::advance(FIRST_LINE_AFTER).await;
        assert!(!lines.is_due("listing"));
        assert!(lines.is_due("reading"), "another phase");
        assert!(!lines.is_due("copying"), "at most once per second");
        tokio::time::advance(LINE_PERIOD).await;
        assert!(lines.is_due("reading"));
    }

    #[test]
    fn phases_are_numbered_in_their_order() {
        let phases = [
            Progress::Connecting,
            Progress::Listed { objects: 0 },
            Progress::Read { users: 0, total: 0 },
            Progress::Copied { users: 0, total: 0 },
            Progress::Committing,
            Progress::Publishing,
        ];
        let numbers: Vec<u8> = phases.into_iter().map(|progress| phase_of(progress).0).collect();
        assert_eq!(numbers, (1..=PHASES).collect::<Vec<_>>());
    }
}
