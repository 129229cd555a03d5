//! The progress of a run on Kubernetes, as an object in the lake. The API reads it there, because its account may not read the logs of pods.

use std::{sync::Arc, time::Duration};

use datalake_core::{keys, progress::RunProgress, run::RunId};
use datalake_processor::options::OnProgress;
use datalake_store::bucket::{Bucket, Metadata, PutMode};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::stderr_lines::run_progress;

/// The time to the first object and between two of them: most hourly runs are shorter, and write none.
const WRITE_PERIOD: Duration = Duration::from_secs(5);

/// The object of an active run.
pub(crate) struct ProgressObject {
    bucket: Arc<dyn Bucket>,
    key: String,
    progress: watch::Sender<Option<RunProgress>>,
    ended: CancellationToken,
    /// Returns whether it has written the object.
    writing: JoinHandle<bool>,
}

impl ProgressObject {
    /// Starts to write the progress of a run on Kubernetes; none elsewhere.
    #[expect(clippy::disallowed_methods, reason = "the variable is set by Kubernetes, and is not a setting")]
    pub(crate) fn on_kubernetes(bucket: &Arc<dyn Bucket>, run_id: &RunId) -> Option<Self> {
        std::env::var_os("KUBERNETES_SERVICE_HOST")?;
        let (bucket, key) = (Arc::clone(bucket), keys::run_progress(run_id));
        let (progress, receiver) = watch::channel(None);
        let ended = CancellationToken::new();
        let writing = tokio::spawn(write(Arc::clone(&bucket), key.clone(), receiver, ended.clone()));
        Some(Self {
            bucket,
            key,
            progress,
            ended,
            writing,
        })
    }

    /// A listener that also calls `shown`.
    pub(crate) fn listener(&self, shown: Arc<OnProgress>) -> Arc<OnProgress> {
        let sender = self.progress.clone();
        Arc::new(move |progress| {
            sender.send_replace(Some(run_progress(progress)));
            shown(progress);
        })
    }

    /// Removes the object after the run. One that a killed run leaves is removed by the daily vacuum.
    pub(crate) async fn remove(self) {
        self.ended.cancel();
        let has_written = self.writing.await.unwrap_or_default();
        if has_written && let Err(error) = self.bucket.delete(&self.key, None).await {
            tracing::warn!(object.key = self.key, error = %error, "cannot remove the progress of the run");
        }
    }
}

/// Writes the last progress once per period until the run has ended. The run continues if the store does not accept it.
async fn write(bucket: Arc<dyn Bucket>, key: String, progress: watch::Receiver<Option<RunProgress>>, ended: CancellationToken) -> bool {
    let mut written = None;
    loop {
        tokio::select! {
            () = ended.cancelled() => return written.is_some(),
            () = tokio::time::sleep(WRITE_PERIOD) => {}
        }
        let last = *progress.borrow();
        let Some(progress) = last.filter(|_| last != written) else {
            continue;
        };
        written = last;
        let put = bucket
            .put(&key, progress.to_json().into(), PutMode::Replace, &Metadata::new())
            .await;
        if let Err(error) = put {
            tracing::debug!(object.key = key, error = %error, "cannot write the progress of the run");
        }
    }
}
