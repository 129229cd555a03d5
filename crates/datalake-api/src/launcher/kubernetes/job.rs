//! The Job of a run, from the live CronJob's template: what `kubectl create job --from=cronjob/NAME` would make. Decides, asks nobody.

use datalake_core::report::{RunId, RunMode};
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    api::{ApiResource, DynamicObject, ObjectMeta},
    core::TypeMeta,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::launcher::Trigger;

/// What kubectl marks the Jobs with that it makes from a CronJob.
pub(super) const INSTANTIATE: &str = "cronjob.kubernetes.io/instantiate";

/// What Kubernetes notes as the maker of a Job that this program makes.
pub(super) fn manager(trigger: Trigger) -> String {
    format!("datalake-{}", trigger.as_str())
}

/// The container that runs the processor; where the template has none of this name, its first one.
const CONTAINER: &str = "processor";

/// A CronJob's name leaves 11 characters of the 63 that a Job's name may have, as its own Jobs' names need them, too.
const CRON_JOB_NAME_MAX: usize = 52;

/// A Job whose template says nothing of its end is kept for a day: its run stays in `/runs` by its report.
const TTL_SECONDS: u64 = 24 * 60 * 60;

/// Why the CronJob makes no Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// The CronJob is not what the API promises.
    #[error("it has no jobTemplate.spec")]
    NoSpec,
    /// Nowhere to say that the run is a full one.
    #[error("its jobTemplate has no container")]
    NoContainer,
}

/// The name of the Job that `seed` stands for: the CronJob's, cut, and 50 bits of the seed's SHA-256 in 10 characters.
pub(super) fn job_name(cron_job: &str, seed: &str) -> RunId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digest = Sha256::digest(seed.as_bytes());
    let characters = digest
        .iter()
        .take(10)
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
        .map(|byte| char::from(*byte));
    let stem: String = cron_job.chars().take(CRON_JOB_NAME_MAX).collect();
    let name = stem.trim_end_matches(['-', '.']).chars().chain(['-']).chain(characters);
    RunId::parse(&name.collect::<String>()).expect("the name of a Kubernetes object and letters are a run id")
}

/// What the name of the Job that comes after `newest` is made from: the same for whoever sees the same, and another one once anything
/// has happened. The CronJob's uid is another one after each installation, and its times also change while no Job is left to tell.
pub(super) fn seed_after(cron_job: &DynamicObject, newest: Option<&Job>) -> String {
    let time = |field: &str| {
        let time = cron_job.data.pointer(&format!("/status/{field}"));
        time.and_then(Value::as_str).unwrap_or("never")
    };
    let uid = cron_job.metadata.uid.as_deref().unwrap_or_default();
    let newest = newest.and_then(|job| job.metadata.uid.as_deref()).unwrap_or("none");
    format!(
        "{uid}, after {newest}, {}, {}",
        time("lastScheduleTime"),
        time("lastSuccessfulTime")
    )
}

