//! Progress bars of a run, on a terminal.

use std::sync::Arc;

use datalake_processor::options::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// What a run tells its progress to, and the bar to clear afterwards.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that draws itself on a terminal, and is silent elsewhere.
    pub(crate) fn new() -> Self {
        let bar = if crate::logging::is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Self { bar }
    }

    /// What a run calls.
    pub(crate) fn listener(&self) -> Arc<dyn Fn(Progress) + Send + Sync> {
        let bar = self.bar.clone();
        Arc::new(move |progress| show(&bar, progress))
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
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
