//! The Jobs that the watch reported, and the runs of Jobs that were removed since.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use datalake_core::run::{RunId, RunOutcome};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{api::DynamicObject, runtime::watcher::Event};

use super::{job, status};
use crate::run::{Run, RunParameters, RunState};

/// Names and runs of removed Jobs that are kept: four days of hourly runs.
const REMOVED_MAX: usize = 100;

/// What is known about Jobs without a request to Kubernetes.
#[derive(Debug, Default)]
pub(super) struct JobCache {
    jobs: BTreeMap<String, Arc<Job>>,
    /// The Jobs of a list that is not complete yet.
    listed: BTreeMap<String, Arc<Job>>,
    /// The runs of failed Jobs with the messages of their pods, by the Job's uid. A failed Job does not change, so its pods are read once.
    failures: BTreeMap<String, Run>,
    /// The names of removed Jobs, which are never used again, in ascending order of time.
    removed_names: VecDeque<String>,
    /// The runs of removed Jobs, in ascending order of time. A run without a report is known only here.
    removed_runs: VecDeque<Run>,
    revision: u64,
}

impl JobCache {
    /// Applies an event of the watch. Jobs that do not belong to the CronJob are ignored.
    pub(super) fn apply_event(&mut self, event: Event<Job>, cron_job: &str, now: Timestamp) {
        self.revision += 1;
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(job) => apply(&mut self.listed, job, cron_job),
            Event::InitDone => {
                let before = std::mem::replace(&mut self.jobs, std::mem::take(&mut self.listed));
                for (name, job) in before {
                    // A new Job of the same name is another run.
                    let is_removed = self.jobs.get(&name).is_none_or(|present| present.metadata.uid != job.metadata.uid);
                    if is_removed {
                        self.remove(name, &job, now);
                    }
                }
            }
            Event::Apply(job) => apply(&mut self.jobs, job, cron_job),
            Event::Delete(job) => {
                if let Some(name) = job.metadata.name.clone()
                    && job::is_owned_by(&job, cron_job)
                {
                    self.jobs.remove(&name);
                    self.remove(name, &job, now);
                }
            }
        }
    }

    /// Adds a Job that the watch has not reported yet. Has no effect if the watch reported the Job or its removal.
    pub(super) fn insert(&mut self, job: Arc<Job>) {
        if let Some(name) = job.metadata.name.clone()
            && !self.removed_names.contains(&name)
            && !self.jobs.contains_key(&name)
        {
            self.revision += 1;
            self.jobs.insert(name, job);
        }
    }

    /// Every Job, and the runs of the removed ones.
    pub(super) fn all(&self) -> (Vec<Arc<Job>>, Vec<Run>) {
        let is_removed = |run: &&Run| !self.jobs.contains_key(run.run_id.as_str());
        (
            self.jobs.values().cloned().collect(),
            self.removed_runs.iter().filter(is_removed).cloned().collect(),
        )
    }

    /// A number that increases with each change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The recorded run of a failed Job.
    pub(super) fn failure(&self, job: &Job) -> Option<Run> {
        self.failures.get(job.metadata.uid.as_deref()?).cloned()
    }

    /// Records the run of a failed Job with the messages of its pods. Has no effect if the Job has not failed.
    pub(super) fn record_failure(&mut self, job: &Job, run: Run) {
        if let Some(uid) = &job.metadata.uid
            && status::is_failed(job)
        {
            self.failures.insert(uid.clone(), run);
        }
    }

    /// The failed Jobs without a recorded run.
    pub(super) fn unrecorded_failures(&self) -> Vec<Arc<Job>> {
        let is_unrecorded = |job: &&Arc<Job>| {
            let uid = job.metadata.uid.as_ref();
            status::is_failed(job) && uid.is_some_and(|uid| !self.failures.contains_key(uid))
        };
        self.jobs.values().filter(is_unrecorded).cloned().collect()
    }

    /// The name of the next Job: the same on replicas that see the same Jobs and have the same request, and never a name that is or was in use.
    /// `present` are the Jobs that exist, in ascending order of creation; `used` are further names in use.
    pub(super) fn next_name(&self, cron_job: &DynamicObject, present: &[Job], used: &[RunId], parameters: &RunParameters) -> RunId {
        let stem = cron_job.metadata.name.as_deref().unwrap_or_default();
        let seed = job::seed_after(cron_job, present.last(), parameters);
        let is_used = |name: &RunId| {
            self.removed_names.iter().any(|removed| removed == name.as_str())
                || present.iter().any(|job| job.metadata.name.as_deref() == Some(name.as_str()))
                || used.contains(name)
        };
        let names = (0_u32..).map(|number| job::job_name(stem, &format!("{seed}, {number}")));
        let mut unused = names.filter(|name| !is_used(name));
        unused.next().expect("finitely many names are in use")
    }

    fn remove(&mut self, name: String, job: &Job, now: Timestamp) {
        let recorded = job.metadata.uid.as_ref().and_then(|uid| self.failures.remove(uid));
        let run = recorded
            .or_else(|| status::run_of(job, None, now))
            .map(|run| match status::is_ended(job) {
                true => run,
                false => Run {
                    state: RunState::Ended(RunOutcome::Stopped),
                    ended_at: Some(now),
                    error: Some(status::DELETED.to_owned()),
                    ..run
                },
            });
        if let Some(run) = run {
            self.removed_runs.retain(|removed| removed.run_id != run.run_id);
            push(&mut self.removed_runs, run);
        }
        push(&mut self.removed_names, name);
    }
}

fn apply(jobs: &mut BTreeMap<String, Arc<Job>>, job: Job, cron_job: &str) {
    if let Some(name) = job.metadata.name.clone()
        && job::is_owned_by(&job, cron_job)
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
