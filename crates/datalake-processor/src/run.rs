//! One run from its first request to its report.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, DeletionGuard, RejectRatio, SourceChange},
    reject::Refusal,
    report::{Counts, Requests, RunId, RunMode, RunOutcome, RunReport, SourceNotice},
    row::Row,
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    counter::RequestCounter,
    error::StoreError,
};
use datalake_table::{
    error::CommitError,
    table::{CommitDetails, Table},
    version::Version,
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    apply,
    changes::{self, Changes},
    error::RunError,
    pictures, publish,
    read::Reader,
    vacuum,
};

/// Lost commits before giving up: each is lost to a run that committed, and runs come once an hour.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// Waited at most before the n-th new attempt, times n, so that two runs that lose to each other drift apart.
const CONTENTION_DELAY_MAX: Duration = Duration::from_millis(250);

/// Clocks further apart than this are worth a warning; nothing depends on them.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Where a run works.
#[derive(Clone, Debug)]
pub struct Lake {
    /// The lake's objects.
    pub bucket: Arc<dyn Bucket>,
    /// Counts what the run asks of it.
    pub requests: Arc<RequestCounter>,
}

/// How far a run is: for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many objects are listed.
    Listed {
        /// Objects so far.
        objects: u64,
    },
    /// So many changed users are read.
    Read {
        /// Users so far.
        users: usize,
        /// Users in all.
        total: usize,
    },
    /// The pictures of so many changed users are copied, or need not be.
    Copied {
        /// Users so far.
        users: usize,
        /// Users in all.
        total: usize,
    },
    /// The new segments are written and committed.
    Committing,
    /// What derives from the commit is published.
    Publishing,
}

/// Whether two runs may be under way at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writers {
    /// The store decides between them, and must be able to.
    #[default]
    Many,
    /// Somebody makes sure that there is one; the store need not be able to.
    Single,
}

