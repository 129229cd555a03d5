//! The Jobs that the watch told of, and what a deleted Job leaves behind.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use datalake_core::report::{RunId, RunOutcome};
use jiff::Timestamp;
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use kube::runtime::watcher::Event;

use super::{fold, job};
use crate::launcher::{Run, RunState, joined::Joined};

/// Names of removed Jobs, and runs that were stopped so: four days of hourly ones.
const REMOVED_MAX: usize = 100;

/// What is known without asking. Locked for moments only.
#[derive(Debug, Default)]
pub(super) struct Known {
    jobs: BTreeMap<String, Arc<Job>>,
    /// Those of a listing that is under way.
    listed: BTreeMap<String, Arc<Job>>,
    /// The names of Jobs that are gone: none of them is given again. The newest last.
    removed: VecDeque<String>,
    /// Runs whose Jobs were deleted before they ended. The newest last.
    stopped: VecDeque<Run>,
    joined: Joined,
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
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(job) => insert(&mut self.listed, job, cron_job),
            Event::InitDone => {
                let before = std::mem::replace(&mut self.jobs, std::mem::take(&mut self.listed));
                for (name, job) in before {
                    if !self.jobs.contains_key(&name) {
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
        {
            self.jobs.entry(name).or_insert(job);
        }
    }

    /// Every Job, and every run that a deleted one left.
    pub(super) fn all(&self) -> (Vec<Arc<Job>>, Vec<Run>) {
        let is_gone = |run: &&Run| !self.jobs.contains_key(run.run_id.as_str());
        (
            self.jobs.values().cloned().collect(),
            self.stopped.iter().filter(is_gone).cloned().collect(),
        )
    }

    /// The Job of that name, and the run that a deleted one left.
    pub(super) fn find(&self, run_id: &RunId) -> (Option<Arc<Job>>, Option<Run>) {
        let stopped = self.stopped.iter().rev().find(|run| run.run_id == *run_id);
        (self.jobs.get(run_id.as_str()).cloned(), stopped.cloned())
    }

    /// The run that a wish joined; the wished one itself where it joined none.
    pub(super) fn answer(&self, wished: &RunId) -> RunId {
        self.joined.answer(wished).clone()
    }

    /// Remembers which run a wish joined.
    pub(super) fn remember_joined(&mut self, wished: RunId, joined: RunId) {
        self.joined.remember(wished, joined);
    }

    /// The name of the Job that comes after `newest`. Whoever knows the same Jobs gives the same name; none is given twice.
    pub(super) fn name_after(&self, cron_job: &str, newest: Option<&Job>) -> RunId {
        let newest = newest.and_then(|job| job.metadata.uid.as_deref()).unwrap_or("none");
        let names = (0_u32..).map(|number| job::job_name(cron_job, &format!("after {newest}, {number}")));
        let mut unused = names.filter(|name| !self.removed.iter().any(|removed| removed == name.as_str()));
        unused.next().expect("finitely many names are removed")
    }

    fn remove(&mut self, name: String, job: &Job, now: Timestamp) {
        if fold::is_ended(job) {
            push(&mut self.removed, name);
            return;
        }
        if let Some(run) = fold::run_of(job, &[], now) {
            let run = Run {
                state: RunState::Ended(RunOutcome::Stopped),
                ended_at: Some(now),
                error: Some("its Job was deleted".to_owned()),
                ..run
            };
            push(&mut self.stopped, run);
        }
        push(&mut self.removed, name);
    }
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
