//! What a launcher told last, for those who would rather have that than wait: its own server may hang.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{launcher::RunLauncher, run::Run};

/// Nobody waits longer for an answer: it is half of what a page waits in all.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// So long after somebody waited in vain the launcher is not waited for at all.
const PAUSE: Duration = Duration::from_secs(10);

/// The runs of a launcher as it told them last. Cheap to clone; all clones share what was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    runs: Vec<Run>,
    /// Since when the launcher has not answered.
    late_since: Option<Instant>,
}

impl Told {
    /// The launcher's runs, or what it told last. One that has just let somebody wait in vain is waited for again a little later: until then it
    /// is heard if it answers at once.
    pub(crate) async fn runs(&self, launcher: &dyn RunLauncher) -> Vec<Run> {
        let is_late = self.last().late_since.is_some_and(|since| since.elapsed() < PAUSE);
        let wait = if is_late { Duration::ZERO } else { WAIT_MAX };
        let answer = tokio::time::timeout(wait, launcher.runs()).await;
        let mut last = self.last();
        if let Ok(runs) = answer {
            last.runs.clone_from(&runs);
            last.late_since = None;
            return runs;
        }
        if !is_late {
            last.late_since = Some(Instant::now());
        }
        last.runs.clone()
    }

    /// What the lock guards is replaced in single steps, so a panic elsewhere leaves it whole.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
