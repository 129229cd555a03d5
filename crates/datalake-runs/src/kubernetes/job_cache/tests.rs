//! Events of a watch, and the cache after them.

use k8s_openapi::serde_json::{self, Value, json};

use super::*;

const CRON_JOB: &str = "datalake-processor";

fn now() -> Timestamp {
    Timestamp::from_second(1_795_478_400).unwrap()
}

/// A Job of the CronJob; its uid consists of `name` and `uid`.
fn job_with_uid(name: &str, uid: &str, status: &Value) -> Job {
    let owner = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "name": CRON_JOB, "uid": "c" });
    let metadata = json!({ "name": name, "uid": format!("{name}-{uid}"), "ownerReferences": [owner] });
    serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
}

fn job(name: &str, status: &Value) -> Job {
    job_with_uid(name, "1", status)
}

fn active() -> Value {
    json!({ "active": 1, "startTime": "2026-11-24T11:00:00Z" })
}

fn ended(kind: &str) -> Value {
    json!({ "startTime": "2026-11-24T11:00:00Z", "completionTime": "2026-11-24T11:01:00Z", "conditions": [{ "type": kind, "status": "True" }] })
}

fn job_without_owner(name: &str) -> Job {
    let mut job = job(name, &active());
    job.metadata.owner_references = None;
    job
}

fn cache_after(events: impl IntoIterator<Item = Event<Job>>) -> JobCache {
    let mut cache = JobCache::default();
    apply_events(&mut cache, events);
    cache
}

fn apply_events(cache: &mut JobCache, events: impl IntoIterator<Item = Event<Job>>) {
    for event in events {
        let revision = cache.revision();
        cache.apply_event(event, CRON_JOB, now());
        assert!(cache.revision() > revision, "each event invalidates what was read before");
    }
}

fn list(jobs: impl IntoIterator<Item = Job>) -> Vec<Event<Job>> {
    let jobs = jobs.into_iter().map(Event::InitApply);
    std::iter::once(Event::Init).chain(jobs).chain([Event::InitDone]).collect()
}

/// Checks the names of the Jobs, and the runs of removed Jobs with their states.
#[track_caller]
fn check(cache: &JobCache, jobs: &[&str], removed: &[(&str, &str)]) {
    let (found_jobs, found_removed) = cache.all();
    let found_jobs: Vec<_> = found_jobs.iter().filter_map(|job| job.metadata.name.as_deref()).collect();
    let found_removed: Vec<_> = found_removed.iter().map(|run| (run.run_id.as_str(), run.state.as_str())).collect();
    assert_eq!((found_jobs.as_slice(), found_removed.as_slice()), (jobs, removed));
}

#[test]
fn list_is_applied_when_it_is_complete() {
    let mut cache = cache_after(list([job("a", &active()), job_without_owner("x")]));
    check(&cache, &["a"], &[]);
    apply_events(&mut cache, [Event::Init, Event::InitApply(job("b", &active()))]);
    check(&cache, &["a"], &[]);
    // The watch restarts before the list is complete.
    apply_events(
        &mut cache,
        list([job("a", &ended("Complete")), job("c", &active()), job_without_owner("x")]),
    );
    check(&cache, &["a", "c"], &[]);
}

#[test]
fn jobs_absent_from_a_list_are_removed() {
    let mut cache = cache_after(list([
        job("active", &active()),
        job("failed", &ended("Failed")),
        job("present", &active()),
    ]));
    apply_events(&mut cache, list([job("present", &active())]));
    check(&cache, &["present"], &[("active", "stopped"), ("failed", "failed")]);
}

#[test]
fn event_changes_one_job() {
    let mut cache = cache_after([Event::Apply(job("a", &active())), Event::Apply(job_without_owner("x"))]);
    check(&cache, &["a"], &[]);
    apply_events(&mut cache, [Event::Delete(job_without_owner("x"))]);
    check(&cache, &["a"], &[]);
    apply_events(&mut cache, [Event::Delete(job("a", &active()))]);
    check(&cache, &[], &[("a", "stopped")]);
    let (_, removed) = cache.all();
    assert_eq!(
        (removed[0].ended_at, removed[0].error.as_deref()),
        (Some(now()), Some("the Job was deleted"))
    );
    // A new Job of the same name replaces the removed run.
    apply_events(&mut cache, [Event::Apply(job_with_uid("a", "2", &active()))]);
    check(&cache, &["a"], &[]);
    apply_events(&mut cache, [Event::Delete(job_with_uid("a", "2", &ended("Complete")))]);
    check(&cache, &[], &[("a", "succeeded")]);
}

