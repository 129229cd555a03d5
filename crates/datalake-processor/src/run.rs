//! One run from its first request to its report.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, GuardError, ListingStats, SourceChange},
    reject::RejectCode,
    report::{BlockedDeletions, Counts, Repaired, Requests, RunOutcome, RunReport},
    row::Row,
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
    single_writer::SingleWriter,
};
use datalake_table::{
    delta::{
        commit::CommitAttempt,
        stage::Staged,
        version::{Lost, Version},
    },
    digest::Digest,
    error::CommitError,
    table::{CommitDetails, Table},
};
use tokio::time::Instant;

use crate::{
    apply::{self, Refusals},
    changes::{self, Changes, Scope},
    error::RunError,
    fence::Fence,
    healing::{self, Finding},
    image_notes::{self, ImageNote},
    images,
    options::{Lake, Progress, RunOptions, Writers, cancellable},
    publish,
    read::{CsvRead, Reader, UserRead},
    settle::{self, Settled},
    store_check, vacuum,
};

/// Attempts before giving up: each is lost to a run that committed, or repeated because the process was paused, or commits what an earlier
/// attempt of the same run could not.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// Waited at most before the n-th new attempt, times n, so that two runs that lose to each other drift apart.
const CONTENTION_DELAY_MAX: Duration = Duration::from_millis(250);

