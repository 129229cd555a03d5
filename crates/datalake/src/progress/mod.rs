//! The progress of a command: a bar on a terminal, log lines otherwise.
//!
//! A run that a server started writes lines for it (`stderr_lines.rs`), a run on Kubernetes an object (`lake_object.rs`). A server on a terminal
//! shows a bar for each of its runs (`server_bars.rs`).

pub(crate) mod lake_object;
pub(crate) mod server_bars;
mod stderr_lines;

use std::{
    fmt::Write,
    sync::{Arc, LazyLock},
    time::Duration,
};

use console::Term;
use datalake_core::{
    progress::{Phase, RunProgress},
    text::grouped,
};
use datalake_processor::options::{OnProgress, Progress};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time to the first log line, and between changes of the phase that are logged.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(1);

/// The time between two log lines of a phase: a run of an hour writes about 700.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// A bar moves at least this often, so that a command visibly waits for the store.
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

    /// A listener for a run of this process that starts now.
    pub(crate) fn listener(&self) -> Arc<OnProgress> {
        if let Some(listener) = stderr_lines::listener() {
            return listener;
        }
        if self.bar.is_hidden() {
            let lines = LogLines::new();
            return Arc::new(move |progress| lines.show(progress));
        }
        let phases = self.phases("");
        Arc::new(move |progress| phases.show(stderr_lines::run_progress(progress)))
    }

    /// The phases of a run in this bar, each after `prefix`.
    pub(crate) fn phases(&self, prefix: &str) -> Phases {
        Phases {
            bar: self.bar.clone(),
            prefix: prefix.to_owned(),
            shown: Mutex::new(None),
        }
    }

    /// A listener for uploads.
    pub(crate) fn upload_listener(&self) -> impl Fn(UploadProgress) + Send + Sync + use<> {
        let (bar, lines, shown) = (self.bar.clone(), LogLines::new(), Mutex::new(None));
        move |progress| match bar.is_hidden() {
            true => lines.show_upload(progress),
            false => show_upload(&bar, &shown, progress),
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

/// How far an upload is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UploadProgress {
    /// The sources in the lake are being listed.
    Listed { objects: u64 },
    /// Sources are being uploaded, or found to be there.
    Uploaded { sources: u64, total: u64 },
}

impl UploadProgress {
    fn label(self) -> &'static str {
        match self {
            Self::Listed { .. } => "listing the lake",
            Self::Uploaded { .. } => "uploading sources",
        }
    }
}

fn show_upload(bar: &ProgressBar, shown: &Mutex<Option<&'static str>>, progress: UploadProgress) {
    let label = progress.label();
    let is_new = shown.lock().replace(label) != Some(label);
    match progress {
        UploadProgress::Listed { objects } => bar.set_position(objects),
        UploadProgress::Uploaded { sources, total } => {
            bar.set_length(total);
            bar.set_position(sources);
        }
    }
    if is_new {
        bar.set_style(match progress {
            UploadProgress::Listed { .. } => listing_style(label),
            UploadProgress::Uploaded { total, .. } => counting_style(label, total, ""),
        });
        bar.reset_eta();
    }
}

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
        let label = match progress {
            Progress::Connecting => "connecting",
            _ => stderr_lines::run_progress(progress).phase.label(),
        };
        if !self.is_due(label) {
            return;
        }
        let step = step(stderr_lines::run_progress(progress).phase);
        match progress {
            Progress::Connecting => tracing::info!("{label}"),
            Progress::Listed { objects } => tracing::info!(step, objects, "{label}"),
            Progress::Read { done, total } | Progress::Copied { done, total } => tracing::info!(step, users = done, total, "{label}"),
            Progress::Committing | Progress::Publishing => tracing::info!(step, "{label}"),
        }
    }

    fn show_upload(&self, progress: UploadProgress) {
        let label = progress.label();
        if !self.is_due(label) {
            return;
        }
        match progress {
            UploadProgress::Listed { objects } => tracing::info!(objects, "{label}"),
            UploadProgress::Uploaded { sources, total } => tracing::info!(sources, total, "{label}"),
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

/// The number of a phase, and of all: `2/5`.
fn step(phase: Phase) -> String {
    let number = Phase::ALL.iter().take_while(|other| **other != phase).count() + 1;
    format!("{number}/{}", Phase::ALL.len())
}

/// The phases of a run in a bar.
pub(crate) struct Phases {
    bar: ProgressBar,
    prefix: String,
    shown: Mutex<Option<Phase>>,
}

impl Phases {
    /// Shows how far the run is.
    pub(crate) fn show(&self, progress: RunProgress) {
        let RunProgress { phase, done, total } = progress;
        let bar = &self.bar;
        let is_new = self.shown.lock().replace(phase) != Some(phase);
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        if is_new {
            let text = format!("{}[{}] {}", self.prefix, step(phase), phase.label());
            bar.set_style(match (phase, total) {
                (_, Some(total)) => counting_style(&text, total, " users"),
                (Phase::Listing, None) => listing_style(&text),
                (_, None) => style(&format!("{{spinner}} {text} ({{elapsed}})")),
            });
            bar.reset_eta();
        }
    }
}

/// A text, and the number of listed objects.
fn listing_style(text: &str) -> ProgressStyle {
    style(&format!("{{spinner}} {text}: {{human_pos}} objects ({{elapsed}})"))
}

/// A text, a bar, and what is done of `total`, with the estimated rest of the phase once it is known.
fn counting_style(text: &str, total: u64, unit: &str) -> ProgressStyle {
    /// The columns of the spinner, the brackets and the times.
    const OTHERS: usize = "⠋  []  / , 59m left (59m)".len();
    const BAR_MIN: usize = 5;
    const BAR_MAX: usize = 30;
    let (_, columns) = Term::stderr().size();
    let used = OTHERS + text.len() + 2 * grouped(total).len() + unit.len();
    let bar = usize::from(columns).saturating_sub(used).clamp(BAR_MIN, BAR_MAX);
    let started_at = Instant::now();
    style(&format!(
        "{{spinner}} {text} [{{bar:{bar}}}] {{human_pos}}/{{human_len}}{unit}{{left}} ({{elapsed}})"
    ))
    .with_key("left", move |state: &ProgressState, text: &mut dyn Write| {
        if state.pos() > 0 && started_at.elapsed() >= ESTIMATE_AFTER {
            let _the_text_is_in_memory = write!(text, ", {:#} left", HumanDuration(state.eta()));
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
        let steps = Phase::ALL.map(step);
        assert_eq!(steps, ["1/5", "2/5", "3/5", "4/5", "5/5"]);
    }
}
