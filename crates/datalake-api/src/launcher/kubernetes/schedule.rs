//! When the CronJob makes its next Job. What is told is what was read last: nobody waits for Kubernetes.

use std::{
    str::FromStr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use kube::api::DynamicObject;
use tokio::time::Instant;

use super::KubernetesLauncher;
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
    let spec = |field: &str| cron_job.data.pointer(&format!("/spec/{field}"));
    if spec("suspend").and_then(serde_json::Value::as_bool) == Some(true) {
        return NextRun::Never;
    }
    let schedule = spec("schedule").and_then(|schedule| Cron::from_str(schedule.as_str()?).ok());
    // Without a zone, it is the control plane's own: UTC, as good as always.
    let time_zone = match spec("timeZone").and_then(serde_json::Value::as_str) {
        None | Some("Etc/UTC" | "UTC") => Some(TimeZone::UTC),
        Some(name) => TimeZone::get(name).ok(),
    };
    let time = schedule
        .zip(time_zone)
        .and_then(|(schedule, time_zone)| schedule.find_next_occurrence(&now.to_zoned(time_zone), false).ok());
    time.map_or(NextRun::Unknown, |time| NextRun::At(time.timestamp()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    #[test]
    fn a_paused_schedule_names_no_time() {
        let document =
            json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {}, "spec": { "schedule": "0 * * * *", "suspend": true } });
        let cron_job: DynamicObject = serde_json::from_value(document).unwrap();
        assert_eq!(next(&cron_job, Timestamp::UNIX_EPOCH), NextRun::Never);
    }
}
