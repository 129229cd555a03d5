//! What reads cost Kubernetes. Anybody may read, and as often as they like: they all share what is asked once a second.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use crate::kubernetes::launcher::KubernetesLauncher;
use crate::run::Run;

/// Reads ask Kubernetes no more often than this, and a pod's words are that old at most.
const READ_PERIOD: Duration = Duration::from_secs(1);

/// What was read last. Both locks are held while Kubernetes is asked, so that those who come meanwhile share the answer.
#[derive(Debug, Default)]
pub(super) struct Reads {
    all: Mutex<All>,
    /// When the Jobs were last listed for the sake of one that the watch has not told of.
    looked_around_at: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct All {
    read_at: Option<Instant>,
    /// What [`super::job_cache::Known::changes`] said then.
    changes: u64,
    runs: Arc<[Run]>,
}

impl KubernetesLauncher {
    /// Every run that is known. What Jobs tell is never old; what their pods tell is a second old at most.
    pub(super) async fn read_all(&self) -> Arc<[Run]> {
        let mut all = self.shared.reads.all.lock().await;
        let changes = self.known().changes();
        let is_young = all.read_at.is_some_and(|read_at| read_at.elapsed() < READ_PERIOD);
        if !is_young || all.changes != changes {
            let (jobs, gone) = self.known().all();
            let mut runs = self.runs_of(&jobs).await;
            runs.extend(gone);
            *all = All {
                // Who waited for a slow answer shares it.
                read_at: Some(Instant::now()),
                changes,
                runs: runs.into(),
            };
        }
        Arc::clone(&all.runs)
    }

    /// Lists the Jobs, unless that was done since this was asked for, and holds those that the watch has not told of yet.
    pub(super) async fn look_around(&self) {
        let asked_at = Instant::now();
        let mut looked_around_at = self.shared.reads.looked_around_at.lock().await;
        if looked_around_at.is_some_and(|at| at > asked_at) {
            return;
        }
        if let Some(at) = *looked_around_at {
            sleep_until(at + READ_PERIOD).await;
        }
        *looked_around_at = Some(Instant::now());
        // What cannot be listed is not there to be found; the watch complains.
        for job in self.list_own().await.unwrap_or_default() {
            self.known().hold(Arc::new(job));
        }
    }
}