#[test]
fn recreated_job_is_another_run() {
    let mut cache = cache_after(list([job("a", &ended("Failed"))]));
    let run = status::run_of(&job("a", &ended("Failed")), Some(&[]), now()).unwrap();
    cache.record_failure(&job("a", &ended("Failed")), run);
    apply_events(&mut cache, list([job_with_uid("a", "2", &ended("Failed"))]));
    assert_eq!(cache.failure(&job_with_uid("a", "2", &ended("Failed"))), None);
    assert_eq!(cache.unrecorded_failures().len(), 1);
}

#[test]
fn recorded_failure_is_kept_after_the_job_is_removed() {
    let failed = job("a", &ended("Failed"));
    let mut cache = cache_after([
        Event::Apply(failed.clone()),
        Event::Apply(job("b", &ended("Complete"))),
        Event::Apply(job("c", &active())),
    ]);
    let unrecorded: Vec<_> = cache
        .unrecorded_failures()
        .iter()
        .filter_map(|job| job.metadata.name.clone())
        .collect();
    assert_eq!(unrecorded, ["a"]);
    let run = Run {
        error: Some("the message of its pod".to_owned()),
        ..status::run_of(&failed, Some(&[]), now()).unwrap()
    };
    cache.record_failure(&failed, run.clone());
    assert_eq!((cache.unrecorded_failures().len(), cache.failure(&failed)), (0, Some(run.clone())));
    apply_events(&mut cache, [Event::Delete(failed.clone())]);
    assert_eq!((cache.all().1, cache.failure(&failed)), (vec![run], None));
}

#[test]
fn active_run_is_not_recorded_as_a_failure() {
    let running = job("c", &active());
    let mut cache = cache_after([Event::Apply(running.clone())]);
    cache.record_failure(&running, status::run_of(&running, Some(&[]), now()).unwrap());
    assert_eq!(cache.failure(&running), None);
}

#[test]
fn oldest_removed_run_is_evicted_at_the_limit() {
    let mut cache = JobCache::default();
    for number in 0..=REMOVED_MAX {
        apply_events(&mut cache, [Event::Delete(job(&format!("run-{number}"), &active()))]);
    }
    let (_, removed) = cache.all();
    assert_eq!((removed.len(), removed[0].run_id.as_str()), (REMOVED_MAX, "run-1"));
}

#[test]
fn inserted_job_does_not_override_the_watch() {
    let mut cache = JobCache::default();
    cache.insert(Arc::new(job("a", &active())));
    check(&cache, &["a"], &[]);
    apply_events(&mut cache, [Event::Apply(job("a", &ended("Complete")))]);
    cache.insert(Arc::new(job("a", &active())));
    assert!(cache.all().0.iter().all(|job| status::is_ended(job)));
    apply_events(&mut cache, [Event::Delete(job("a", &ended("Complete")))]);
    cache.insert(Arc::new(job("a", &active())));
    check(&cache, &[], &[("a", "succeeded")]);
}

#[test]
fn next_name_is_the_same_on_replicas_and_never_reused() {
    let cron_job: DynamicObject = serde_json::from_value(
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": CRON_JOB, "namespace": "lake", "uid": "c" } }),
    )
    .unwrap();
    let newest = [job("a", &ended("Complete"))];
    let parameters = RunParameters::default();
    let (mut one, other) = (JobCache::default(), JobCache::default());
    let first = one.next_name(&cron_job, &newest, &[], &parameters);
    assert_eq!(other.next_name(&cron_job, &newest, &[], &parameters), first);
    assert_ne!(one.next_name(&cron_job, &[], &[], &parameters), first);
    assert_ne!(one.next_name(&cron_job, &newest, std::slice::from_ref(&first), &parameters), first);
    // The Job exists and is not the newest: both were created within a second.
    let present = [job(first.as_str(), &active()), job("a", &ended("Complete"))];
    assert_ne!(one.next_name(&cron_job, &present, &[], &parameters), first);
    apply_events(&mut one, [Event::Delete(job(first.as_str(), &ended("Complete")))]);
    assert_ne!(one.next_name(&cron_job, &newest, &[], &parameters), first);
}
