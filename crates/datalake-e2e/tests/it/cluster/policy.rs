//! The admission policies for the API's account.

use serde_json::{Value, json};

use super::release::{Release, TIMEOUT, create, wait_until};

const SPEC: &str = "/spec";
const OWNER: &str = "/metadata/ownerReferences/0";
const POD: &str = "/spec/template/spec";
const CONTAINER: &str = "/spec/template/spec/containers/0";
const ARGS: &str = "/spec/template/spec/containers/0/args";
const ENV: &str = "/spec/template/spec/containers/0/env";
const LABELS: &str = "/spec/template/metadata/labels";

/// An annotation that records a key.
const KEY: &str = "datalake/joined-an1iartaq2";

/// A difference of a Job from the CronJob's template.
enum Edit {
    Nothing,
    /// Sets fields of an object.
    Set(&'static str, Value),
    /// Removes a field of an object.
    Unset(&'static str, &'static str),
    /// Appends values to a list.
    Push(&'static str, Value),
}

#[test]
fn api_creates_only_jobs_of_the_cron_job() {
    let release = Release::install("policy", &[]);
    let account = format!("system:serviceaccount:{}:datalake-api", release.namespace);
    let template = template(&release);
    let image = Edit::Set(CONTAINER, json!({ "image": "busybox" }));
    let other = edited(&template, &image);
    wait_until("the policy is enforced", TIMEOUT, || {
        let message = dry_run(&other, &account).err().unwrap_or_default();
        let is_enforced = message.contains("ValidatingAdmissionPolicy");
        is_enforced.then_some(()).ok_or(message)
    });

    for (name, edit) in allowed() {
        let made = dry_run(&edited(&template, &edit), &account);
        assert_eq!(made, Ok(()), "{name}");
    }
    for (name, edit) in denied().into_iter().chain(denied_arguments()).chain(denied_jobs()) {
        let message = dry_run(&edited(&template, &edit), &account).expect_err(name);
        assert!(message.contains("ValidatingAdmissionPolicy"), "{name}: {message}");
    }
    // The policy applies only to the API's account.
    let admin = create(&other, &["--dry-run=server"]);
    assert_eq!(admin, Ok(()));
}

#[test]
fn api_deletes_only_jobs_of_the_cron_job() {
    let release = Release::install("deletion", &[]);
    let account = format!("system:serviceaccount:{}:datalake-api", release.namespace);
    let template = edited(&template(&release), &Edit::Set(SPEC, json!({ "suspend": true })));
    let own = edited(&template, &Edit::Set("/metadata", json!({ "name": "own" })));
    let foreign = edited(&template, &Edit::Set("/metadata", json!({ "name": "foreign" })));
    create(&own, &[]).unwrap();
    create(&edited(&foreign, &Edit::Unset("/metadata", "ownerReferences")), &[]).unwrap();
    let delete = |job: &str, arguments: &[&str]| {
        let arguments = [&["delete", "job", job, "--dry-run=server"], arguments].concat();
        let output = release.kubectl_command(&arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(message)
    };
    wait_until("the policy is enforced", TIMEOUT, || {
        let message = delete("foreign", &["--as", &account]).err().unwrap_or_default();
        let is_enforced = message.contains("may delete only Jobs of cronjob/datalake-processor");
        is_enforced.then_some(()).ok_or(message)
    });
    assert_eq!(delete("own", &["--as", &account]), Ok(()));
    assert_eq!(delete("foreign", &[]), Ok(()), "the policy applies only to the API's account");
}

/// The API may only add the annotations of keys that joined a Job.
#[test]
fn api_adds_only_joined_keys_to_a_job() {
    let release = Release::install("update", &[]);
    let account = format!("system:serviceaccount:{}:datalake-api", release.namespace);
    let template = edited(&template(&release), &Edit::Set(SPEC, json!({ "suspend": true })));
    let own = edited(&template, &Edit::Set("/metadata", json!({ "name": "own" })));
    let foreign = edited(&template, &Edit::Set("/metadata", json!({ "name": "foreign" })));
    create(&own, &[]).unwrap();
    create(&edited(&foreign, &Edit::Unset("/metadata", "ownerReferences")), &[]).unwrap();
    let patch = |job: &str, patch: &Value| {
        let patch = patch.to_string();
        let output = release
            .kubectl_command(&["patch", "job", job, "--as", &account, "--type", "merge", "--patch", &patch])
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(message)
    };
    let annotate = |name: &str, value: Value| json!({ "metadata": { "annotations": { name: value } } });
    wait_until("the policy is enforced", TIMEOUT, || {
        let message = patch("foreign", &annotate(KEY, json!("x"))).err().unwrap_or_default();
        let is_enforced = message.contains("may change only Jobs of cronjob/datalake-processor");
        is_enforced.then_some(()).ok_or(message)
    });
    assert_eq!(patch("own", &annotate(KEY, json!("{}"))), Ok(()));
    assert_eq!(patch("own", &annotate("datalake/joined-0000000000", json!("{}"))), Ok(()));
    for (what, change) in [
        ("a key that joined", annotate(KEY, json!("other"))),
        ("a key that joined, removed", annotate(KEY, Value::Null)),
        ("another annotation", annotate("note", json!("x"))),
        ("an existing annotation", annotate("cronjob.kubernetes.io/instantiate", json!("x"))),
        (
            "a name similar to that of a key",
            annotate("datalake/joined-an1iartaq2x", json!("x")),
        ),
        ("suspend", json!({ "spec": { "suspend": false } })),
        ("parallelism", json!({ "spec": { "parallelism": 5 } })),
        ("ttl", json!({ "spec": { "ttlSecondsAfterFinished": 1 } })),
        ("deadline", json!({ "spec": { "activeDeadlineSeconds": 1 } })),
        ("labels", json!({ "metadata": { "labels": { "a": "b" } } })),
        ("finalizers", json!({ "metadata": { "finalizers": ["example.com/x"] } })),
        ("owners", json!({ "metadata": { "ownerReferences": null } })),
    ] {
        let message = patch("own", &change).expect_err(what);
        assert!(message.contains("ValidatingAdmissionPolicy"), "{what}: {message}");
    }
}

fn allowed() -> Vec<(&'static str, Edit)> {
    vec![
        ("the template itself", Edit::Nothing),
        ("--full", Edit::Push(ARGS, json!(["--full"]))),
        (
            "permitted deletions",
            Edit::Push(ARGS, json!(["--allow-mass-delete-of", "datalake-processor-an1iartaq2"])),
        ),
        (
            "a full run with permitted deletions",
            Edit::Push(ARGS, json!(["--full", "--allow-mass-delete-of", "run.1_A"])),
        ),
        (
            "defaults of Kubernetes",
            Edit::Set(
                "/spec",
                json!({ "suspend": false, "parallelism": 1, "completions": 1, "completionMode": "NonIndexed" }),
            ),
        ),
    ]
}

fn denied() -> Vec<(&'static str, Edit)> {
    use Edit::{Push, Set, Unset};
    let token = json!({ "name": "datalake-api-token", "key": "token" });
    let token_volume = json!([{ "name": "x", "secret": { "secretName": "datalake-api-token" } }]);
    let root = json!({ "runAsUser": 0, "runAsNonRoot": false });
    let component = "app.kubernetes.io/component";
    vec![
        ("image", Set(CONTAINER, json!({ "image": "busybox" }))),
        (
            "account default",
            Set(POD, json!({ "serviceAccountName": "default", "serviceAccount": "default" })),
        ),
        (
            "account of the API",
            Set(
                POD,
                json!({ "serviceAccountName": "datalake-api", "serviceAccount": "datalake-api" }),
            ),
        ),
        ("command", Set(CONTAINER, json!({ "command": ["sh"] }))),
        (
            "another lake",
            Set("/spec/template/spec/containers/0/env/0", json!({ "value": "s3://other" })),
        ),
        ("more environment", Push(ENV, json!([{ "name": "X", "value": "y" }]))),
        (
            "a Secret as environment",
            Push(ENV, json!([{ "name": "X", "valueFrom": { "secretKeyRef": token } }])),
        ),
        (
            "envFrom",
            Set(CONTAINER, json!({ "envFrom": [{ "secretRef": { "name": "datalake-api-token" } }] })),
        ),
        ("a volume", Set(POD, json!({ "volumes": token_volume }))),
        (
            "a folder of the host",
            Set(POD, json!({ "volumes": [{ "name": "x", "hostPath": { "path": "/" } }] })),
        ),
        ("hostNetwork", Set(POD, json!({ "hostNetwork": true }))),
        ("hostPID", Set(POD, json!({ "hostPID": true }))),
        ("a mounted token", Set(POD, json!({ "automountServiceAccountToken": true }))),
        (
            "privileged",
            Set(
                "/spec/template/spec/containers/0/securityContext",
                json!({ "privileged": true, "allowPrivilegeEscalation": true }),
            ),
        ),
        ("root", Set("/spec/template/spec/securityContext", root)),
        (
            "a second container",
            Push("/spec/template/spec/containers", json!([{ "name": "x", "image": "busybox" }])),
        ),
        (
            "an init container",
            Set(POD, json!({ "initContainers": [{ "name": "x", "image": "busybox" }] })),
        ),
        ("a node", Set(POD, json!({ "nodeName": "node" }))),
        ("tolerations", Set(POD, json!({ "tolerations": [{ "operator": "Exists" }] }))),
        ("a priority class", Set(POD, json!({ "priorityClassName": "system-node-critical" }))),
        ("no resources", Set(CONTAINER, json!({ "resources": {} }))),
        ("the API's labels", Set(LABELS, json!({ component: "api" }))),
        ("another label", Set(LABELS, json!({ "a": "b" }))),
        ("a missing label", Unset(LABELS, component)),
        (
            "an annotation",
            Set("/spec/template/metadata", json!({ "annotations": { "a": "b" } })),
        ),
        (
            "a duplicate and a missing variable",
            Set(CONTAINER, json!({ "env": [lake_variable(), lake_variable()] })),
        ),
        ("a duplicate variable", Push(ENV, json!([lake_variable()]))),
        ("a missing variable", Set(CONTAINER, json!({ "env": [lake_variable()] }))),
    ]
}

/// Arguments that the API must not add.
fn denied_arguments() -> Vec<(&'static str, Edit)> {
    use Edit::{Push, Set, Unset};
    vec![
        ("other arguments", Set(CONTAINER, json!({ "args": ["init"] }))),
        ("--full twice", Push(ARGS, json!(["--full", "--full"]))),
        ("--allow-mass-delete", Push(ARGS, json!(["--allow-mass-delete"]))),
        ("permitted deletions without a run", Push(ARGS, json!(["--allow-mass-delete-of"]))),
        (
            "a flag instead of a run ID",
            Push(ARGS, json!(["--allow-mass-delete-of", "--allow-mass-delete"])),
        ),
        (
            "a path instead of a run ID",
            Push(ARGS, json!(["--allow-mass-delete-of", "../../x"])),
        ),
        ("a long run ID", Push(ARGS, json!(["--allow-mass-delete-of", "a".repeat(129)]))),
        (
            "two lines instead of a run ID",
            Push(ARGS, json!(["--allow-mass-delete-of", "a\n--full"])),
        ),
        (
            "permitted deletions of two runs",
            Push(ARGS, json!(["--allow-mass-delete-of", "a", "--allow-mass-delete-of", "b"])),
        ),
        (
            "permitted deletions before --full",
            Push(ARGS, json!(["--allow-mass-delete-of", "a", "--full"])),
        ),
        ("one argument instead of two", Push(ARGS, json!(["--allow-mass-delete-of=a"]))),
        ("a run ID only", Push(ARGS, json!(["a"]))),
        ("no arguments", Unset(CONTAINER, "args")),
    ]
}

fn lake_variable() -> Value {
    json!({ "name": "DATALAKE_LAKE", "value": "s3://datalake" })
}

/// Fields of the Job outside of the pod.
fn denied_jobs() -> Vec<(&'static str, Edit)> {
    use Edit::{Push, Set, Unset};
    let labels = json!({ "app.kubernetes.io/component": "processor" });
    let rule = json!([{ "action": "Count", "onPodConditions": [{ "type": "Ready" }] }]);
    vec![
        ("many pods", Set(SPEC, json!({ "parallelism": 50, "completions": 50 }))),
        ("no pods", Set(SPEC, json!({ "parallelism": 0 }))),
        ("indexed pods", Set(SPEC, json!({ "completionMode": "Indexed" }))),
        ("a suspended Job", Set(SPEC, json!({ "suspend": true }))),
        ("another controller", Set(SPEC, json!({ "managedBy": "example.com/mine" }))),
        (
            "another selector",
            Set(SPEC, json!({ "manualSelector": true, "selector": { "matchLabels": labels } })),
        ),
        ("more attempts", Set(SPEC, json!({ "backoffLimit": 1000 }))),
        ("default attempts", Unset(SPEC, "backoffLimit")),
        ("more time", Set(SPEC, json!({ "activeDeadlineSeconds": 86400 }))),
        ("no deadline", Unset(SPEC, "activeDeadlineSeconds")),
        ("another time to live", Set(SPEC, json!({ "ttlSecondsAfterFinished": 0 }))),
        ("no time to live", Unset(SPEC, "ttlSecondsAfterFinished")),
        ("no failure policy", Unset(SPEC, "podFailurePolicy")),
        ("another failure policy", Push("/spec/podFailurePolicy/rules", rule)),
        ("no owner", Unset("/metadata", "ownerReferences")),
        ("another CronJob", Set(OWNER, json!({ "name": "another" }))),
        ("a Deployment", Set(OWNER, json!({ "kind": "Deployment", "apiVersion": "apps/v1" }))),
        ("no controller", Unset(OWNER, "controller")),
        (
            "two owners",
            Push(
                "/metadata/ownerReferences",
                json!([{ "apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1" }]),
            ),
        ),
    ]
}

/// The Job that `kubectl create job --from` creates.
fn template(release: &Release) -> Value {
    let cron_job = release.get(&["cronjob", "datalake-processor"]);
    let job_template = &cron_job["spec"]["jobTemplate"];
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "datalake-processor-policytest",
            "namespace": release.namespace,
            "labels": job_template["metadata"]["labels"],
            "annotations": { "cronjob.kubernetes.io/instantiate": "manual" },
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": "datalake-processor",
                "uid": cron_job["metadata"]["uid"],
                "controller": true,
            }],
        },
        "spec": job_template["spec"],
    })
}

fn edited(template: &Value, edit: &Edit) -> Value {
    let mut job = template.clone();
    match edit {
        Edit::Nothing => {}
        Edit::Set(place, fields) => {
            let object = job.pointer_mut(place).unwrap().as_object_mut().unwrap();
            object.extend(fields.as_object().unwrap().clone());
        }
        Edit::Unset(place, field) => {
            let object = job.pointer_mut(place).unwrap().as_object_mut().unwrap();
            object.remove(*field).expect("the field exists");
        }
        Edit::Push(place, values) => {
            let list = job.pointer_mut(place).unwrap().as_array_mut().unwrap();
            list.extend(values.as_array().unwrap().iter().cloned());
        }
    }
    job
}

fn dry_run(job: &Value, account: &str) -> Result<(), String> {
    create(job, &["--dry-run=server", "--as", account])
}
