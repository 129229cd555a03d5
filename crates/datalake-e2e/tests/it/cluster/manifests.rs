//! The manifests of `k8s/`, as the API server takes them.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::release::{PATIENCE, create, until};

/// A file or folder of the repository.
fn path(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).to_str().unwrap().to_owned()
}

#[track_caller]
fn kubectl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("kubectl").args(arguments).output().expect("there is kubectl");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kubectl {arguments:?}: {told}");
    (String::from_utf8(output.stdout).unwrap(), told)
}

/// Nothing is made but the namespace: without it the API server takes nothing that belongs there, not even to try.
struct Namespace;

impl Namespace {
    fn create() -> Self {
        kubectl(&["create", "--filename", &path("k8s/base/namespace.yaml")]);
        Self
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let delete = ["delete", "--wait=false", "--filename", &path("k8s/base/namespace.yaml")];
        let _says_why_by_itself = Command::new("kubectl").args(delete).status();
    }
}

#[test]
fn the_demo_overlay_is_accepted() {
    let _namespace = Namespace::create();
    let overlay = path("k8s/overlays/demo");
    // Strict: a field that the API server does not know is refused; a pod that the namespace would not take is warned of.
    let (accepted, warned) = kubectl(&[
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--kustomize",
        &overlay,
    ]);
    for object in [
        "deployment.apps/datalake-api ",
        "deployment.apps/datalake-demo-s3 ",
        "cronjob.batch/datalake-processor ",
        "job.batch/datalake-demo-init-",
        "secret/datalake-api-token ",
        "role.rbac.authorization.k8s.io/datalake-api ",
        "validatingadmissionpolicy.admissionregistration.k8s.io/datalake.datalake-api-jobs ",
        "validatingadmissionpolicy.admissionregistration.k8s.io/datalake.datalake-api-jobs-update ",
    ] {
        let is_accepted = accepted
            .lines()
            .any(|line| line.starts_with(object) && line.ends_with("(server dry run)"));
        assert!(is_accepted, "{object}: {accepted}");
    }
    assert!(!warned.contains("Warning"), "{warned}");
}

/// A lake of one's own, as `k8s/render.sh` renders it from values, in a namespace that no other test uses.
struct OwnLake {
    namespace: String,
    folder: TempDir,
}

impl OwnLake {
    fn apply(values: &str) -> Self {
        let lake = Self {
            namespace: format!("datalake-test-own-{}", std::process::id()),
            folder: TempDir::new().unwrap(),
        };
        let file = lake.folder.path().join("values.yaml");
        fs::write(&file, values).unwrap();
        let output = Command::new(path("k8s/render.sh"))
            .args([
                "--namespace",
                &lake.namespace,
                "--values",
                file.to_str().unwrap(),
                "--out",
                &lake.manifests(),
            ])
            .output()
            .expect("there is helm");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        kubectl(&["apply", "--kustomize", &lake.manifests()]);
        lake
    }

    fn manifests(&self) -> String {
        self.folder.path().join("manifests").to_str().unwrap().to_owned()
    }

    /// A Job of the CronJob's template.
    fn job(&self) -> Value {
        let arguments = [
            "create",
            "job",
            "own",
            "--from=cronjob/datalake-processor",
            "--dry-run=client",
            "--output=json",
        ];
        let (job, _) = kubectl(&[&["--namespace", &self.namespace], &arguments[..]].concat());
        serde_json::from_str(&job).unwrap()
    }
}

impl Drop for OwnLake {
    fn drop(&mut self) {
        let delete = ["delete", "--wait=false", "--ignore-not-found", "--kustomize", &self.manifests()];
        let _says_why_by_itself = Command::new("kubectl").args(delete).status();
    }
}

#[test]
fn a_lake_of_ones_own_has_a_policy_that_matches_its_cron_job() {
    let lake = OwnLake::apply(
        "lake: {url: s3://my-bucket}
s3: {endpoint: https://s3.example.com, existingSecret: datalake-s3}
api: {replicaCount: 0}
processor: {suspend: true, image: {repository: registry.example.com/datalake-processor}}
",
    );
    let account = format!("system:serviceaccount:{}:datalake-api", lake.namespace);
    let by_the_api = |job: &Value| create(job, &["--dry-run=server", "--as", &account]);
    let own = lake.job();
    let changed = |pointer: &str, value: &str| {
        let mut job = own.clone();
        *job.pointer_mut(pointer).unwrap() = json!(value);
        job
    };
    let container = "/spec/template/spec/containers/0";
    let other_image = changed(&format!("{container}/image"), "busybox");
    until("the policy is obeyed", PATIENCE, || {
        let refusal = by_the_api(&other_image).err().unwrap_or_default();
        let is_obeyed = refusal.contains("ValidatingAdmissionPolicy");
        is_obeyed.then_some(()).ok_or(refusal)
    });
    assert_eq!(by_the_api(&own), Ok(()));
    assert_eq!(own.pointer(&format!("{container}/env/0/value")), Some(&json!("s3://my-bucket")));
    for (name, pointer, value) in [
        ("another lake", format!("{container}/env/0/value"), "s3://datalake"),
        (
            "another account",
            "/spec/template/spec/serviceAccountName".to_owned(),
            "datalake-api",
        ),
    ] {
        let refusal = by_the_api(&changed(&pointer, value)).expect_err(name);
        assert!(refusal.contains("ValidatingAdmissionPolicy"), "{name}: {refusal}");
    }
}
