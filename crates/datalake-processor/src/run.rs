//! One run from its first request to its report.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, Census},
    report::{Counts, Requests, RunOutcome, RunReport},
    row::Row,
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    single_writer::SingleWriter,
};
use datalake_table::{
    error::CommitError,
    stage::Staged,
    table::{CommitDetails, Table},
    version::Version,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    apply::{self, Refusals},
    changes::{self, Changes},
    error::RunError,
    left::{self, Announcement},
    options::{Lake, Progress, RunOptions, Writers, cancellable},
    pictures, publish,
    read::{Reader, UserRead},
    vacuum,
};

/// Lost commits before giving up: each is lost to a run that committed, and runs come once an hour.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// Waited at most before the n-th new attempt, times n, so that two runs that lose to each other drift apart.
const CONTENTION_DELAY_MAX: Duration = Duration::from_millis(250);

/// Runs once and writes the report. A report is given back whether or not the run succeeded; that it did not is for the caller to tell.
pub async fn run(lake: &Lake, options: &RunOptions) -> RunReport {
    let (started_at, start) = ((options.clock)(), Instant::now());
    let requests_before = lake.requests.snapshot();
    tracing::info!(run.id = %options.run_id, mode = options.mode.as_str(), "the run begins");

    let mut report = RunReport {
        run_id: options.run_id.clone(),
        outcome: RunOutcome::Succeeded,
        mode: options.mode,
        started_at,
        ended_at: started_at,
        elapsed_ms: 0,
        version: None,
        committed: false,
        counts: Counts::default(),
        requests: Requests::default(),
        notices: Vec::new(),
        rejects: Vec::new(),
        clock_skew_seconds: None,
        error: None,
    };
    let bucket: Arc<dyn Bucket> = match options.writers {
        Writers::Many => Arc::clone(&lake.bucket),
        Writers::Single => Arc::new(SingleWriter::new(Arc::clone(&lake.bucket))),
    };
    let table = Table::with_settings(bucket, options.table);
    let result = Run { options, table }.execute(&mut report).await;
    report.ended_at = (options.clock)();
    report.elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.requests = difference(lake.requests.snapshot(), requests_before);
    if let Some(skew_seconds) = report.clock_skew_seconds {
        tracing::warn!(
            run.id = %options.run_id,
            skew_seconds,
            "the store's clock and this machine's differ; births in the future and the age of the table are judged by this machine's"
        );
    }
    match result {
        Ok(()) => {
            tracing::info!(run.id = %options.run_id, version = report.version, committed = report.committed, elapsed_ms = report.elapsed_ms, "the run succeeded");
        }
        Err(error) => {
            report.outcome = error.outcome();
            report.error = Some(error.in_words());
        }
    }
    if let Err(error) = write_report(lake.bucket.as_ref(), &report).await {
        tracing::warn!(run.id = %options.run_id, error = %RunError::from(error).in_words(), "the run's report could not be written");
    }
    report
}

async fn write_report(bucket: &dyn Bucket, report: &RunReport) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(report).expect("a report is made of strings and numbers");
    bucket
        .put(
            &keys::run_report(&report.run_id),
            Bytes::from(text),
            PutMode::Replace,
            &Metadata::new(),
        )
        .await
        .map(drop)
}

struct Run<'a> {
    options: &'a RunOptions,
    table: Table,
}

/// What the table and the sources hold, before anything is copied or written.
struct Ingested {
    base: Option<Version>,
    old_rows: BTreeMap<UserId, Row>,
    reads: Vec<UserRead>,
    refusals: Refusals,
}

/// Everything that a run does before its commit, ready to be committed.
struct Prepared {
    step: Step,
    refusals: Refusals,
    counts: Counts,
    /// Users whose picture the commit links or unlinks.
    linked: Vec<UserId>,
    unlinked: Vec<UserId>,
}

/// The copies that a run changes.
struct ChangedPictures {
    announcement: Announcement,
    /// Users whose picture the commit links or unlinks, sorted.
    linked: Vec<UserId>,
    unlinked: Vec<UserId>,
}

/// What a run does to the table.
enum Step {
    /// Readers would see what they see already.
    Nothing { base: Version },
    /// The next version, or the first one.
    Commit { base: Option<Version>, staged: Staged },
}

