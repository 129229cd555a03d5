//! What a watch tells, and what is known of it afterwards.

use k8s_openapi::serde_json::{self, Value, json};

use super::*;

const CRON_JOB: &str = "datalake-processor";

fn now() -> Timestamp {
    Timestamp::from_second(1_795_478_400).unwrap()
}

/// A Job of the CronJob; its uid is its name and `uid`.
fn made_anew(name: &str, uid: &str, status: &Value) -> Job {
    let owner = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "name": CRON_JOB, "uid": "c" });
    let metadata = json!({ "name": name, "uid": format!("{name}-{uid}"), "ownerReferences": [owner] });
    serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
}

fn job(name: &str, status: &Value) -> Job {
    made_anew(name, "1", status)
}

fn active() -> Value {
    json!({ "active": 1, "startTime": "2026-11-24T11:00:00Z" })
}

fn ended(kind: &str) -> Value {
    json!({ "startTime": "2026-11-24T11:00:00Z", "completionTime": "2026-11-24T11:01:00Z", "conditions": [{ "type": kind, "status": "True" }] })
}

fn somebody_elses(name: &str) -> Job {
    let mut job = job(name, &active());
    job.metadata.owner_references = None;
    job
}

fn after(events: impl IntoIterator<Item = Event<Job>>) -> Known {
    let mut known = Known::default();
    take_in(&mut known, events);
    known
}

fn take_in(known: &mut Known, events: impl IntoIterator<Item = Event<Job>>) {
    for event in events {
        let changes = known.changes();
        known.take_in(event, CRON_JOB, now());
        assert_ne!(known.changes(), changes, "whoever has read looks again");
    }
}

fn listing(jobs: impl IntoIterator<Item = Job>) -> Vec<Event<Job>> {
    let jobs = jobs.into_iter().map(Event::InitApply);
    std::iter::once(Event::Init).chain(jobs).chain([Event::InitDone]).collect()
}

/// The Jobs that are known, and the runs that removed ones left with their states.
#[track_caller]
fn check(known: &Known, jobs: &[&str], gone: &[(&str, &str)]) {
    let (known_jobs, left) = known.all();
    let names: Vec<_> = known_jobs.iter().filter_map(|job| job.metadata.name.as_deref()).collect();
    let left: Vec<_> = left.iter().map(|run| (run.run_id.as_str(), run.state.as_str())).collect();
    assert_eq!((names.as_slice(), left.as_slice()), (jobs, gone));
}

#[test]
fn a_listing_counts_once_it_is_whole() {
    let mut known = after(listing([job("a", &active()), somebody_elses("x")]));
    check(&known, &["a"], &[]);
    take_in(&mut known, [Event::Init, Event::InitApply(job("b", &active()))]);
    check(&known, &["a"], &[]);
    // The watch began anew before the listing was whole.
    take_in(
        &mut known,
        listing([job("a", &ended("Complete")), job("c", &active()), somebody_elses("x")]),
    );
    check(&known, &["a", "c"], &[]);
}

#[test]
fn what_a_listing_misses_is_gone() {
    let mut known = after(listing([
        job("active", &active()),
        job("failed", &ended("Failed")),
        job("stays", &active()),
    ]));
    take_in(&mut known, listing([job("stays", &active())]));
    check(&known, &["stays"], &[("active", "stopped"), ("failed", "failed")]);
}

#[test]
fn events_change_one_job() {
    let mut known = after([Event::Apply(job("a", &active())), Event::Apply(somebody_elses("x"))]);
    check(&known, &["a"], &[]);
    take_in(&mut known, [Event::Delete(somebody_elses("x"))]);
    check(&known, &["a"], &[]);
    take_in(&mut known, [Event::Delete(job("a", &active()))]);
    check(&known, &[], &[("a", "stopped")]);
    let (_, left) = known.all();
    assert_eq!(
        (left[0].ended_at, left[0].error.as_deref()),
        (Some(now()), Some("its Job was deleted"))
    );
    // Made anew under its name, it is what it is now; once that one is gone, it is told once.
    take_in(&mut known, [Event::Apply(made_anew("a", "2", &active()))]);
    check(&known, &["a"], &[]);
    take_in(&mut known, [Event::Delete(made_anew("a", "2", &ended("Complete")))]);
    check(&known, &[], &[("a", "succeeded")]);
}

