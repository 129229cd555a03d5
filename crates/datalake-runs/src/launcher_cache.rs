//! The last list of runs that a launcher returned, for readers that do not wait for a launcher that does not respond.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{launcher::RunLauncher, run::Run};

/// The longest wait for a launcher: half of the time in which a page is rendered.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// After a timeout, readers do not wait for the launcher for this long.
const PAUSE: Duration = Duration::from_secs(10);

/// The runs that a launcher returned last. Cheap to clone; all clones share the cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct LauncherCache(Arc<Mutex<Cached>>);

#[derive(Debug, Default)]
struct Cached {
    runs: Vec<Run>,
    /// When the first reader timed out since the launcher last responded.
    timed_out_at: Option<Instant>,
}

impl LauncherCache {
    /// The launcher's runs, or the cached ones if it does not respond within [`WAIT_MAX`]. During the [`PAUSE`] after a timeout the launcher's
    /// response is used only if it is immediate.
    pub(crate) async fn runs(&self, launcher: &dyn RunLauncher) -> Vec<Run> {
        let is_pausing = self.0.lock().timed_out_at.is_some_and(|at| at.elapsed() < PAUSE);
        let wait = if is_pausing { Duration::ZERO } else { WAIT_MAX };
        let response = tokio::time::timeout(wait, launcher.runs()).await;
        let mut cached = self.0.lock();
        if let Ok(runs) = response {
            cached.runs.clone_from(&runs);
            cached.timed_out_at = None;
            return runs;
        }
        if !is_pausing {
            cached.timed_out_at = Some(Instant::now());
        }
        cached.runs.clone()
    }
}
