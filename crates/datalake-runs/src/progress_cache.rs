//! The progress of runs in other processes: their objects in the lake, read while the runs are active.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datalake_core::{keys, progress::RunProgress, run::RunId};
use datalake_store::{bucket::Bucket, error::StoreError};
use futures_util::{Stream, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

/// How often the progress of an active run is read. A run writes it as often.
pub(crate) const READ_PERIOD: Duration = Duration::from_secs(5);

/// The object has under 100 bytes.
const OBJECT_BYTES_MAX: u64 = 1_024;

/// The progress that was read last, by run.
#[derive(Debug)]
pub(crate) struct ProgressCache {
    bucket: Arc<dyn Bucket>,
    known: Mutex<BTreeMap<RunId, RunProgress>>,
    changes: watch::Sender<()>,
}

impl ProgressCache {
    /// An empty cache. Nothing is read before the first refresh.
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self {
            bucket,
            known: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// The progress of a run, if it is known.
    pub(crate) fn get(&self, run_id: &RunId) -> Option<RunProgress> {
        self.known.lock().get(run_id).copied()
    }

    /// Reads the progress of these runs, and forgets that of all others. A failed read keeps the last progress.
    pub(crate) async fn refresh(&self, active: &[RunId]) {
        let mut found = BTreeMap::new();
        for run_id in active {
            let key = keys::run_progress(run_id);
            let read = self.bucket.get(&key, None, Some(0..OBJECT_BYTES_MAX));
            let progress = match tokio::time::timeout(READ_PERIOD, read).await {
                Ok(Ok(object)) => RunProgress::parse_json(&object.bytes),
                Ok(Err(StoreError::NotFound { .. })) => None,
                Ok(Err(_)) | Err(_) => self.get(run_id),
            };
            found.extend(progress.map(|progress| (run_id.clone(), progress)));
        }
        let mut known = self.known.lock();
        if *known != found {
            *known = found;
            drop(known);
            self.changes.send_replace(());
        }
    }

    /// The progress of a run: the current one, and each change.
    pub(crate) fn changes_of(self: &Arc<Self>, run_id: &RunId) -> impl Stream<Item = RunProgress> + Send + use<> {
        let mut changes = self.changes.subscribe();
        changes.mark_changed();
        let state = (Arc::clone(self), changes, run_id.clone(), None);
        stream::unfold(state, async |(cache, mut changes, run_id, last)| {
            loop {
                changes.changed().await.ok()?;
                let progress = cache.get(&run_id);
                if let Some(progress) = progress.filter(|progress| Some(*progress) != last) {
                    return Some((progress, (cache, changes, run_id, Some(progress))));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::progress::Phase;
    use datalake_store::{
        bucket::{Metadata, PutMode},
        memory::MemoryBucket,
    };
    use futures_util::StreamExt;

    use super::*;

    fn reading(done: u64) -> RunProgress {
        RunProgress {
            phase: Phase::Reading,
            done,
            total: Some(9),
        }
    }

    async fn put(bucket: &MemoryBucket, run_id: &RunId, text: String) {
        let key = keys::run_progress(run_id);
        bucket.put(&key, text.into(), PutMode::Replace, &Metadata::new()).await.unwrap();
    }

    #[tokio::test]
    async fn progress_of_active_runs_is_read_and_followed() {
        let (bucket, run_id) = (MemoryBucket::new(), RunId::parse("run-1").unwrap());
        let cache = Arc::new(ProgressCache::new(Arc::new(bucket.clone())));
        let mut changes = Box::pin(cache.changes_of(&run_id));
        let active = [run_id.clone(), RunId::parse("run-without-progress").unwrap()];
        cache.refresh(&active).await;
        assert_eq!(cache.get(&run_id), None);
        for done in [1, 2] {
            put(&bucket, &run_id, reading(done).to_json()).await;
            cache.refresh(&active).await;
            assert_eq!(cache.get(&run_id), Some(reading(done)));
            assert_eq!(changes.next().await, Some(reading(done)));
        }
        put(&bucket, &run_id, "{}".to_owned()).await;
        cache.refresh(&active).await;
        assert_eq!(cache.get(&run_id), None, "an invalid object");
        put(&bucket, &run_id, reading(3).to_json()).await;
        cache.refresh(&active).await;
        cache.refresh(&[]).await;
        assert_eq!(cache.get(&run_id), None, "the run has ended");
    }
}
