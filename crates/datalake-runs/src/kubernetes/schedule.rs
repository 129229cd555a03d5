//! The schedule of the CronJob. Readers get the CronJob that was read last and never wait for Kubernetes.

use std::{str::FromStr, sync::Arc, time::Duration};

use croner::Cron;
use datalake_core::clock::Clock;
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::client::ClusterClient;
use crate::launcher::NextRun;

/// Operators change schedules by hand. A change is visible within this time.
const READ_PERIOD: Duration = Duration::from_mins(1);

/// The CronJob that was read last.
pub(super) struct ScheduleCache {
    client: Arc<ClusterClient>,
    clock: Clock,
    cached: Mutex<Cached>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Cached {
    requested_at: Option<Instant>,
    cron_job: Option<Arc<DynamicObject>>,
}

impl ScheduleCache {
    /// Nothing is read before the first request. Notifies `changes` of the first schedule.
    pub(super) fn new(client: Arc<ClusterClient>, clock: Clock, changes: watch::Sender<()>) -> Self {
        Self {
            client,
            clock,
            cached: Mutex::default(),
            changes,
        }
    }

    /// When the next scheduled run starts, by the CronJob that was read last. Reads it in the background if that was longer ago than
    /// [`READ_PERIOD`].
    pub(super) fn next_run(self: &Arc<Self>) -> NextRun {
        let mut cached = self.cached.lock();
        if cached.requested_at.is_none_or(|requested_at| requested_at.elapsed() >= READ_PERIOD) {
            cached.requested_at = Some(Instant::now());
            let schedule = Arc::clone(self);
            tokio::spawn(async move { schedule.read().await });
        }
        let cron_job = cached.cron_job.as_deref();
        cron_job.map_or(NextRun::Unknown, |cron_job| next_run(cron_job, self.clock.now()))
    }

    /// The last scheduled time that is not after `at`, by the CronJob that was read last.
    pub(super) fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        previous_scheduled(self.cached.lock().cron_job.as_deref()?, at)
    }

    /// A failure keeps the last CronJob. Requests for runs report the cause.
    async fn read(&self) {
        let Ok(cron_job) = self.client.get_cron_job().await else { return };
        let previous = self.cached.lock().cron_job.replace(Arc::new(cron_job));
        if previous.is_none() {
            self.changes.send_replace(());
        }
    }
}

/// The first time after `now` in the CronJob's schedule.
fn next_run(cron_job: &DynamicObject, now: Timestamp) -> NextRun {
    if is_suspended(cron_job) {
        return NextRun::Never;
    }
    let time = schedule(cron_job).and_then(|(schedule, time_zone)| schedule.find_next_occurrence(&now.to_zoned(time_zone), false).ok());
    time.map_or(NextRun::Unknown, |time| NextRun::At(time.timestamp()))
}

/// The last time in the CronJob's schedule that is not after `at`; none if the CronJob is suspended.
fn previous_scheduled(cron_job: &DynamicObject, at: Timestamp) -> Option<Timestamp> {
    if is_suspended(cron_job) {
        return None;
    }
    let (schedule, time_zone) = schedule(cron_job)?;
    let previous = schedule.find_previous_occurrence(&at.to_zoned(time_zone), true).ok()?.timestamp();
    // Before the CronJob was created, nothing was scheduled.
    let created_at = cron_job.metadata.creation_timestamp.as_ref().map(|Time(created_at)| *created_at);
    created_at.is_none_or(|created_at| created_at <= previous).then_some(previous)
}

fn is_suspended(cron_job: &DynamicObject) -> bool {
    spec(cron_job, "suspend").and_then(Value::as_bool) == Some(true)
}

/// The CronJob's schedule and time zone; none if either is invalid or unknown.
fn schedule(cron_job: &DynamicObject) -> Option<(Cron, TimeZone)> {
    let schedule = Cron::from_str(spec(cron_job, "schedule")?.as_str()?).ok()?;
    // Without a time zone, Kubernetes uses that of the control plane, which is UTC as a rule.
    let time_zone = match spec(cron_job, "timeZone").and_then(Value::as_str) {
        None | Some("Etc/UTC" | "UTC") => Some(TimeZone::UTC),
        Some(name) => TimeZone::get(name).ok(),
    };
    Some((schedule, time_zone?))
}

fn spec<'a>(cron_job: &'a DynamicObject, field: &str) -> Option<&'a Value> {
    cron_job.data.pointer(&format!("/spec/{field}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cron_job(created_at: Option<&str>, spec: &Value) -> DynamicObject {
        let metadata = json!({ "name": "x", "creationTimestamp": created_at });
        serde_json::from_value(json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec })).unwrap()
    }

    #[track_caller]
    fn check_next(spec: &Value, expected: Option<&str>) {
        let found = next_run(&cron_job(None, spec), "2026-11-24T12:34:56Z".parse().unwrap());
        let expected = expected.map_or(NextRun::Unknown, |time| NextRun::At(time.parse().unwrap()));
        assert_eq!(found, expected, "{spec}");
    }

    #[test]
    fn next_run_is_at_the_next_scheduled_time() {
        check_next(&json!({ "schedule": "0 * * * *" }), Some("2026-11-24T13:00:00Z"));
        check_next(
            &json!({ "schedule": "0 * * * *", "timeZone": "Etc/UTC", "suspend": false }),
            Some("2026-11-24T13:00:00Z"),
        );
        check_next(
            &json!({ "schedule": "30 2 * * *", "timeZone": "UTC" }),
            Some("2026-11-25T02:30:00Z"),
        );
    }

    #[test]
    fn next_run_of_an_invalid_schedule_is_unknown() {
        check_next(&json!({ "schedule": "0 * * * *", "timeZone": "Nowhere/Nowhere" }), None);
        check_next(&json!({ "schedule": "whenever" }), None);
        check_next(&json!({}), None);
    }

    #[test]
    fn suspended_schedule_has_no_next_run() {
        let cron_job = cron_job(None, &json!({ "schedule": "0 * * * *", "suspend": true }));
        assert_eq!(next_run(&cron_job, Timestamp::UNIX_EPOCH), NextRun::Never);
    }

    #[track_caller]
    fn check_previous(spec: &Value, created_at: &str, expected: Option<&str>) {
        let found = previous_scheduled(&cron_job(Some(created_at), spec), "2026-11-24T12:00:00Z".parse().unwrap());
        assert_eq!(found, expected.map(|time| time.parse().unwrap()), "{spec}, created at {created_at}");
    }

    #[test]
    fn previous_scheduled_is_not_before_the_creation_of_the_cron_job() {
        const LONG_AGO: &str = "2026-01-01T00:00:00Z";
        check_previous(&json!({ "schedule": "0 * * * *" }), LONG_AGO, Some("2026-11-24T12:00:00Z"));
        check_previous(&json!({ "schedule": "30 2 * * *" }), LONG_AGO, Some("2026-11-24T02:30:00Z"));
        check_previous(&json!({ "schedule": "30 2 * * *" }), "2026-11-24T10:00:00Z", None);
        check_previous(&json!({ "schedule": "0 * * * *", "suspend": true }), LONG_AGO, None);
        check_previous(&json!({ "schedule": "whenever" }), LONG_AGO, None);
    }
}