#[test]
fn a_job_that_was_made_anew_between_two_listings_is_another_one() {
    let mut known = after(listing([job("a", &ended("Failed"))]));
    let told = status::run_of(&job("a", &ended("Failed")), Some(&[]), now()).unwrap();
    known.tell(&job("a", &ended("Failed")), told);
    take_in(&mut known, listing([made_anew("a", "2", &ended("Failed"))]));
    assert_eq!(known.told(&made_anew("a", "2", &ended("Failed"))), None);
    assert_eq!(known.untold().len(), 1);
}

#[test]
fn a_failure_outlives_its_job_and_its_pods() {
    let failed = job("a", &ended("Failed"));
    let mut known = after([
        Event::Apply(failed.clone()),
        Event::Apply(job("b", &ended("Complete"))),
        Event::Apply(job("c", &active())),
    ]);
    let untold: Vec<_> = known.untold().iter().filter_map(|job| job.metadata.name.clone()).collect();
    assert_eq!(untold, ["a"]);
    let run = Run {
        error: Some("by its pod's last words".to_owned()),
        ..status::run_of(&failed, Some(&[]), now()).unwrap()
    };
    known.tell(&failed, run.clone());
    assert_eq!((known.untold().len(), known.told(&failed)), (0, Some(run.clone())));
    take_in(&mut known, [Event::Delete(failed.clone())]);
    assert_eq!((known.all().1, known.told(&failed)), (vec![run], None));
    // What still may change is not kept.
    let running = job("c", &active());
    known.tell(&running, status::run_of(&running, Some(&[]), now()).unwrap());
    assert_eq!(known.told(&running), None);
}

#[test]
fn what_is_gone_is_bounded_and_the_newest_stays() {
    let mut known = Known::default();
    for number in 0..=REMOVED_MAX {
        take_in(&mut known, [Event::Delete(job(&format!("run-{number}"), &active()))]);
    }
    let (_, left) = known.all();
    assert_eq!((left.len(), left[0].run_id.as_str()), (REMOVED_MAX, "run-1"));
}

#[test]
fn a_job_is_held_before_the_watch_tells_of_it_and_not_after_it_is_gone() {
    let mut known = Known::default();
    known.hold(Arc::new(job("a", &active())));
    check(&known, &["a"], &[]);
    // The watch knows better.
    take_in(&mut known, [Event::Apply(job("a", &ended("Complete")))]);
    known.hold(Arc::new(job("a", &active())));
    assert!(known.all().0.iter().all(|job| status::is_ended(job)));
    take_in(&mut known, [Event::Delete(job("a", &ended("Complete")))]);
    known.hold(Arc::new(job("a", &active())));
    check(&known, &[], &[("a", "succeeded")]);
}

#[test]
fn names_are_equal_on_replicas_and_never_given_twice() {
    let cron_job: DynamicObject = serde_json::from_value(
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": CRON_JOB, "namespace": "lake", "uid": "c" } }),
    )
    .unwrap();
    let newest = [job("a", &ended("Complete"))];
    let parameters = RunParameters::default();
    let (mut one, other) = (Known::default(), Known::default());
    let first = one.name_after(&cron_job, &newest, &[], &parameters);
    assert_eq!(other.name_after(&cron_job, &newest, &[], &parameters), first);
    assert_ne!(one.name_after(&cron_job, &[], &[], &parameters), first);
    assert_ne!(one.name_after(&cron_job, &newest, std::slice::from_ref(&first), &parameters), first);
    // It exists, and is not the newest: both were created within a second.
    let present = [job(first.as_str(), &active()), job("a", &ended("Complete"))];
    assert_ne!(one.name_after(&cron_job, &present, &[], &parameters), first);
    take_in(&mut one, [Event::Delete(job(first.as_str(), &ended("Complete")))]);
    assert_ne!(one.name_after(&cron_job, &newest, &[], &parameters), first);
}
