//! How far a run is: a bar on a terminal, lines of the log elsewhere.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use datalake_processor::options::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Between two lines: often enough for one who follows the log, and a run of an hour leaves some hundreds.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// What a run tells its progress to, and the bar to clear afterwards.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that draws itself on a terminal, and is hidden elsewhere.
    pub(crate) fn new() -> Self {
        let bar = if crate::logging::is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Self { bar }
    }

    /// What a run calls, which begins now.
    pub(crate) fn listener(&self) -> Arc<dyn Fn(Progress) + Send + Sync> {
        let bar = self.bar.clone();
        if bar.is_hidden() {
            let lines = Lines::begin(LINE_PERIOD);
            return Arc::new(move |progress| lines.show(progress));
        }
        Arc::new(move |progress| show(&bar, progress))
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Lines of the log, not too many of them: none of a run that is quick.
struct Lines {
    period: Duration,
    last: Mutex<Instant>,
}

impl Lines {
    fn begin(period: Duration) -> Self {
        Self {
            period,
            last: Mutex::new(Instant::now()),
        }
    }

    fn show(&self, progress: Progress) {
        if !self.is_due() {
            return;
        }
        match progress {
            Progress::Listed { objects } => tracing::info!(objects, "listing the sources"),
            Progress::Read { users, total } => tracing::info!(users, total, "reading"),
            Progress::Copied { users, total } => tracing::info!(users, total, "copying pictures"),
            Progress::Committing => tracing::info!("committing"),
            Progress::Publishing => tracing::info!("publishing"),
        }
    }

    /// Whether the last line is long ago; this is the next one then.
    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.elapsed() >= self.period;
        if is_due {
            *last = Instant::now();
        }
        is_due
    }
}

fn show(bar: &ProgressBar, progress: Progress) {
    let counted = |message: &'static str, done: usize, total: usize| {
        if bar.message() != message {
            bar.set_style(style("{spinner} {msg} [{bar:30}] {human_pos}/{human_len} users, {eta} left"));
            bar.set_message(message);
            bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
        }
        bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    };
    match progress {
        Progress::Listed { objects } => {
            bar.set_style(style("{spinner} listing the sources: {human_pos} objects"));
            bar.set_position(objects);
        }
        Progress::Read { users, total } => counted("reading", users, total),
        Progress::Copied { users, total } => counted("copying pictures", users, total),
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
    ProgressStyle::with_template(template).expect("the templates are constants that every run draws")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_time() {
        let seldom = Lines::begin(Duration::from_mins(1));
        assert!(!seldom.is_due(), "a run that has just begun says nothing");
        let always = Lines::begin(Duration::ZERO);
        assert!(always.is_due() && always.is_due());
    }
}