/// What a run is to do. Times come from here: the run asks no clock of its own but this one.
#[derive(Clone)]
pub struct RunOptions {
    /// The run's name.
    pub run_id: RunId,
    /// Which sources it reads.
    pub mode: RunMode,
    /// Whether it may remove most of the users.
    pub deletion_guard: DeletionGuard,
    /// Which share of the sources may be rejected.
    pub reject_ratio_max: RejectRatio,
    /// Whether other runs may be under way.
    pub writers: Writers,
    /// The present time.
    pub clock: fn() -> Timestamp,
    /// Told how far the run is.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
    /// Cancelled, the run stops before its commit, or finishes after it.
    pub cancel: CancellationToken,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("run_id", &self.run_id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl RunOptions {
    /// The defaults of the command line, without progress.
    pub fn new(run_id: RunId, clock: fn() -> Timestamp) -> Self {
        Self {
            run_id,
            mode: RunMode::default(),
            deletion_guard: DeletionGuard::default(),
            reject_ratio_max: RejectRatio::default(),
            writers: Writers::default(),
            clock,
            progress: Arc::new(|_| {}),
            cancel: CancellationToken::new(),
        }
    }
}

/// Runs once and writes the report. A report is given back whether or not the run succeeded.
pub async fn run(lake: &Lake, options: &RunOptions) -> RunReport {
    let (started_at, start) = ((options.clock)(), Instant::now());
    let requests_before = lake.requests.snapshot();
    tracing::info!(run.id = %options.run_id, mode = options.mode.as_str(), "the run begins");

    let result = Run {
        lake,
        options,
        started_at,
        table: Table::new(Arc::clone(&lake.bucket)),
    }
    .execute()
    .await;
    let mut report = RunReport {
        run_id: options.run_id.clone(),
        outcome: RunOutcome::Succeeded,
        mode: options.mode,
        started_at,
        ended_at: (options.clock)(),
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        version: None,
        committed: false,
        counts: Counts::default(),
        requests: difference(lake.requests.snapshot(), requests_before),
        notices: Vec::new(),
        error: None,
    };
    match result {
        Ok(done) => {
            report.version = Some(done.version);
            report.committed = done.committed;
            report.counts = done.counts;
            report.notices = done.notices;
            tracing::info!(run.id = %options.run_id, version = done.version, committed = done.committed, elapsed_ms = report.elapsed_ms, "the run succeeded");
        }
        Err(error) => {
            report.outcome = error.outcome();
            report.error = Some(error.in_words());
            tracing::error!(run.id = %options.run_id, outcome = report.outcome.as_str(), error = %error.in_words(), "the run did not succeed");
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

/// What a run would look at, told from the listing alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The version that the plan was made against; none where there is no table yet.
    pub version: Option<u64>,
    /// Objects listed under `src-data/`.
    pub listed: u64,
    /// What a run would do with each user whose sources are not all as the table recorded them.
    pub steps: Vec<PlannedStep>,
    /// The keys that a run would ignore, with the code.
    pub ignored: Vec<(String, &'static str)>,
}

/// What a run would do with one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Whose sources.
    pub user_id: UserId,
    /// `read` or `gone`; none where the CSV is as it was.
    pub csv: Option<&'static str>,
    /// `read` or `gone`; none where the picture is as it was.
    pub image: Option<&'static str>,
}

/// Lists and compares, as a run does, and changes nothing.
pub async fn dry_run(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    let table = Table::new(Arc::clone(&lake.bucket));
    let base = table.latest().await?;
    let refusals = match &base {
        Some(version) => table.refusals(version).await?,
        None => Vec::new(),
    };
    let progress = options.progress.as_ref();
    let found = changes::find(lake.bucket.as_ref(), &table, base.as_ref(), &refusals, options.mode, progress).await?;
    plan::guard_deletions(found.census, options.deletion_guard)?;
    let word = |change: &SourceChange| match change {
        SourceChange::Same => None,
        SourceChange::Read(_) => Some("read"),
        SourceChange::Gone => Some("gone"),
    };
    let steps = found.users.iter().map(|change| PlannedStep {
        user_id: change.user_id.clone(),
        csv: word(&change.csv),
        image: word(&change.image),
    });
    Ok(DryRun {
        version: base.as_ref().map(Version::number),
        listed: found.census.listed,
        steps: steps.collect(),
        ignored: found
            .ignored
            .iter()
            .map(|(object, code)| (object.key.to_string(), code.as_str()))
            .collect(),
    })
}

struct Run<'a> {
    lake: &'a Lake,
    options: &'a RunOptions,
    started_at: Timestamp,
    table: Table,
}

struct Done {
    version: u64,
    committed: bool,
    counts: Counts,
    notices: Vec<SourceNotice>,
}

/// Everything that a run does before its commit, ready to be committed.
enum Prepared {
    Nothing {
        base: Version,
    },
    Commit {
        base: Option<Version>,
        staged: datalake_table::stage::Staged,
        refusals: apply::Refusals,
        unlinked: Vec<UserId>,
    },
}

impl Run<'_> {
    async fn execute(&self) -> Result<Done, RunError> {
        let reader = Reader::new(self.bucket(), self.started_at);
        for attempt in 1..=COMMIT_ATTEMPTS_MAX {
            let (prepared, mut counts, notices) = self.cancellable(self.prepare(&reader)).await?;
            let (version, committed, unlinked) = match prepared {
                Prepared::Nothing { base } => (base, false, Vec::new()),
                Prepared::Commit {
                    base,
                    staged,
                    refusals,
                    unlinked,
                } => {
                    let details = CommitDetails {
                        run_id: self.options.run_id.clone(),
                        mode: self.options.mode,
                        counts: counts.clone(),
                        committed_at: (self.options.clock)(),
                    };
                    match self.table.commit(base.as_ref(), staged, &refusals.open, &details).await {
                        Ok(version) => (version, true, unlinked),
                        // Another run committed between our load and our commit: the base is stale, and we start over.
                        Err(CommitError::Conflict { .. }) => {
                            let pause = async {
                                tokio::time::sleep(self.contention_delay(attempt)).await;
                                Ok(())
                            };
                            self.cancellable(pause).await?;
                            continue;
                        }
                        Err(CommitError::Table(error)) => return Err(error.into()),
                    }
                }
            };
            (self.options.progress)(Progress::Publishing);
            publish::publish_output(self.bucket(), &self.table, &version).await?;
            counts.images_removed = pictures::remove_unlinked(self.bucket(), &self.table, &version, &unlinked).await?;
            if committed {
                self.warn_of_clock_skew(self.bucket().head(keys::OUTPUT).await?.meta.modified);
            }
            vacuum::vacuum_daily(self.bucket(), &self.table, &version, self.started_at).await?;
            return Ok(Done {
                version: version.number(),
                committed,
                counts,
                notices,
            });
        }
        Err(RunError::Contended {
            attempts: COMMIT_ATTEMPTS_MAX,
        })
    }

    /// Base, list, plan, guards, read, pictures, apply, stage: nothing that a reader could reach is changed but copies of pictures.
    async fn prepare(&self, reader: &Reader<'_>) -> Result<(Prepared, Counts, Vec<SourceNotice>), RunError> {
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
        if let Some(newest) = found.newest_modified {
            self.warn_of_clock_ahead(newest);
        }
        plan::guard_deletions(found.census, self.options.deletion_guard)?;

        let Changes {
            users,
            ignored,
            census,
            csv_listed,
            images_listed,
            ..
        } = found;
        let reads = reader.read_all(users, progress).await?;
        let old_rows = self.old_rows(base.as_ref(), &reads).await?;
        let ignored_listed = count(ignored.len());
        let refusals = apply::refusals(&refusals_before, &old_rows, &reads, ignored, &self.options.run_id, self.started_at);
        let rejects_open = count(
            refusals
                .open
                .iter()
                .filter(|open| matches!(open.refusal, Refusal::Rejected(_)))
                .count(),
        );
        plan::guard_rejects(rejects_open, csv_listed + images_listed, self.options.reject_ratio_max)?;

        let pictures = pictures::settle(self.bucket(), &old_rows, &reads, progress).await?;
        let images_copied = count(
            pictures
                .iter()
                .filter(|picture| matches!(picture, apply::Picture::Copied(_)))
                .count(),
        );
        let outcome = apply::apply(&old_rows, reads, pictures, &self.options.run_id);
        drop(old_rows);
        let rows_before = base.as_ref().map_or(0, Version::row_count);
        let counts = Counts {
            listed: census.listed,
            csv_listed,
            images_listed,
            ignored: ignored_listed,
            users: (rows_before + outcome.counts.added).saturating_sub(outcome.counts.removed),
            images_copied,
            rejects_open,
            ..outcome.counts
        };
        let is_new_table = base.is_none();
        let prepared = match base {
            Some(base) if !outcome.is_visible && !refusals.is_visible => Prepared::Nothing { base },
            base => {
                progress(Progress::Committing);
                if is_new_table && self.options.writers == Writers::Many {
                    self.prove_create_if_absent().await?;
                }
                let staged = self.table.stage(base.as_ref(), outcome.edits).await?;
                Prepared::Commit {
                    base,
                    staged,
                    refusals,
                    unlinked: outcome.unlinked,
                }
            }
        };
        Ok((prepared, counts, outcome.notices))
    }

    async fn old_rows(&self, base: Option<&Version>, reads: &[crate::read::UserRead]) -> Result<BTreeMap<UserId, Row>, RunError> {
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
        let is_refused = !create().await? || !create().await?;
        self.bucket().delete(&key, None).await?;
        if is_refused { Ok(()) } else { Err(RunError::NoCreateIfAbsent) }
    }

    async fn cancellable<T>(&self, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.options.cancel.cancelled() => Err(RunError::Stopped),
            result = work => result,
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

    fn warn_of_clock_ahead(&self, newest: Timestamp) {
        if newest.duration_since((self.options.clock)()) > CLOCK_SKEW_MAX {
            self.warn_of_clock_skew(newest);
        }
    }

    fn warn_of_clock_skew(&self, store: Timestamp) {
        let skew = store.duration_since((self.options.clock)());
        if skew.abs() > CLOCK_SKEW_MAX {
            tracing::warn!(
                run.id = %self.options.run_id,
                skew_seconds = skew.as_secs(),
                "this machine's clock and the store's differ; births in the future and the age of the table are judged by this machine's"
            );
        }
    }

    fn bucket(&self) -> &dyn Bucket {
        self.lake.bucket.as_ref()
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
