//! Which run a request joins while runs are active: one that provably starts to read after the request arrived.
//!
//! The proof is a consistent read. Either the Job is absent from a list taken on arrival; or a list taken after the arrival shows no pod of the Job
//! that is bound to a node, and the Job, read after that list, is active and has counted no pod. The watch, states and times prove nothing, because
//! they may be outdated.

use std::{collections::BTreeSet, sync::Arc};

use datalake_core::{error_chain::error_chain, run::RunId};
use k8s_openapi::api::batch::v1::Job;
use kube::api::DynamicObject;
use serde_json::json;
use tokio::sync::Mutex;

use super::{client::ClusterClient, job, pod, status};
use crate::{
    launcher::{LaunchError, LogicalTime, RunRequest},
    run::RunParameters,
};

/// The prefix of annotations that record the keys that joined a Job. The admission policy allows the API to add no others.
const JOINED: &str = "datalake/joined-";

/// The last list that was taken for arrivals, and when it started. Requests that arrived before it share it.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Option<(LogicalTime, Arrival)>>);

/// The uids of the Jobs that existed at some time after a request arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival(Arc<BTreeSet<String>>);

impl Arrivals {
    /// The Jobs that exist, from a list that starts after the request arrived.
    pub(super) async fn list(&self, client: &ClusterClient, arrived: LogicalTime) -> Result<Arrival, LaunchError> {
        let mut last = self.0.lock().await;
        if let Some((started, arrival)) = &*last
            && arrived < *started
        {
            return Ok(arrival.clone());
        }
        let started = LogicalTime::now();
        let arrival = Arrival::new(&client.list_jobs().await?);
        *last = Some((started, arrival.clone()));
        Ok(arrival)
    }
}

impl Arrival {
    fn new(present: &[Job]) -> Self {
        Self(Arc::new(present.iter().filter_map(|job| job.metadata.uid.clone()).collect()))
    }

    /// Whether the Job was created after the request arrived.
    fn precedes(&self, job: &Job) -> bool {
        job.metadata.uid.as_ref().is_some_and(|uid| !self.0.contains(uid))
    }
}

/// The Job whose run the request may join. `present` was listed after `arrival`.
pub(super) async fn find_joinable(
    client: &ClusterClient,
    present: &[Job],
    arrival: &Arrival,
    cron_job: &DynamicObject,
    request: &RunRequest,
) -> Result<Option<Job>, LaunchError> {
    let mut candidates: Vec<&Job> = present.iter().rev().filter(|job| includes(job, cron_job, request)).collect();
    if !request.trigger.needs_later_read() {
        return Ok(candidates.into_iter().find(|job| status::is_active(job)).cloned());
    }
    if let Some(job) = candidates.iter().find(|job| arrival.precedes(job) && may_succeed(job)) {
        return Ok(Some((*job).clone()));
    }
    candidates.retain(|job| status::has_no_pod_counted(job));
    let names: Vec<&str> = candidates.iter().filter_map(|job| job.metadata.name.as_deref()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    // The order of the two reads is the proof: a pod that ended before the list was counted before the Job is read.
    let Some(pods) = client.list_pods(&names).await else {
        return Ok(None);
    };
    for (candidate, name) in candidates.iter().zip(&names) {
        if pods.iter().any(|pod| pod::is_owned_by(pod, name) && pod::is_bound(pod)) {
            continue;
        }
        let is_same = |job: &Job| job.metadata.uid == candidate.metadata.uid;
        let read = client.get_job(name).await?;
        if let Some(job) = read.filter(|job| is_same(job) && status::has_no_pod_counted(job)) {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// Joins the Job with the request. A key is first recorded on the Job, so that every replica knows it. Returns none if that is impossible: the key
/// then needs its own run.
pub(super) async fn join(client: &ClusterClient, job: Job, request: &RunRequest) -> Result<Option<Job>, LaunchError> {
    let Some(key) = request.run_id.as_ref().filter(|_| request.trigger.needs_later_read()) else {
        return Ok(Some(job));
    };
    if let Err(error) = client
        .annotate_job(&job, &annotation(key), &annotation_value(&request.parameters))
        .await
    {
        tracing::warn!(
            run.id = job.metadata.name.as_deref().unwrap_or_default(),
            error = error_chain(&error),
            "cannot record the idempotency key on the Job; starting another run"
        );
        return Ok(None);
    }
    // Another replica may have started the run of the key since the Jobs were listed. Later requests with the key find that run.
    match client.get_job(key.as_str()).await? {
        Some(started) => check_key(key, job::parameters_of(&started) == request.parameters).map(|()| Some(started)),
        None => Ok(Some(job)),
    }
}

/// Whether the Job's run includes everything that the request needs.
pub(super) fn includes(job: &Job, cron_job: &DynamicObject, request: &RunRequest) -> bool {
    !status::is_suspended(job) && job::parameters_of(job).covers(&request.parameters) && job::matches_template(job, cron_job)
}

/// Whether the Job's run has succeeded or may succeed.
pub(super) fn may_succeed(job: &Job) -> bool {
    status::is_active(job) || status::is_complete(job) && job.metadata.deletion_timestamp.is_none()
}

/// The Job that the key started or joined.
pub(super) fn find_by_key<'a>(present: &'a [Job], key: &RunId, requested: &RunParameters) -> Result<Option<&'a Job>, LaunchError> {
    if let Some(job) = present.iter().find(|job| job.metadata.name.as_deref() == Some(key.as_str())) {
        return check_key(key, job::parameters_of(job) == *requested).map(|()| Some(job));
    }
    let annotation = annotation(key);
    let recorded = |job: &'a Job| Some((job, job.metadata.annotations.as_ref()?.get(&annotation)?));
    match present.iter().find_map(recorded) {
        Some((job, recorded)) => {
            let run_id = job.metadata.name.as_deref().and_then(|name| RunId::parse(name).ok());
            check_key(run_id.as_ref().unwrap_or(key), *recorded == annotation_value(requested)).map(|()| Some(job))
        }
        None => Ok(None),
    }
}

/// Checks that a repeated key has the same parameters as the first request with it.
pub(super) fn check_key(run_id: &RunId, has_same_parameters: bool) -> Result<(), LaunchError> {
    let run_id = run_id.clone();
    has_same_parameters.then_some(()).ok_or(LaunchError::KeyReused { run_id })
}

/// The annotation of a key. It has the part of the key's run ID that follows the name of the CronJob.
fn annotation(key: &RunId) -> String {
    let (_, digest) = key.as_str().rsplit_once('-').unwrap_or(("", key.as_str()));
    format!("{JOINED}{digest}")
}

/// The parameters of the request with the key.
fn annotation_value(requested: &RunParameters) -> String {
    let mode = requested.mode.as_str();
    match &requested.allow_mass_delete_of {
        None => json!({ "mode": mode }).to_string(),
        Some(run_id) => json!({ "mode": mode, "allow_mass_delete_of": run_id.as_str() }).to_string(),
    }
}
