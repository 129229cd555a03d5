//! The API server accepts the manifests of `k8s/`.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::release::{TIMEOUT, create, wait_until};

/// A file or folder of the repository.
fn path(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).to_str().unwrap().to_owned()
}

#[track_caller]
fn kubectl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("kubectl").args(arguments).output().expect("kubectl is installed");
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kubectl {arguments:?}: {warnings}");
    (String::from_utf8(output.stdout).unwrap(), warnings)
}

/// The namespace, which a dry run of the other objects needs.
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
        let _prints_its_error = Command::new("kubectl").args(delete).status();
    }
}

#[test]
fn demo_overlay_is_accepted() {
    let _namespace = Namespace::create();
    let overlay = path("k8s/overlays/demo");
    // Strict validation rejects unknown fields, and warns of pods that the namespace would reject.
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

/// A lake that `k8s/render.sh` renders from values, in a separate namespace.
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
            .expect("helm is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        kubectl(&["apply", "--kustomize", &lake.manifests()]);
        lake
    }

    fn manifests(&self) -> String {
        self.folder.path().join("manifests").to_str().unwrap().to_owned()
    }

    /// A Job from the CronJob's template.
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
        let _prints_its_error = Command::new("kubectl").args(delete).status();
    }
}

#[test]
fn rendered_policy_matches_the_cron_job() {
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
    wait_until("the policy is enforced", TIMEOUT, || {
        let message = by_the_api(&other_image).err().unwrap_or_default();
        let is_enforced = message.contains("ValidatingAdmissionPolicy");
        is_enforced.then_some(()).ok_or(message)
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
        let message = by_the_api(&changed(&pointer, value)).expect_err(name);
        assert!(message.contains("ValidatingAdmissionPolicy"), "{name}: {message}");
    }
}
