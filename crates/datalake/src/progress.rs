//! The progress of a run: a bar on a terminal, log lines otherwise.

use std::{sync::Arc, time::Duration};

use datalake_core::count::count;
use datalake_processor::options::{OnProgress, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time between two log lines: a run of an hour writes about 700.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// A progress bar on a terminal, hidden otherwise.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Creates the bar for the current standard error.
    pub(crate) fn new() -> Self {
        let bar = if crate::logging::is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Self { bar }
    }

    /// A listener for a run that starts now.
    pub(crate) fn listener(&self) -> Arc<OnProgress> {
        let bar = self.bar.clone();
        if bar.is_hidden() {
            let lines = LogLines::new(LINE_PERIOD);
            return Arc::new(move |progress| lines.show(progress));
        }
        Arc::new(move |progress| show(&bar, progress))
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Log lines at most once per period. A run that is shorter than a period writes none.
struct LogLines {
    period: Duration,
    last: Mutex<Instant>,
}

impl LogLines {
    fn new(period: Duration) -> Self {
        Self {
            period,
            last: Mutex::new(Instant::now()),
        }
    }

    fn show(&self, progress: Progress) {
        if !self.start_period() {
            return;
        }
        match progress {
            Progress::Listed { objects } => tracing::info!(objects, "listing sources"),
            Progress::Read { users, total } => tracing::info!(users, total, "reading sources"),
            Progress::Copied { users, total } => tracing::info!(users, total, "copying images"),
            Progress::Committing => tracing::info!("committing"),
            Progress::Publishing => tracing::info!("publishing"),
        }
    }

    /// Starts a new period if the last one has ended. Returns whether it did.
    fn start_period(&self) -> bool {
        let mut last = self.last.lock();
        let has_ended = last.elapsed() >= self.period;
        if has_ended {
            *last = Instant::now();
        }
        has_ended
    }
}

fn show(bar: &ProgressBar, progress: Progress) {
    let counted = |message: &'static str, done: usize, total: usize| {
        if bar.message() != message {
            bar.set_style(style("{spinner} {msg} [{bar:30}] {human_pos}/{human_len} users, {eta} left"));
            bar.set_message(message);
            bar.set_length(count(total));
        }
        bar.set_position(count(done));
    };
    match progress {
        Progress::Listed { objects } => {
            bar.set_style(style("{spinner} listing sources: {human_pos} objects"));
            bar.set_position(objects);
        }
        Progress::Read { users, total } => counted("reading sources", users, total),
        Progress::Copied { users, total } => counted("copying images", users, total),
        Progress::Committing => step(bar, "committing"),
        Progress::Publishing => step(bar, "publishing"),
    }
}

fn step(bar: &ProgressBar, message: &'static str) {
    bar.set_style(style("{spinner} {msg}"));
    bar.set_message(message);
    bar.tick();
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are valid constants")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_once_per_period() {
        let rare = LogLines::new(Duration::from_mins(1));
        assert!(!rare.start_period(), "a new run writes no line");
        let frequent = LogLines::new(Duration::ZERO);
        assert!(frequent.start_period() && frequent.start_period());
    }
}
