//! Names, seeds and arguments of Jobs, and the whole Job from a template.
#![expect(clippy::needless_pass_by_value, reason = "cases are values")]

use super::*;

fn cron_job(job_template: Value) -> DynamicObject {
    let metadata = json!({ "name": "datalake-processor", "namespace": "lake", "uid": "1-2-3" });
    let document = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": { "jobTemplate": job_template } });
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
fn job_name_has_at_most_63_characters() {
    check_name("datalake-processor", "a", "datalake-processor-an1iartaq2");
    check_name("datalake-processor", "b", "datalake-processor-u38m0ppaj9");
    let long = "x".repeat(60);
    check_name(&long, "a", &format!("{}-an1iartaq2", "x".repeat(52)));
    check_name(&format!("{}-yy", "x".repeat(51)), "a", &format!("{}-an1iartaq2", "x".repeat(51)));
}

/// The seed for a CronJob with this uid and status whose newest Job has the uid `newest`.
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
fn seed_depends_on_all_that_a_run_changes() {
    let times = |scheduled: &str, succeeded: &str| json!({ "lastScheduleTime": scheduled, "lastSuccessfulTime": succeeded });
    let seeds = [
        seed("1", json!({}), None),
        // Reinstalled.
        seed("2", json!({}), None),
        seed("1", json!({}), Some("a")),
        seed("1", json!({}), Some("b")),
        // Every Job was removed; the status of the CronJob shows that there were some.
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
    let job = from_template(&cron_job(template(containers)), &name, &parameters);
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
fn parameters_become_arguments_of_the_processor_container() {
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
    let with_proxy = vec![container("proxy", None), container("processor", process())];
    check_args(with_proxy, full(), Ok(json!([null, ["process", "--full"]])));
    check_args(vec![], full(), Err(TemplateError::NoContainer));
    check_args(vec![], incremental(), Ok(json!([])));
}

/// Checks the parameters of a Job that was created for them, and whether it matches its template after `edit`.
#[track_caller]
fn check_read_back(parameters: RunParameters, edit: impl Fn(&mut Value), expected: bool) {
    let cron_job = cron_job(template(vec![container("processor", Some(json!(["process"])))]));
    let created = from_template(&cron_job, &job_name("datalake-processor", "a"), &parameters).unwrap();
    let mut job = serde_json::to_value(created).unwrap();
    edit(&mut job["spec"]["template"]["spec"]["containers"][0]);
    let job: Job = serde_json::from_value(job).unwrap();
    assert_eq!(parameters_of(&job), parameters);
    assert_eq!(matches_template(&job, &cron_job), expected, "{job:?}");
}

#[test]
fn job_reveals_its_parameters_and_differences_from_its_template() {
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
fn seed_depends_on_the_parameters() {
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
fn cron_job_without_template_is_an_error() {
    let name = job_name("x", "a");
    assert_eq!(
        from_template(&cron_job(json!({})), &name, &RunParameters::default()),
        Err(TemplateError::NoSpec)
    );
}

#[test]
fn job_from_template() {
    let template = json!({
        "metadata": { "labels": { "app.kubernetes.io/name": "datalake" }, "annotations": { "note": "kept" } },
        "spec": {
            "backoffLimit": 2,
            "aFieldOfTheNextRelease": { "kept": true },
            "template": { "spec": { "restartPolicy": "Never", "containers": [container("processor", Some(json!(["process"])))] } },
        },
    });
    let job = from_template(
        &cron_job(template),
        &job_name("datalake-processor", "a"),
        &parameters(RunMode::Full, None),
    )
    .unwrap();
    insta::assert_json_snapshot!(job);
}
