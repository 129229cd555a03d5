//! The Jobs that the watch told of, and what a removed Job leaves behind.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use datalake_core::report::{RunId, RunOutcome};
use jiff::Timestamp;
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use kube::{api::DynamicObject, runtime::watcher::Event};

use super::job;
use crate::kubernetes::status;
use crate::run::{Run, RunParameters, RunState};

/// Names and runs of removed Jobs: four days of hourly ones.
const REMOVED_MAX: usize = 100;

/// What is known without asking. Locked for moments only.
#[derive(Debug, Default)]
pub(super) struct Known {
    jobs: BTreeMap<String, Arc<Job>>,
    /// Those of a listing that is under way.
    listed: BTreeMap<String, Arc<Job>>,
    /// The runs of failed Jobs with their pods' last words: a Job that has failed does so for good, so nobody is asked again.
    told: BTreeMap<String, Run>,
    /// The names of Jobs that are gone: none of them is given again. The newest last.
    removed: VecDeque<String>,
    /// The runs of Jobs that are gone: a run that left no report is known by nobody else. The newest last.
    gone: VecDeque<Run>,
    /// Counts what changed.
    changes: u64,
}

/// Whether the Job is one of the CronJob's: an hourly one, or made from its template by kubectl or by us.
pub(super) fn is_own(job: &Job, cron_job: &str) -> bool {
    let owners = job.metadata.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.kind == "CronJob" && owner.api_version.starts_with("batch/"));
    owners.any(|owner| owner.name == cron_job)
}

/// What the newest Job is the greatest by; of one second, the names decide.
pub(super) fn age_order(job: &Job) -> (Option<Time>, Option<String>) {
    (job.metadata.creation_timestamp.clone(), job.metadata.name.clone())
}

impl Known {
    /// Takes in what the watch tells.
    pub(super) fn take_in(&mut self, event: Event<Job>, cron_job: &str, now: Timestamp) {
        self.changes += 1;
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(job) => insert(&mut self.listed, job, cron_job),
            Event::InitDone => {
                let before = std::mem::replace(&mut self.jobs, std::mem::take(&mut self.listed));
                for (name, job) in before {
                    // One that was made anew under its name is another run's.
                    let is_gone = self.jobs.get(&name).is_none_or(|present| present.metadata.uid != job.metadata.uid);
                    if is_gone {
                        self.remove(name, &job, now);
                    }
                }
            }
            Event::Apply(job) => insert(&mut self.jobs, job, cron_job),
            Event::Delete(job) => {
                if let Some(name) = job.metadata.name.clone()
                    && is_own(&job, cron_job)
                {
                    self.jobs.remove(&name);
                    self.remove(name, &job, now);
                }
            }
        }
    }

    /// Holds a Job before the watch tells of it; not one of which the watch has told that it is gone.
    pub(super) fn hold(&mut self, job: Arc<Job>) {
        if let Some(name) = job.metadata.name.clone()
            && !self.removed.contains(&name)
            && !self.jobs.contains_key(&name)
        {
            self.changes += 1;
            self.jobs.insert(name, job);
        }
    }

    /// Every Job, and every run that a removed one left.
    pub(super) fn all(&self) -> (Vec<Arc<Job>>, Vec<Run>) {
        let is_gone = |run: &&Run| !self.jobs.contains_key(run.run_id.as_str());
        (
            self.jobs.values().cloned().collect(),
            self.gone.iter().filter(is_gone).cloned().collect(),
        )
    }

    /// A number that is another one after each change.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The run of a failed Job as its pods told it.
    pub(super) fn told(&self, job: &Job) -> Option<Run> {
        self.told.get(told_key(job)?).cloned()
    }

    /// Remembers the run of a failed Job with what its pods told.
    pub(super) fn tell(&mut self, job: &Job, run: Run) {
        if let Some(key) = told_key(job)
            && status::is_failed(job)
        {
            self.told.insert(key.to_owned(), run);
        }
    }

    /// The failed Jobs whose pods were not heard yet.
    pub(super) fn untold(&self) -> Vec<Arc<Job>> {
        let is_untold = |job: &&Arc<Job>| status::is_failed(job) && told_key(job).is_some_and(|key| !self.told.contains_key(key));
        self.jobs.values().filter(is_untold).cloned().collect()
    }

    /// The name of the next Job: equal on replicas that see the same Jobs and have the same request, and never a name that is or was in use.
    /// `own` are the Jobs that exist, the newest last; `taken` are further names in use.
    pub(super) fn name_after(&self, cron_job: &DynamicObject, own: &[Job], taken: &[RunId], parameters: &RunParameters) -> RunId {
        let stem = cron_job.metadata.name.as_deref().unwrap_or_default();
        let seed = job::seed_after(cron_job, own.last(), parameters);
        let is_used = |name: &RunId| {
            self.removed.iter().any(|removed| removed == name.as_str())
                || own.iter().any(|job| job.metadata.name.as_deref() == Some(name.as_str()))
                || taken.contains(name)
        };
        let names = (0_u32..).map(|number| job::job_name(stem, &format!("{seed}, {number}")));
        let mut unused = names.filter(|name| !is_used(name));
        unused.next().expect("finitely many names are in use")
    }

    fn remove(&mut self, name: String, job: &Job, now: Timestamp) {
        let told = told_key(job).and_then(|key| self.told.remove(key));
        let run = told
            .or_else(|| status::run_of(job, None, now))
            .map(|run| match status::is_ended(job) {
                true => run,
                false => Run {
                    state: RunState::Ended(RunOutcome::Stopped),
                    ended_at: Some(now),
                    error: Some("its Job was deleted".to_owned()),
                    ..run
                },
            });
        if let Some(run) = run {
            self.gone.retain(|gone| gone.run_id != run.run_id);
            push(&mut self.gone, run);
        }
        push(&mut self.removed, name);
    }
}

/// What a Job is told by from one of the same name.
fn told_key(job: &Job) -> Option<&str> {
    job.metadata.uid.as_deref()
}

fn insert(jobs: &mut BTreeMap<String, Arc<Job>>, job: Job, cron_job: &str) {
    if let Some(name) = job.metadata.name.clone()
        && is_own(&job, cron_job)
    {
        jobs.insert(name, Arc::new(job));
    }
}

fn push<T>(queue: &mut VecDeque<T>, entry: T) {
    if queue.len() == REMOVED_MAX {
        queue.pop_front();
    }
    queue.push_back(entry);
}

#[cfg(test)]
mod tests;