/// The Job of that name. The template is taken as raw JSON: a typed one would lose every field that this program does not know yet.
pub(super) fn job_from(cron_job: &DynamicObject, name: &RunId, mode: RunMode) -> Result<DynamicObject, TemplateError> {
    let template = cron_job.data.pointer("/spec/jobTemplate").ok_or(TemplateError::NoSpec)?;
    let mut spec = template.get("spec").cloned().ok_or(TemplateError::NoSpec)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.entry("ttlSecondsAfterFinished").or_insert_with(|| json!(TTL_SECONDS));
    }
    if mode == RunMode::Full {
        ask_for_full(&mut spec)?;
    }
    let texts = |field: &str| {
        let texts = template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let texts = texts.into_iter().flatten();
        texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
    };
    let annotations = texts("annotations").chain([(INSTANTIATE.to_owned(), "manual".to_owned())]);
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "CronJob".to_owned(),
        name: cron_job.metadata.name.clone().unwrap_or_default(),
        uid: cron_job.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        // Blocking the owner's deletion needs a right on the CronJob's finalizers.
        block_owner_deletion: None,
    };
    let job = ApiResource::erase::<Job>(&());
    Ok(DynamicObject {
        types: Some(TypeMeta {
            api_version: job.api_version,
            kind: job.kind,
        }),
        metadata: ObjectMeta {
            name: Some(name.to_string()),
            namespace: cron_job.metadata.namespace.clone(),
            labels: Some(texts("labels").collect()),
            annotations: Some(annotations.collect()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: json!({ "spec": spec }),
    })
}

fn ask_for_full(spec: &mut Value) -> Result<(), TemplateError> {
    let containers = spec.pointer_mut("/template/spec/containers").and_then(Value::as_array_mut);
    let containers = containers.ok_or(TemplateError::NoContainer)?;
    let named = containers
        .iter()
        .position(|container| container.get("name").is_some_and(|name| name == CONTAINER));
    let container = containers.get_mut(named.unwrap_or(0)).and_then(Value::as_object_mut);
    let arguments = container
        .ok_or(TemplateError::NoContainer)?
        .entry("args")
        .or_insert_with(|| json!([]));
    if let Some(arguments) = arguments.as_array_mut() {
        arguments.push(json!("--full"));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "cases are values")]
mod tests {
    use super::*;

    fn cron_job(job_template: Value) -> DynamicObject {
        let metadata = json!({ "name": "datalake-processor", "namespace": "lake", "uid": "1-2-3" });
        let document =
            json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": { "jobTemplate": job_template } });
        serde_json::from_value(document).unwrap()
    }

    fn container(name: &str, args: Option<Value>) -> Value {
        let mut container = json!({ "name": name, "image": "datalake-processor:1" });
        if let Some(args) = args {
            container["args"] = args;
        }
        container
    }

    fn template(containers: Vec<Value>) -> Value {
        json!({ "spec": { "template": { "spec": { "containers": containers } } } })
    }

    #[track_caller]
    fn check_name(cron_job: &str, seed: &str, expected: &str) {
        let name = job_name(cron_job, seed);
        assert_eq!(name.as_str(), expected);
        assert!(name.as_str().len() <= 63, "{name}");
    }

    #[test]
    fn names() {
        check_name("datalake-processor", "a", "datalake-processor-an1iartaq2");
        check_name("datalake-processor", "b", "datalake-processor-u38m0ppaj9");
        let long = "x".repeat(60);
        check_name(&long, "a", &format!("{}-an1iartaq2", "x".repeat(52)));
        check_name(&format!("{}-yy", "x".repeat(51)), "a", &format!("{}-an1iartaq2", "x".repeat(51)));
    }

    /// The seed after a Job of that uid, of a CronJob with that uid and status.
    fn seed(uid: &str, status: Value, newest: Option<&str>) -> String {
        let document = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "x", "uid": uid }, "status": status });
        let newest = newest.map(|uid| serde_json::from_value(json!({ "metadata": { "uid": uid } })).unwrap());
        seed_after(&serde_json::from_value(document).unwrap(), newest.as_ref())
    }

    #[test]
    fn seeds_are_equal_for_whoever_sees_the_same_and_never_again() {
        let times = |scheduled: &str, succeeded: &str| json!({ "lastScheduleTime": scheduled, "lastSuccessfulTime": succeeded });
        let seeds = [
            seed("1", json!({}), None),
            // Installed anew.
            seed("2", json!({}), None),
            seed("1", json!({}), Some("a")),
            seed("1", json!({}), Some("b")),
            // Every Job is gone; the CronJob remembers that there were some.
            seed("1", times("2026-11-24T11:00:00Z", "2026-11-24T11:00:05Z"), None),
            seed("1", times("2026-11-24T12:00:00Z", "2026-11-24T11:00:05Z"), None),
            seed("1", times("2026-11-24T12:00:00Z", "2026-11-24T12:00:05Z"), None),
        ];
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), seeds.len(), "{seeds:?}");
        assert_eq!(seed("1", times("x", "y"), Some("a")), seed("1", times("x", "y"), Some("a")));
    }

    #[track_caller]
    fn check_args(containers: Vec<Value>, mode: RunMode, expected: Result<Value, TemplateError>) {
        let name = job_name("datalake-processor", "a");
        let job = job_from(&cron_job(template(containers)), &name, mode);
        let args = job.map(|job| {
            let containers = job.data.pointer("/spec/template/spec/containers").unwrap().as_array().unwrap();
            containers
                .iter()
                .map(|container| container.get("args").cloned().unwrap_or_default())
                .collect::<Value>()
        });
        assert_eq!(args, expected);
    }

    #[test]
    fn the_mode_is_an_argument() {
        let process = || Some(json!(["process"]));
        check_args(
            vec![container("processor", process())],
            RunMode::Incremental,
            Ok(json!([["process"]])),
        );
        check_args(
            vec![container("processor", process())],
            RunMode::Full,
            Ok(json!([["process", "--full"]])),
        );
        check_args(
            vec![container("other", process())],
            RunMode::Full,
            Ok(json!([["process", "--full"]])),
        );
        check_args(vec![container("processor", None)], RunMode::Full, Ok(json!([["--full"]])));
        let beside = vec![container("proxy", None), container("processor", process())];
        check_args(beside, RunMode::Full, Ok(json!([null, ["process", "--full"]])));
        check_args(vec![], RunMode::Full, Err(TemplateError::NoContainer));
        check_args(vec![], RunMode::Incremental, Ok(json!([])));
    }

    #[test]
    fn a_cron_job_without_template() {
        let name = job_name("x", "a");
        assert_eq!(job_from(&cron_job(json!({})), &name, RunMode::Full), Err(TemplateError::NoSpec));
    }

    #[test]
    fn the_whole_job() {
        let template = json!({
            "metadata": { "labels": { "app.kubernetes.io/name": "datalake" }, "annotations": { "note": "kept" } },
            "spec": {
                "backoffLimit": 2,
                "aFieldOfTheNextRelease": { "kept": true },
                "template": { "spec": { "restartPolicy": "Never", "containers": [container("processor", Some(json!(["process"])))] } },
            },
        });
        let job = job_from(&cron_job(template), &job_name("datalake-processor", "a"), RunMode::Full).unwrap();
        insta::assert_json_snapshot!(job);
    }
}
