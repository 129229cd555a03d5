//! The Job of a run, from the live CronJob's template: what `kubectl create job --from=cronjob/NAME` would make. Decides, asks nobody.

use datalake_core::report::{RunId, RunMode};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    api::{ApiResource, DynamicObject, ObjectMeta},
    core::TypeMeta,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::run::{ALLOW_MASS_DELETE_OF, FULL, RunParameters, Trigger};

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
    /// There is no place for the run's arguments.
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

/// What the name of the next Job is derived from: equal for replicas that see the same Jobs and have the same request, and different once
/// anything has happened. The CronJob's uid differs after each installation, and its times also change while no Job is left.
pub(super) fn seed_after(cron_job: &DynamicObject, newest: Option<&Job>, parameters: &RunParameters) -> String {
    let time = |field: &str| {
        let time = cron_job.data.pointer(&format!("/status/{field}"));
        time.and_then(Value::as_str).unwrap_or("never")
    };
    let uid = cron_job.metadata.uid.as_deref().unwrap_or_default();
    let newest = newest.and_then(|job| job.metadata.uid.as_deref()).unwrap_or("none");
    format!(
        "{uid}, after {newest}, {}, {}, {}",
        time("lastScheduleTime"),
        time("lastSuccessfulTime"),
        parameters.arguments().join(" ")
    )
}

/// What the Job's run does, by its arguments.
pub(super) fn parameters_of(job: &Job) -> RunParameters {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let arguments: Vec<&str> = pod
        .and_then(container_of)
        .map(|container| container.args.iter().flatten().map(String::as_str).collect())
        .unwrap_or_default();
    let mode = if arguments.contains(&FULL) {
        RunMode::Full
    } else {
        RunMode::Incremental
    };
    let run_id = arguments.windows(2).find_map(|pair| match pair {
        [flag, run_id] if *flag == ALLOW_MASS_DELETE_OF => RunId::parse(run_id).ok(),
        _ => None,
    });
    RunParameters {
        mode,
        allow_mass_delete_of: run_id,
    }
}

/// Whether the Job runs the processor as the CronJob does now, apart from its [`RunParameters`]. One with another lake, another command or a
/// further argument, like `--dry-run`, answers no request.
pub(super) fn runs_like(job: &Job, cron_job: &DynamicObject) -> bool {
    let template = cron_job.data.pointer("/spec/jobTemplate/spec/template/spec");
    let template = template.and_then(|spec| serde_json::from_value::<PodSpec>(spec.clone()).ok());
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let (Some(template), Some(container)) = (template.as_ref().and_then(container_of), pod.and_then(container_of)) else {
        return false;
    };
    let parameters = parameters_of(job);
    let expected = template.args.iter().flatten().map(String::as_str).chain(parameters.arguments());
    let arguments = container.args.iter().flatten().map(String::as_str);
    expected.eq(arguments) && container.command == template.command && container.env == template.env
}

/// The container that runs the processor.
fn container_of(pod: &PodSpec) -> Option<&Container> {
    let named = pod.containers.iter().find(|container| container.name == CONTAINER);
    named.or_else(|| pod.containers.first())
}

/// The Job of that name. The template is taken as raw JSON: a typed one would lose every field that this program does not know yet.
pub(super) fn job_from(cron_job: &DynamicObject, name: &RunId, parameters: &RunParameters) -> Result<DynamicObject, TemplateError> {
    let template = cron_job.data.pointer("/spec/jobTemplate").ok_or(TemplateError::NoSpec)?;
    let mut spec = template.get("spec").cloned().ok_or(TemplateError::NoSpec)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.entry("ttlSecondsAfterFinished").or_insert_with(|| json!(TTL_SECONDS));
    }
    add_arguments(&mut spec, &parameters.arguments())?;
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