impl Run<'_> {
    /// Fills in the report as things become true, so that a run that fails still says what it found and whether it committed.
    async fn execute(&self, report: &mut RunReport) -> Result<(), RunError> {
        let reader = Reader::new(self.bucket(), report.started_at);
        let mut announcement = Announcement::new(&self.options.run_id, report.started_at);
        for attempt in 1..=COMMIT_ATTEMPTS_MAX {
            let prepared = cancellable(&self.options.cancel, self.prepare(&reader, &mut announcement, report)).await?;
            let details = CommitDetails {
                run_id: self.options.run_id.clone(),
                mode: self.options.mode,
                counts: prepared.counts.clone(),
                committed_at: (self.options.clock)(),
            };
            let version = match prepared.step {
                Step::Nothing { base } => base,
                Step::Commit { base, staged } => match self.table.commit(base.as_ref(), staged, &prepared.refusals.open, &details).await {
                    Ok(version) => {
                        report.committed = true;
                        version
                    }
                    // Another run committed between our load and our commit: the base is stale, and we start over.
                    Err(CommitError::Conflict { .. }) => {
                        let pause = async {
                            tokio::time::sleep(self.contention_delay(attempt)).await;
                            Ok(())
                        };
                        cancellable(&self.options.cancel, pause).await?;
                        continue;
                    }
                    Err(CommitError::Table(error)) => return Err(error.into()),
                },
            };
            report.version = Some(version.number());
            report.counts = prepared.counts;
            let pictures = ChangedPictures {
                announcement,
                linked: prepared.linked,
                unlinked: prepared.unlinked,
            };
            return self.finish(&version, pictures, details.committed_at, report).await;
        }
        Err(RunError::Contended {
            attempts: COMMIT_ATTEMPTS_MAX,
        })
    }

    /// Base, list, plan, guards, read: nothing is changed.
    async fn ingest(&self, reader: &Reader<'_>, report: &mut RunReport) -> Result<Ingested, RunError> {
        let progress = self.options.progress.as_ref();
        let base = self.table.latest().await?;
        let refusals_before = match &base {
            Some(version) => self.table.refusals(version).await?,
            None => Vec::new(),
        };
        let found = changes::find(
            self.bucket(),
            &self.table,
            base.as_ref(),
            &refusals_before,
            self.options.mode,
            progress,
        )
        .await?;
        let Changes {
            users,
            ignored,
            census,
            csv_listed,
            images_listed,
            newest_modified,
        } = found;
        let now = (self.options.clock)();
        // A store whose newest object is old says nothing of its clock.
        let newest_modified = newest_modified.filter(|newest| *newest > now);
        report.clock_skew_seconds = newest_modified.and_then(|newest| RunReport::clock_skew_seconds(newest, now));
        report.counts = Counts {
            listed: census.listed,
            csv_listed,
            images_listed,
            ignored: count(ignored.len()),
            users: base.as_ref().map_or(0, Version::row_count),
            ..Counts::default()
        };
        plan::guard_deletions(census, self.options.deletion_guard)?;

        let reads = reader.read_all(users, progress).await?;
        let old_rows = self.old_rows(base.as_ref(), &reads).await?;
        // Sources may vanish while they are read, as when a file system is unmounted: such a run is none to believe, either.
        let gone = apply::count_gone(&refusals_before, &old_rows, &reads);
        plan::guard_deletions(Census { gone, ..census }, self.options.deletion_guard)?;

        let apply::Reading { counts, notices, rejects } = apply::count(&reads);
        (report.notices, report.rejects) = (notices, rejects);
        let refusals = apply::refusals(
            &refusals_before,
            &old_rows,
            &reads,
            ignored,
            &self.options.run_id,
            report.started_at,
        );
        report.counts = Counts {
            csv_read: counts.csv_read,
            images_read: counts.images_read,
            mended: counts.mended,
            rejected: counts.rejected,
            warnings: counts.warnings,
            rejects_open: refusals.rejected(),
            ..report.counts.clone()
        };
        plan::guard_rejects(
            report.counts.rejects_open,
            csv_listed + images_listed,
            self.options.reject_ratio_max,
        )?;
        Ok(Ingested {
            base,
            old_rows,
            reads,
            refusals,
        })
    }

    /// Ingest, copy pictures, apply, stage: nothing that a reader could reach is changed but copies of pictures.
    async fn prepare(&self, reader: &Reader<'_>, announcement: &mut Announcement, report: &mut RunReport) -> Result<Prepared, RunError> {
        let progress = self.options.progress.as_ref();
        let Ingested {
            base,
            old_rows,
            reads,
            refusals,
        } = self.ingest(reader, report).await?;
        let verdicts = pictures::judge(reader, &old_rows, &reads).await?;
        // Before its first version there is no copy that anybody reads.
        if base.is_some() {
            let changed = pictures::changed(&old_rows, &reads, &verdicts);
            announcement.extend(self.bucket(), changed).await?;
        }
        let pictures = pictures::settle(self.bucket(), &reads, &verdicts, progress).await?;
        let mut outcome = apply::apply(&old_rows, reads, pictures, &self.options.run_id);
        let is_visible = outcome.is_visible || refusals.is_visible;
        if is_visible {
            pictures::retag(self.bucket(), &old_rows, &mut outcome.edits, &outcome.linked).await?;
        }
        drop(old_rows);
        let counts = Counts {
            added: outcome.counts.added,
            changed: outcome.counts.changed,
            removed: outcome.counts.removed,
            users: (report.counts.users + outcome.counts.added).saturating_sub(outcome.counts.removed),
            images_copied: count(outcome.linked.len()),
            ..report.counts.clone()
        };
        let is_new_table = base.is_none();
        let step = match base {
            Some(base) if !is_visible => Step::Nothing { base },
            base => {
                progress(Progress::Committing);
                if is_new_table && self.options.writers == Writers::Many {
                    self.prove_create_if_absent().await?;
                }
                let staged = self.table.stage(base.as_ref(), outcome.edits).await?;
                Step::Commit { base, staged }
            }
        };
        Ok(Prepared {
            step,
            refusals,
            counts,
            // Before its first version nobody has unlinked anything.
            linked: if is_new_table { Vec::new() } else { outcome.linked },
            unlinked: outcome.unlinked,
        })
    }

    /// Makes what derives from the version that the run ended on, whether or not it is the run's own.
    async fn finish(
        &self,
        version: &Version,
        pictures: ChangedPictures,
        committed_at: Timestamp,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        (self.options.progress)(Progress::Publishing);
        let (bucket, table) = (self.bucket(), &self.table);
        pictures::verify_linked(bucket, table, version, &pictures.linked).await?;
        publish::publish_output(bucket, table, version).await?;
        let removed = &mut report.counts.images_removed;
        *removed += pictures::remove_unlinked(bucket, table, version, &pictures.unlinked).await?;
        *removed += left::repair(bucket, table, version, &pictures.announcement).await?;
        let settled = pictures.linked.iter().chain(&pictures.unlinked).cloned().collect();
        *removed += pictures.announcement.take_back(bucket, table, version, &settled).await?;
        // From here on nothing is left that a reader could miss.
        let mut now = report.started_at;
        if report.committed
            && let Ok(entry) = bucket.head(&keys::log_entry(version.number())).await
        {
            report.clock_skew_seconds = RunReport::clock_skew_seconds(entry.meta.modified, committed_at);
            now = now.max(entry.meta.modified);
        }
        if let Err(error) = vacuum::vacuum_daily(bucket, table, version, now).await {
            tracing::warn!(run.id = %self.options.run_id, error = error.in_words(), "the daily clean-up failed; the next run tries again");
        }
        Ok(())
    }

    async fn old_rows(&self, base: Option<&Version>, reads: &[UserRead]) -> Result<BTreeMap<UserId, Row>, RunError> {
        match base {
            Some(version) if !reads.is_empty() => {
                let user_ids: Vec<_> = reads.iter().map(|read| read.user_id.clone()).collect();
                Ok(self.table.rows_of(version, &user_ids).await?)
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    /// The safety of the table is that of two creates of one key one fails. It is proved once, before a table begins.
    async fn prove_create_if_absent(&self) -> Result<(), RunError> {
        let key = keys::create_proof(&self.options.run_id);
        let create = async || match self
            .bucket()
            .put(&key, Bytes::from_static(b"{}"), PutMode::Create, &Metadata::new())
            .await
        {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        // An earlier attempt of the same run may have left the object: then already the first create is refused.
        let is_refused = match create().await {
            Ok(true) => !create().await?,
            Ok(false) => true,
            // The store does not know the condition, and says so.
            Err(error) if error.is_not_supported() => return Err(RunError::NoCreateIfAbsent { source: Some(error) }),
            Err(error) => return Err(error.into()),
        };
        self.bucket().delete(&key, None).await?;
        match is_refused {
            true => Ok(()),
            false => Err(RunError::NoCreateIfAbsent { source: None }),
        }
    }

    /// Grows with the attempts; the run's own id tells two runs apart.
    fn contention_delay(&self, attempt: u32) -> Duration {
        let spread: u32 = self
            .options
            .run_id
            .as_str()
            .bytes()
            .map(u32::from)
            .sum::<u32>()
            .wrapping_mul(attempt)
            % 100;
        CONTENTION_DELAY_MAX.mul_f64(f64::from(spread) / 100.0) * attempt
    }

    fn bucket(&self) -> &dyn Bucket {
        self.table.bucket().as_ref()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn difference(after: Requests, before: Requests) -> Requests {
    Requests {
        list: after.list - before.list,
        get: after.get - before.get,
        put: after.put - before.put,
        copy: after.copy - before.copy,
        delete: after.delete - before.delete,
        head: after.head - before.head,
    }
}