/// Runs once and writes the report. Returns the report whether or not the run succeeded; a failure is the caller's to show.
pub async fn run(lake: &Lake, options: &RunOptions) -> RunReport {
    let (started_at, start) = ((options.clock)(), Instant::now());
    let requests_before = lake.requests.snapshot();
    tracing::info!(run.id = %options.run_id, mode = options.mode.as_str(), "run started");

    let mut report = RunReport {
        run_id: options.run_id.clone(),
        outcome: RunOutcome::Succeeded,
        mode: options.mode,
        started_at,
        ended_at: started_at,
        elapsed_ms: 0,
        version: None,
        committed: Some(false),
        counts: Counts::default(),
        requests: Requests::default(),
        notices: Vec::new(),
        rejects: Vec::new(),
        clock_skew_seconds: None,
        allow_mass_delete_of: options.allow_mass_delete_of.clone(),
        blocked_deletions: None,
        repaired: None,
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
            tracing::info!(run.id = %options.run_id, version = report.version, committed = report.committed, elapsed_ms = report.elapsed_ms, "run succeeded");
        }
        Err(error) => {
            report.outcome = error.outcome();
            report.error = Some(match (report.committed, report.version) {
                (Some(true), Some(version)) => format!(
                    "version {version} was committed, and the run failed after that: {}",
                    error.in_words()
                ),
                _ => error.in_words(),
            });
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

/// What one attempt of a run leaves to the next one.
struct Progressed {
    note: ImageNote,
    /// The version that was read last; what it has lost was found out.
    base: Option<Version>,
    /// Derived objects that were found to be missing or damaged, of the version of this digest.
    lost: Option<(Digest, Lost)>,
    /// Users whose image has no bytes any more: their sources are read whatever the table recorded.
    reread: BTreeSet<UserId>,
    /// Commits whose outcome is not known.
    unknown: Vec<CommitAttempt>,
    /// What the commits of earlier attempts changed.
    committed: Counts,
}

impl Progressed {
    /// Moves what an attempt changed from the report to the counts of earlier attempts. What it found stays until the next attempt has listed.
    fn keep_counts(&mut self, report: &mut RunReport) {
        self.committed = sum(&report.counts, &self.committed);
        report.counts = Counts {
            csv_read: 0,
            images_read: 0,
            added: 0,
            changed: 0,
            removed: 0,
            images_copied: 0,
            images_removed: 0,
            ..report.counts.clone()
        };
    }
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
    /// Users whose images were copied for the first version.
    fresh: BTreeSet<UserId>,
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
        let mut progressed = Progressed {
            note: ImageNote::new(&self.options.run_id),
            base: None,
            lost: None,
            reread: BTreeSet::new(),
            unknown: Vec::new(),
            committed: Counts::default(),
        };
        let result = self.attempts(&reader, &mut progressed, report).await;
        report.counts = sum(&report.counts, &progressed.committed);
        for attempt in progressed.unknown {
            if report.committed == Some(true) {
                break;
            }
            // A failure here leaves the outcome unknown, and says nothing that the run's own failure does not say.
            let outcome = self.table.is_committed(&attempt).await.unwrap_or(None);
            if outcome == Some(true) {
                report.version = report.version.or(Some(attempt.number));
            }
            report.committed = match (report.committed, outcome) {
                (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        result
    }

    async fn attempts(&self, reader: &Reader<'_>, progressed: &mut Progressed, report: &mut RunReport) -> Result<(), RunError> {
        let mut attempt = 1;
        while attempt <= COMMIT_ATTEMPTS_MAX {
            let prepared = match cancellable(&self.options.cancel, self.prepare(reader, progressed, report)).await {
                Ok(prepared) => prepared,
                Err(error) => {
                    if !cancellable(&self.options.cancel, self.can_recover(progressed, &error)).await? {
                        return Err(error);
                    }
                    attempt += 1;
                    continue;
                }
            };
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
                        report.committed = Some(true);
                        version
                    }
                    // The base is stale, or this process was too slow to commit safely: start over.
                    Err(CommitError::Conflict { .. } | CommitError::Stale { .. }) => {
                        self.wait_before(attempt).await?;
                        attempt += 1;
                        continue;
                    }
                    Err(CommitError::Unknown { attempt: tried, source }) => {
                        tracing::warn!(
                            table.version = tried.number,
                            "the outcome of the commit is not known; reading the table again"
                        );
                        if !simulation::has(Bug::UnknownCommitIsDenied) {
                            progressed.unknown.push(tried);
                        }
                        if let Some(error) = source {
                            return Err((*error).into());
                        }
                        self.wait_before(attempt).await?;
                        attempt += 1;
                        continue;
                    }
                    Err(CommitError::Table(error)) => return Err(error.into()),
                },
            };
            report.version = Some(version.number());
            report.counts = prepared.counts;
            let lost = match self.finish(&version, &prepared.fresh, progressed, report).await {
                Ok(lost) => lost,
                Err(error) => {
                    progressed.base = Some(version);
                    if !self.can_recover(progressed, &error).await? {
                        return Err(error);
                    }
                    progressed.keep_counts(report);
                    attempt += 1;
                    continue;
                }
            };
            // What was read for such a user already is as the sources have it now: the next run sees the next change.
            let again: BTreeSet<UserId> = lost.difference(&progressed.reread).cloned().collect();
            if again.is_empty() || simulation::has(Bug::LostImagesAreIgnored) {
                return Ok(());
            }
            tracing::warn!(
                users = again.len(),
                "images were replaced before they were copied; reading them again"
            );
            progressed.reread.extend(again);
            progressed.keep_counts(report);
            attempt += 1;
        }
        Err(RunError::Contended {
            attempts: COMMIT_ATTEMPTS_MAX,
        })
    }

    /// Whether a failure to read the table comes from a version that was superseded, or from derived objects that are lost: the next attempt
    /// reads the newest version, and does without what is lost.
    async fn can_recover(&self, progressed: &mut Progressed, failure: &RunError) -> Result<bool, RunError> {
        let Some(base) = &progressed.base else { return Ok(false) };
        let found = healing::find_lost(self.bucket(), &self.table, base, failure, self.options.second_look_after).await?;
        let lost = match found {
            Finding::Nothing => return Ok(false),
            Finding::Superseded => return Ok(true),
            Finding::Lost(lost) => lost,
        };
        tracing::warn!(
            table.version = base.number(),
            data_files = lost.data_files.len(),
            rows = lost.row_count(),
            rejects_file = lost.refusals,
            "derived objects of the table are lost; replacing them from the sources"
        );
        progressed.lost = Some((base.digest(), lost));
        Ok(true)
    }

    /// The newest version, without what was found to be lost of it.
    async fn load_base(&self, progressed: &mut Progressed) -> Result<Option<Version>, RunError> {
        let mut base = self.table.latest().await?;
        if let (Some(version), Some((digest, lost))) = (&base, &progressed.lost)
            && version.digest() == *digest
        {
            base = Some(version.without(lost.clone()));
        }
        progressed.base.clone_from(&base);
        Ok(base)
    }

    /// Base, list, plan, guards, read: nothing is changed.
    async fn ingest(&self, reader: &Reader<'_>, progressed: &mut Progressed, report: &mut RunReport) -> Result<Ingested, RunError> {
        let progress = self.options.progress.as_ref();
        let base = self.load_base(progressed).await?;
        let refusals_before = match &base {
            Some(version) => self.table.refusals(version).await?,
            None => Vec::new(),
        };
        let scope = Scope {
            base: base.as_ref(),
            refusals: &refusals_before,
            mode: self.options.mode,
            reread: &progressed.reread,
            run_at: report.started_at,
        };
        let found = changes::find(self.bucket(), &self.table, scope, progress).await?;
        let Changes {
            users,
            ignored,
            ignored_count,
            mut census,
            csv_listed,
            images_listed,
            rederived,
        } = found;
        let lost_rows = base.as_ref().map_or(0, |base| base.lost().row_count());
        let lost_and_gone = lost_rows.saturating_sub(rederived);
        let found = base.as_ref().and_then(|base| found_lost(base, lost_and_gone));
        if found.is_some() || report.committed != Some(true) {
            report.repaired = found;
        }
        let (lost_rows, lost_and_gone) = match simulation::has(Bug::HealingForgetsLostRows) {
            true => (0, 0),
            false => (lost_rows, lost_and_gone),
        };
        census.known += lost_rows;
        census.gone += lost_and_gone;
        report.counts = Counts {
            listed: census.listed,
            csv_listed,
            images_listed,
            ignored: ignored_count,
            users: base.as_ref().map_or(0, Version::row_count),
            ..Counts::default()
        };
        let gone = users.iter().filter(|change| change.csv == SourceChange::Removed);
        let gone = gone.map(|change| &change.user_id).collect();
        self.guard_deletions(census, gone, report).await?;

        let reads = reader.read_all(users, csv_listed + images_listed, progress).await?;
        let old_rows = self.old_rows(base.as_ref(), &reads).await?;
        // Sources may vanish while they are read, as when a file system is unmounted: such a run is none to believe, either.
        let gone = apply::gone(&refusals_before, &old_rows, &reads);
        let after_reading = ListingStats {
            gone: count(gone.len()) + lost_and_gone,
            ..census
        };
        self.guard_deletions(after_reading, gone, report).await?;

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
            normalized: counts.normalized,
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
        if base.is_none() {
            require_a_user(&reads, csv_listed)?;
        }
        Ok(Ingested {
            base,
            old_rows,
            reads,
            refusals,
        })
    }

    /// Refuses a mass deletion, unless the very removals are allowed that a blocked run reported.
    async fn guard_deletions(&self, census: ListingStats, mut gone: Vec<&UserId>, report: &mut RunReport) -> Result<(), RunError> {
        let Err(blocked) = plan::guard_deletions(census, self.options.deletion_guard) else {
            return Ok(());
        };
        if census.known <= 10 && simulation::has(Bug::GuardSparesSmallLakes) {
            return Ok(());
        }
        gone.sort_unstable();
        gone.dedup();
        let ids: String = gone.iter().flat_map(|user_id| [user_id.as_str(), "\n"]).collect();
        let deletions = BlockedDeletions {
            count: census.gone,
            known: census.known,
            digest: Digest::of(ids.as_bytes()).to_string(),
            users: gone.iter().take(RunReport::NOTICES_MAX).map(ToString::to_string).collect(),
        };
        let refusal = match &self.options.allow_mass_delete_of {
            None => blocked,
            Some(run_id) => {
                let allowed = self.blocked_deletions_of(run_id).await?;
                // The digest is of users whose row is known; the count includes those of lost files.
                if (&allowed.digest, allowed.count) == (&deletions.digest, deletions.count) {
                    return Ok(());
                }
                GuardError::OtherDeletions {
                    gone: census.gone,
                    known: census.known,
                }
            }
        };
        report.blocked_deletions = Some(deletions);
        Err(refusal.into())
    }

    async fn blocked_deletions_of(&self, run_id: &datalake_core::report::RunId) -> Result<BlockedDeletions, RunError> {
        let none = || RunError::NoBlockedRun { run_id: run_id.clone() };
        let object = match self.bucket().get(&keys::run_report(run_id), None, None).await {
            Ok(object) => object,
            Err(StoreError::NotFound { .. }) => return Err(none()),
            Err(error) => return Err(error.into()),
        };
        let report: RunReport = serde_json::from_slice(&object.bytes).map_err(|_| none())?;
        report.blocked_deletions.ok_or_else(none)
    }

    /// Ingest, copy new images, apply, stage: nothing that a reader could reach is changed.
    async fn prepare(&self, reader: &Reader<'_>, progressed: &mut Progressed, report: &mut RunReport) -> Result<Prepared, RunError> {
        let progress = self.options.progress.as_ref();
        let Ingested {
            base,
            old_rows,
            reads,
            refusals,
        } = self.ingest(reader, progressed, report).await?;
        let verdicts = images::judge(reader, &old_rows, &reads).await?;
        let notes_images = base.is_some() || !simulation::has(Bug::NotesOfFirstRunsAreSkipped);
        if notes_images {
            let changed = images::changed(&old_rows, &reads, &verdicts);
            progressed.note.record(self.bucket(), changed).await?;
        }
        // Before the first version no other run removes copies, so that those that are made now need no second look.
        let is_fresh = |(_, verdict): &(&UserRead, &images::Verdict)| base.is_none() && **verdict == images::Verdict::New;
        let fresh = reads
            .iter()
            .zip(&verdicts)
            .filter(is_fresh)
            .map(|(read, _)| read.user_id.clone())
            .collect();
        let fence = Fence::new(self.bucket());
        let images = images::copy_new(&fence, &reads, &verdicts, progress).await?;
        let outcome = apply::apply(&old_rows, reads, images, &self.options.run_id);
        let has_lost = base.as_ref().is_some_and(|base| !base.lost().is_empty());
        let ignored_changed = base.as_ref().and_then(Version::ignored) != refusals.ignored_beyond(report.counts.ignored);
        let is_visible = outcome.is_visible || refusals.is_visible || ignored_changed || has_lost;
        if is_visible && notes_images {
            progressed.note.record(self.bucket(), outcome.touched).await?;
        }
        drop(old_rows);
        let counts = Counts {
            added: outcome.counts.added,
            changed: outcome.counts.changed,
            removed: outcome.counts.removed,
            users: (report.counts.users + outcome.counts.added).saturating_sub(outcome.counts.removed),
            images_copied: outcome.linked,
            ..report.counts.clone()
        };
        let step = match base {
            Some(base) if !is_visible => Step::Nothing { base },
            base => {
                progress(Progress::Committing);
                if self.options.writers == Writers::Many {
                    store_check::require_create_if_absent(self.bucket()).await?;
                }
                let staged = self.table.stage(base.as_ref(), outcome.edits).await?;
                Step::Commit { base, staged }
            }
        };
        Ok(Prepared {
            step,
            refusals,
            counts,
            fresh,
        })
    }

    /// Makes what derives from the newest version, whether or not it is the run's own. Returns the users whose row links an image that has no
    /// bytes any more.
    async fn finish(
        &self,
        version: &Version,
        fresh: &BTreeSet<UserId>,
        progressed: &mut Progressed,
        report: &mut RunReport,
    ) -> Result<BTreeSet<UserId>, RunError> {
        (self.options.progress)(Progress::Publishing);
        let (bucket, table, note) = (self.bucket(), &self.table, &mut progressed.note);
        let newest = publish::publish_output(bucket, table, version).await?;
        let now = bucket.fenced().await?.store_time;
        report.clock_skew_seconds = RunReport::clock_skew_seconds(now, (self.options.clock)());
        let others = image_notes::others(bucket, note, now).await?;
        // A copy that was made for the first version needs no look, unless another run noted the same user or committed since.
        let is_own = report.committed == Some(true) && newest.id() == version.id();
        let fresh: BTreeSet<UserId> = if is_own {
            fresh
                .iter()
                .filter(|user_id| !others.users.contains_key(*user_id))
                .cloned()
                .collect()
        } else {
            BTreeSet::new()
        };
        let mut users = others.users;
        users.extend(note.users().iter().map(|user_id| (user_id.clone(), true)));
        let mut lost = BTreeSet::new();
        let mut settled_at = newest;
        if !users.is_empty() {
            let settled = settle::settle(bucket, table, &settled_at, &users, &fresh).await?;
            let Settled {
                version,
                removed,
                lost: found,
            } = settled;
            report.counts.images_removed += removed;
            (settled_at, lost) = (version, found);
        }
        for key in others.expired {
            bucket.delete(&key, None).await?;
        }
        let is_final = lost.iter().all(|user_id| progressed.reread.contains(user_id));
        if is_final {
            note.clear(bucket).await?;
        }
        if !is_final {
            // The next attempt reads these users again, and needs the note until then.
            return Ok(lost);
        }
        match vacuum::vacuum_daily(bucket, table, &settled_at, note, now).await {
            Ok(found) => lost.extend(found),
            Err(error) => {
                tracing::warn!(run.id = %self.options.run_id, error = error.in_words(), "vacuum failed; the next run tries again");
            }
        }
        Ok(lost)
    }

    /// Lets a run that won finish, so that two runs do not lose to each other again and again.
    async fn wait_before(&self, attempt: u32) -> Result<(), RunError> {
        let pause = async {
            tokio::time::sleep(CONTENTION_DELAY_MAX.mul_f64((self.options.jitter)().clamp(0.0, 1.0)) * attempt).await;
            Ok(())
        };
        cancellable(&self.options.cancel, pause).await
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

    fn bucket(&self) -> &dyn Bucket {
        self.table.bucket().as_ref()
    }
}

/// Fails if a first run could read none of its users: a table without them would be published.
fn require_a_user(reads: &[UserRead], listed: u64) -> Result<(), RunError> {
    let is_unread = |read: &&UserRead| match &read.csv {
        CsvRead::Gone => true,
        CsvRead::Rejected { reject, .. } => reject.code == RejectCode::Unstable,
        CsvRead::Same | CsvRead::Good { .. } => false,
    };
    let unread = count(reads.iter().filter(is_unread).count());
    let has_users = reads.iter().any(|read| matches!(read.csv, CsvRead::Good { .. }));
    match !has_users && unread.saturating_mul(2) > listed {
        true => Err(RunError::Unread { unread, listed }),
        false => Ok(()),
    }
}

/// What a run has found to be lost of its base, and cannot derive again for so many rows.
fn found_lost(base: &Version, rows_lost: u64) -> Option<Repaired> {
    let lost = base.lost();
    (!lost.is_empty()).then(|| Repaired {
        data_files: lost.data_files.iter().map(|file| file.key()).collect(),
        rejects_file: lost.refusals,
        rows: lost.row_count(),
        rows_lost,
    })
}

/// The counts of a run that committed more than once: what it changed adds up, what it found is as it was found last.
fn sum(last: &Counts, before: &Counts) -> Counts {
    Counts {
        csv_read: last.csv_read + before.csv_read,
        images_read: last.images_read + before.images_read,
        added: last.added + before.added,
        changed: last.changed + before.changed,
        removed: last.removed + before.removed,
        images_copied: last.images_copied + before.images_copied,
        images_removed: last.images_removed + before.images_removed,
        ..last.clone()
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
