//! The progress of a run on standard error, for the server that started this process.

use std::{io::Write, sync::Arc, time::Duration};

use datalake_core::{
    count::count,
    progress::{Phase, RunProgress, VARIABLE},
};
use datalake_processor::options::{OnProgress, Progress};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time between two lines within a phase. Pages show each line.
const LINE_PERIOD: Duration = Duration::from_millis(250);

/// A listener that writes lines for the server; none if no server started this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the variable is part of the protocol with the server, not a setting"
)]
pub(super) fn listener() -> Option<Arc<OnProgress>> {
    std::env::var_os(VARIABLE)?;
    let lines = Lines::default();
    Some(Arc::new(move |progress| lines.write(progress)))
}

/// Lines on standard error, at most once per period within a phase.
#[derive(Default)]
struct Lines(Mutex<Option<(Phase, Instant)>>);

impl Lines {
    fn write(&self, progress: Progress) {
        let progress = run_progress(progress);
        if self.is_due(progress.phase) {
            // The run continues if the server has closed the pipe.
            let _may_be_closed = std::io::stderr().write_all(progress.to_line().as_bytes());
        }
    }

    fn is_due(&self, phase: Phase) -> bool {
        let mut last = self.0.lock();
        let is_due = last.is_none_or(|(last, at)| last != phase || at.elapsed() >= LINE_PERIOD);
        if is_due {
            *last = Some((phase, Instant::now()));
        }
        is_due
    }
}

/// The progress in the form of documents. A run that has no response yet is at the start of its listing.
pub(super) fn run_progress(progress: Progress) -> RunProgress {
    let counted = |phase, users: usize, total: usize| RunProgress {
        phase,
        done: count(users),
        total: Some(count(total)),
    };
    let uncounted = |phase, done| RunProgress { phase, done, total: None };
    match progress {
        Progress::Connecting => uncounted(Phase::Listing, 0),
        Progress::Listed { objects } => uncounted(Phase::Listing, objects),
        Progress::Read { done, total } => counted(Phase::Reading, done, total),
        Progress::Copied { done, total } => counted(Phase::Copying, done, total),
        Progress::Committing => uncounted(Phase::Committing, 0),
        Progress::Publishing => uncounted(Phase::Publishing, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_is_reported_at_once() {
        let lines = Lines::default();
        assert!(lines.is_due(Phase::Listing));
        assert!(!lines.is_due(Phase::Listing), "the period has not ended");
        assert!(lines.is_due(Phase::Reading));
    }

    #[test]
    fn progress_has_phase_and_counts() {
        let read = run_progress(Progress::Read { done: 2, total: 9 });
        assert_eq!((read.phase, read.done, read.total), (Phase::Reading, 2, Some(9)));
        let listed = run_progress(Progress::Listed { objects: 1_000 });
        assert_eq!((listed.phase, listed.done, listed.total), (Phase::Listing, 1_000, None));
    }
}
