//! The reports of runs in the lake: listed, read, parsed and cached. This module never writes to the lake and does not
//! depend on launchers.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use datalake_core::{
    error_chain::error_chain,
    keys,
    run::{RunId, RunReport},
};
use datalake_store::{
    bucket::{Bucket, Etag, ObjectMeta},
    error::StoreError,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    run::Run,
    shared_read::{SharedRead, SharedReads},
};

/// Reports that one listing reads, and about the number that are cached: over a month of hourly runs.
pub(crate) const REPORTS_MAX: usize = 1_000;

/// Reports that are read at the same time: each has a few KiB.
const READS_IN_FLIGHT: usize = 16;

/// The processor's reports have at most a hundred notices of under 2 KiB each, so a larger object is not one of them.
const REPORT_BYTES_MAX: u64 = 256 * 1024;

/// Readers get the cached reports when the store takes longer, instead of waiting for all of its retries.
const STORE_WAIT_MAX: Duration = Duration::from_secs(5);

/// The run of a report; none if there is no valid report.
pub(crate) type ReportRead = Result<Option<Run>, Arc<StoreError>>;

/// The reports that were read. The ETags reveal a report that was replaced, as by a second attempt of the same run.
#[derive(Debug)]
pub(crate) struct ReportCache {
    bucket: Arc<dyn Bucket>,
    reports: Mutex<BTreeMap<RunId, CachedReport>>,
    changes: watch::Sender<()>,
    refreshes: SharedRead<Refresh>,
    reads: SharedReads<RunId, ReportRead>,
}

#[derive(Debug)]
struct CachedReport {
    etag: Etag,
    /// None if the report is invalid: it is neither read nor logged again.
    run: Option<Run>,
}

/// The result of listing the reports and reading the newest ones.
#[derive(Clone, Debug)]
struct Refresh {
    limit: usize,
    result: Result<(), Arc<StoreError>>,
}

impl ReportCache {
    /// An empty cache. Nothing is read before the first request.
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self {
            bucket,
            reports: Mutex::default(),
            changes: watch::Sender::new(()),
            refreshes: SharedRead::default(),
            reads: SharedReads::default(),
        }
    }

    /// Changes whenever a new report was read.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The runs of all cached reports.
    pub(crate) fn runs(&self) -> BTreeMap<RunId, Run> {
        let reports = self.reports.lock();
        let runs = reports.iter().map(|(run_id, cached)| Some((run_id.clone(), cached.run.clone()?)));
        runs.flatten().collect()
    }

    /// The run of a cached report.
    pub(crate) fn get(&self, run_id: &RunId) -> Option<Run> {
        self.reports.lock().get(run_id)?.run.clone()
    }

    /// Lists the reports and reads those of the `limit` newest that are not cached. Concurrent callers share a refresh.
    pub(crate) async fn refresh(&self, limit: usize) -> Result<(), Arc<StoreError>> {
        let refresh = async || Refresh {
            limit,
            result: self.refresh_unshared(limit.min(REPORTS_MAX)).await,
        };
        self.refreshes.get(|shared| shared.limit >= limit, refresh).await.result
    }

    /// Reads the report of a run. Concurrent callers share a read.
    pub(crate) async fn read(&self, run_id: &RunId) -> ReportRead {
        let key = keys::run_report(run_id);
        let read = async || with_timeout(&key, self.read_unshared(run_id)).await.map_err(Arc::new);
        self.reads.get(run_id, read).await
    }

    async fn refresh_unshared(&self, limit: usize) -> Result<(), Arc<StoreError>> {
        with_timeout(keys::RUNS, self.read_newest(limit)).await.map_err(|error| {
            tracing::warn!(error = error_chain(&error), "cannot read run reports; serving the cached ones");
            Arc::new(error)
        })
    }

    async fn read_newest(&self, limit: usize) -> Result<(), StoreError> {
        let listed = self.list_newest(limit).await?;
        let missing = self.missing(listed);
        stream::iter(missing.into_iter().map(Ok))
            .try_for_each_concurrent(READS_IN_FLIGHT, async |run_id: RunId| self.read_unshared(&run_id).await.map(drop))
            .await
    }

    /// The reports that were modified last. Memory does not grow with the number of reports.
    async fn list_newest(&self, limit: usize) -> Result<BTreeMap<RunId, Etag>, StoreError> {
        let mut newest = BinaryHeap::new();
        let mut listing = self.bucket.list(keys::RUNS, None);
        while let Some(object) = listing.next().await.transpose()? {
            if let Some(run_id) = keys::parse_run_report(&object.key) {
                newest.push(Reverse((object.modified, run_id, object.etag)));
            }
            if newest.len() > limit {
                newest.pop();
            }
        }
        Ok(newest.into_iter().map(|Reverse((_, run_id, etag))| (run_id, etag)).collect())
    }

    /// The listed reports that are not cached. Removes reports that are not listed, which are older, if the cache is full.
    fn missing(&self, listed: BTreeMap<RunId, Etag>) -> Vec<RunId> {
        let mut reports = self.reports.lock();
        if reports.len() > REPORTS_MAX {
            reports.retain(|run_id, _| listed.contains_key(run_id));
        }
        let is_missing = |(run_id, etag): &(RunId, Etag)| reports.get(run_id).is_none_or(|cached| cached.etag != *etag);
        listed.into_iter().filter(is_missing).map(|(run_id, _)| run_id).collect()
    }

    async fn read_unshared(&self, run_id: &RunId) -> Result<Option<Run>, StoreError> {
        let key = keys::run_report(run_id);
        let object = match self.bucket.get(&key, None, Some(0..REPORT_BYTES_MAX)).await {
            Ok(object) => object,
            // The range of an empty object is invalid.
            Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let parsed = parse_report(run_id, &object.meta, &object.bytes);
        let mut reports = self.reports.lock();
        let is_new = reports.get(run_id).is_none_or(|cached| cached.etag != object.meta.etag);
        if let (Err(reason), true) = (&parsed, is_new) {
            tracing::warn!(run.id = %run_id, error = reason, "run report is invalid; ignoring it");
        }
        let run = parsed.ok();
        let cached = CachedReport {
            etag: object.meta.etag,
            run: run.clone(),
        };
        reports.insert(run_id.clone(), cached);
        drop(reports);
        if is_new {
            self.changes.send_replace(());
        }
        Ok(run)
    }
}

/// The run of a report, or why the object is not a report of this run.
fn parse_report(run_id: &RunId, meta: &ObjectMeta, bytes: &[u8]) -> Result<Run, String> {
    if meta.size > REPORT_BYTES_MAX {
        return Err(format!("it has {} bytes, more than {REPORT_BYTES_MAX}", meta.size));
    }
    let report: RunReport = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if report.run_id != *run_id {
        return Err(format!("it is the report of another run, {}", report.run_id));
    }
    Ok(Arc::new(report).into())
}

/// The response of the store, or an error if there is none within [`STORE_WAIT_MAX`].
async fn with_timeout<T>(key: &str, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_WAIT_MAX, request).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable {
            key: key.to_owned(),
            reason: format!("the store did not respond within {} s", STORE_WAIT_MAX.as_secs()),
            attempts: 1,
            cause: None,
        })
    })
}

#[cfg(test)]
mod tests;
