//! The Job of a run, created from the live CronJob's template as `kubectl create job --from=cronjob/NAME` does. Makes no requests.

use datalake_core::run::{RunId, RunMode};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
};
use kube::{
    api::{ApiResource, DynamicObject, ObjectMeta},
    core::TypeMeta,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::run::{ALLOW_MASS_DELETE_OF, FULL, RunParameters, Trigger};

/// The label of a pod with the name of its Job.
pub(super) const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// The annotation of Jobs that kubectl creates from a CronJob.
pub(super) const INSTANTIATE: &str = "cronjob.kubernetes.io/instantiate";

/// The container that runs the processor. If the template has no container of this name, its first one does.
const CONTAINER: &str = "processor";

/// The CronJob controller appends 11 characters to the CronJob's name for the names of its Jobs, which have at most 63 characters.
const CRON_JOB_NAME_MAX: usize = 52;

/// A Job whose template does not set its TTL is kept for a day. Its run stays in `/runs` by its report.
const TTL_SECONDS: u64 = 24 * 60 * 60;

/// Why no Job can be created from the CronJob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// The CronJob has no template, which the Kubernetes API does not allow.
    #[error("it has no jobTemplate.spec")]
    NoSpec,
    /// No container can get the arguments of the run.
    #[error("its jobTemplate has no container")]
    NoContainer,
}

/// Whether the Job belongs to the CronJob: scheduled, or created from its template by kubectl or by this program.
pub(super) fn is_owned_by(job: &Job, cron_job: &str) -> bool {
    let owners = job.metadata.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.kind == "CronJob" && owner.api_version.starts_with("batch/"));
    owners.any(|owner| owner.name == cron_job)
}

/// The sort key of Jobs by creation. Names order the Jobs that were created in the same second.
pub(super) fn creation_order(job: &Job) -> (Option<Time>, Option<String>) {
    (job.metadata.creation_timestamp.clone(), job.metadata.name.clone())
}

/// The field manager of Jobs that this program creates. Kubernetes records it on the Job, which reveals the trigger of the run.
pub(super) fn field_manager(trigger: Trigger) -> String {
    format!("datalake-{}", trigger.as_str())
}

/// The name of the Job for `seed`: the CronJob's name, shortened if necessary, and 50 bits of the seed's SHA-256 in 10 characters.
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
    RunId::parse(&name.collect::<String>()).expect("the name of a Kubernetes object followed by letters is a run ID")
}

/// The seed of the next Job's name: the same on replicas that see the same Jobs and have the same request, and different after each run. The
/// CronJob's uid changes with each installation; its times also change when no Job is left.
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

/// The parameters of the Job's run, from its arguments.
pub(super) fn parameters_of(job: &Job) -> RunParameters {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let arguments: Vec<&str> = pod
        .and_then(processor_container)
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

/// Whether the Job runs the processor as the CronJob does now, apart from its [`RunParameters`]. Requests do not join a Job with another lake,
/// another command or an additional argument such as `--dry-run`.
pub(super) fn matches_template(job: &Job, cron_job: &DynamicObject) -> bool {
    let template = cron_job.data.pointer("/spec/jobTemplate/spec/template/spec");
    let template = template.and_then(|spec| serde_json::from_value::<PodSpec>(spec.clone()).ok());
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let (Some(template), Some(container)) = (template.as_ref().and_then(processor_container), pod.and_then(processor_container)) else {
        return false;
    };
    let parameters = parameters_of(job);
    let expected = template.args.iter().flatten().map(String::as_str).chain(parameters.arguments());
    let arguments = container.args.iter().flatten().map(String::as_str);
    expected.eq(arguments) && container.command == template.command && container.env == template.env
}

/// The container that runs the processor.
fn processor_container(pod: &PodSpec) -> Option<&Container> {
    let named = pod.containers.iter().find(|container| container.name == CONTAINER);
    named.or_else(|| pod.containers.first())
}

/// The Job of that name from the CronJob's template. The template is raw JSON, because a typed one would lose the fields that this program does
/// not know.
pub(super) fn from_template(cron_job: &DynamicObject, name: &RunId, parameters: &RunParameters) -> Result<DynamicObject, TemplateError> {
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
        // Blocking the deletion of the owner needs permission to set the CronJob's finalizers.
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
mod tests;
