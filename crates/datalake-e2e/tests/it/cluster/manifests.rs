//! The manifests of `k8s/`, as the API server takes them.

use std::{path::Path, process::Command};

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
