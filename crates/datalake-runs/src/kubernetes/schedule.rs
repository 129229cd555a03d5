//! When the CronJob makes its next Job. What is told is what was read last: nobody waits for Kubernetes.

use std::{
    str::FromStr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde_json::Value;
use tokio::time::Instant;

use crate::kubernetes::launcher::KubernetesLauncher;
use crate::launcher::NextRun;

/// Schedules change by hand; a minute later everybody sees it.
const READ_PERIOD: Duration = Duration::from_mins(1);

/// What was read of the CronJob last.
#[derive(Debug, Default)]
pub(super) struct Due {
    asked_at: Option<Instant>,
    cron_job: Option<Arc<DynamicObject>>,
}

impl KubernetesLauncher {
    /// When the next hourly run begins, by the CronJob as it was read last; it is read anew beside this where that was long ago.
    pub(super) fn due(&self) -> NextRun {
        let mut due = self.shared.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.asked_at.is_none_or(|asked_at| asked_at.elapsed() >= READ_PERIOD) {
            due.asked_at = Some(Instant::now());
            let launcher = self.clone();
            tokio::spawn(async move { launcher.read_due().await });
        }
        let cron_job = due.cron_job.as_deref();
        cron_job.map_or(NextRun::Unknown, |cron_job| next(cron_job, self.shared.clock.now()))
    }

    /// The last time, `at` or before, at which the CronJob was to make a Job, as it was read last.
    pub(super) fn previous_scheduled_by(&self, at: Timestamp) -> Option<Timestamp> {
        let due = self.shared.due.lock().unwrap_or_else(PoisonError::into_inner);
        last(due.cron_job.as_deref()?, at)
    }

    /// What cannot be read stays as it was: whoever starts a run is told why.
    async fn read_due(&self) {
        let Ok(cron_job) = self.live_cron_job().await else { return };
        let former = {
            let mut due = self.shared.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.cron_job.replace(Arc::new(cron_job))
        };
        if former.is_none() {
            self.shared.changes.send_replace(());
        }
    }
}

/// The first time after `now` that the CronJob's schedule names.
fn next(cron_job: &DynamicObject, now: Timestamp) -> NextRun {
    if spec(cron_job, "suspend").and_then(Value::as_bool) == Some(true) {
        return NextRun::Never;
    }
    let time = schedule(cron_job).and_then(|(schedule, time_zone)| schedule.find_next_occurrence(&now.to_zoned(time_zone), false).ok());
    time.map_or(NextRun::Unknown, |time| NextRun::At(time.timestamp()))
}

/// The last time, `at` or before, that the CronJob's schedule names. One that is paused owes nothing.
fn last(cron_job: &DynamicObject, at: Timestamp) -> Option<Timestamp> {
    if spec(cron_job, "suspend").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let (schedule, time_zone) = schedule(cron_job)?;
    let last = schedule.find_previous_occurrence(&at.to_zoned(time_zone), true).ok()?.timestamp();
    // Before there was a CronJob, nothing was due.
    let made_at = cron_job.metadata.creation_timestamp.as_ref().map(|Time(made_at)| *made_at);
    made_at.is_none_or(|made_at| made_at <= last).then_some(last)
}

fn spec<'a>(cron_job: &'a DynamicObject, field: &str) -> Option<&'a Value> {
    cron_job.data.pointer(&format!("/spec/{field}"))
}

/// The CronJob's schedule with its zone, where both are understood.
fn schedule(cron_job: &DynamicObject) -> Option<(Cron, TimeZone)> {
    let schedule = Cron::from_str(spec(cron_job, "schedule")?.as_str()?).ok()?;
    // Without a zone, it is the control plane's own: UTC, as good as always.
    let time_zone = match spec(cron_job, "timeZone").and_then(Value::as_str) {
        None | Some("Etc/UTC" | "UTC") => Some(TimeZone::UTC),
        Some(name) => TimeZone::get(name).ok(),
    };
    Some((schedule, time_zone?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: &Value, expected: Option<&str>) {
        let document = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "x" }, "spec": spec });
        let cron_job: DynamicObject = serde_json::from_value(document).unwrap();
        let found = next(&cron_job, "2026-11-24T12:34:56Z".parse().unwrap());
        let expected = expected.map_or(NextRun::Unknown, |time| NextRun::At(time.parse().unwrap()));
        assert_eq!(found, expected, "{spec}");
    }

    #[test]
    fn times() {
        check(&json!({ "schedule": "0 * * * *" }), Some("2026-11-24T13:00:00Z"));
        check(
            &json!({ "schedule": "0 * * * *", "timeZone": "Etc/UTC", "suspend": false }),
            Some("2026-11-24T13:00:00Z"),
        );
        check(
            &json!({ "schedule": "30 2 * * *", "timeZone": "UTC" }),
            Some("2026-11-25T02:30:00Z"),
        );
        // What is not understood is not told.
        check(&json!({ "schedule": "0 * * * *", "timeZone": "Nowhere/Nowhere" }), None);
        check(&json!({ "schedule": "whenever" }), None);
        check(&json!({}), None);
    }

    #[track_caller]
    fn check_last(spec: &Value, made_at: &str, expected: Option<&str>) {
        let metadata = json!({ "name": "x", "creationTimestamp": made_at });
        let document = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec });
        let cron_job: DynamicObject = serde_json::from_value(document).unwrap();
        let found = last(&cron_job, "2026-11-24T12:00:00Z".parse().unwrap());
        assert_eq!(found, expected.map(|time| time.parse().unwrap()), "{spec}, made at {made_at}");
    }

    #[test]
    fn times_gone_by() {
        const LONG_AGO: &str = "2026-01-01T00:00:00Z";
        check_last(&json!({ "schedule": "0 * * * *" }), LONG_AGO, Some("2026-11-24T12:00:00Z"));
        check_last(&json!({ "schedule": "30 2 * * *" }), LONG_AGO, Some("2026-11-24T02:30:00Z"));
        check_last(&json!({ "schedule": "30 2 * * *" }), "2026-11-24T10:00:00Z", None);
        check_last(&json!({ "schedule": "0 * * * *", "suspend": true }), LONG_AGO, None);
        check_last(&json!({ "schedule": "whenever" }), LONG_AGO, None);
    }

    #[test]
    fn a_paused_schedule_names_no_time() {
        let document =
            json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {}, "spec": { "schedule": "0 * * * *", "suspend": true } });
        let cron_job: DynamicObject = serde_json::from_value(document).unwrap();
        assert_eq!(next(&cron_job, Timestamp::UNIX_EPOCH), NextRun::Never);
    }
}