fn add_arguments(spec: &mut Value, added: &[&str]) -> Result<(), TemplateError> {
    if added.is_empty() {
        return Ok(());
    }
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
        arguments.extend(added.iter().map(|argument| json!(argument)));
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
        seed_after(
            &serde_json::from_value(document).unwrap(),
            newest.as_ref(),
            &RunParameters::default(),
        )
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
    fn check_args(containers: Vec<Value>, parameters: RunParameters, expected: Result<Value, TemplateError>) {
        let name = job_name("datalake-processor", "a");
        let job = job_from(&cron_job(template(containers)), &name, &parameters);
        let args = job.map(|job| {
            let containers = job.data.pointer("/spec/template/spec/containers").unwrap().as_array().unwrap();
            containers
                .iter()
                .map(|container| container.get("args").cloned().unwrap_or_default())
                .collect::<Value>()
        });
        assert_eq!(args, expected);
    }

    fn parameters(mode: RunMode, run_id: Option<&str>) -> RunParameters {
        RunParameters {
            mode,
            allow_mass_delete_of: run_id.map(|run_id| RunId::parse(run_id).unwrap()),
        }
    }

    #[test]
    fn parameters_are_arguments() {
        let process = || Some(json!(["process"]));
        let incremental = || parameters(RunMode::Incremental, None);
        let full = || parameters(RunMode::Full, None);
        check_args(vec![container("processor", process())], incremental(), Ok(json!([["process"]])));
        check_args(vec![container("processor", process())], full(), Ok(json!([["process", "--full"]])));
        check_args(
            vec![container("processor", process())],
            parameters(RunMode::Incremental, Some("run-1")),
            Ok(json!([["process", "--allow-mass-delete-of", "run-1"]])),
        );
        check_args(
            vec![container("processor", process())],
            parameters(RunMode::Full, Some("run-1")),
            Ok(json!([["process", "--full", "--allow-mass-delete-of", "run-1"]])),
        );
        check_args(vec![container("other", process())], full(), Ok(json!([["process", "--full"]])));
        check_args(vec![container("processor", None)], full(), Ok(json!([["--full"]])));
        let beside = vec![container("proxy", None), container("processor", process())];
        check_args(beside, full(), Ok(json!([null, ["process", "--full"]])));
        check_args(vec![], full(), Err(TemplateError::NoContainer));
        check_args(vec![], incremental(), Ok(json!([])));
    }

    /// What the Job that is made for the parameters says of them, and whether it runs like its CronJob after `edit`.
    #[track_caller]
    fn check_read_back(parameters: RunParameters, edit: impl Fn(&mut Value), runs_like_it: bool) {
        let cron_job = cron_job(template(vec![container("processor", Some(json!(["process"])))]));
        let made = job_from(&cron_job, &job_name("datalake-processor", "a"), &parameters).unwrap();
        let mut made = serde_json::to_value(made).unwrap();
        edit(&mut made["spec"]["template"]["spec"]["containers"][0]);
        let made: Job = serde_json::from_value(made).unwrap();
        assert_eq!(parameters_of(&made), parameters);
        assert_eq!(runs_like(&made, &cron_job), runs_like_it, "{made:?}");
    }

    #[test]
    fn parameters_are_read_back_from_the_job() {
        let nothing = |_: &mut Value| {};
        check_read_back(parameters(RunMode::Incremental, None), nothing, true);
        check_read_back(parameters(RunMode::Full, None), nothing, true);
        check_read_back(parameters(RunMode::Incremental, Some("run-1")), nothing, true);
        check_read_back(parameters(RunMode::Full, Some("run-1")), nothing, true);
        let push = |argument: &'static str| move |container: &mut Value| container["args"].as_array_mut().unwrap().push(json!(argument));
        check_read_back(parameters(RunMode::Full, None), push("--dry-run"), false);
        check_read_back(parameters(RunMode::Incremental, None), push("--allow-mass-delete"), false);
        let lake = |container: &mut Value| container["env"] = json!([{ "name": "DATALAKE_LAKE", "value": "s3://other" }]);
        check_read_back(parameters(RunMode::Incremental, None), lake, false);
        let command = |container: &mut Value| container["command"] = json!(["true"]);
        check_read_back(parameters(RunMode::Incremental, None), command, false);
    }

    #[test]
    fn other_parameters_have_other_names() {
        let document = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "x", "uid": "1" } });
        let cron_job = serde_json::from_value(document).unwrap();
        let seeds = [
            parameters(RunMode::Incremental, None),
            parameters(RunMode::Full, None),
            parameters(RunMode::Incremental, Some("run-1")),
            parameters(RunMode::Full, Some("run-1")),
        ]
        .map(|parameters| seed_after(&cron_job, None, &parameters));
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), seeds.len(), "{seeds:?}");
    }

    #[test]
    fn a_cron_job_without_template() {
        let name = job_name("x", "a");
        assert_eq!(
            job_from(&cron_job(json!({})), &name, &RunParameters::default()),
            Err(TemplateError::NoSpec)
        );
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
        let job = job_from(
            &cron_job(template),
            &job_name("datalake-processor", "a"),
            &parameters(RunMode::Full, None),
        )
        .unwrap();
        insta::assert_json_snapshot!(job);
    }
}
