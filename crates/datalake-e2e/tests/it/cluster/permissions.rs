//! The Kubernetes permissions of each account, by `kubectl auth can-i`.

use super::release::Release;

/// Arguments of `kubectl auth can-i`, in the release's namespace.
const NEEDED: [&str; 8] = [
    "get cronjobs.batch/datalake-processor",
    "create jobs.batch",
    "get jobs.batch",
    "list jobs.batch",
    "watch jobs.batch",
    "delete jobs.batch",
    "patch jobs.batch",
    "list pods",
];

const NOT_NEEDED: [&str; 28] = [
    "get cronjobs.batch/another",
    "list cronjobs.batch",
    "create cronjobs.batch",
    "update cronjobs.batch/datalake-processor",
    "patch cronjobs.batch/datalake-processor",
    "delete cronjobs.batch/datalake-processor",
    "update jobs.batch",
    "patch jobs.batch --subresource=status",
    "deletecollection jobs.batch",
    "create pods",
    "get pods",
    "get pods --subresource=log",
    "delete pods",
    "create pods --subresource=exec",
    "create pods --subresource=portforward",
    "create pods --subresource=ephemeralcontainers",
    "get secrets/datalake-api-token",
    "list secrets",
    "create secrets",
    "get configmaps",
    "create configmaps",
    "patch deployments.apps/datalake-api",
    "create serviceaccounts/datalake-processor --subresource=token",
    "impersonate serviceaccounts",
    "create rolebindings.rbac.authorization.k8s.io",
    "escalate roles.rbac.authorization.k8s.io",
    "list namespaces",
    "list nodes",
];

#[test]
fn accounts_have_only_the_needed_permissions() {
    // The test needs only the objects, no running pod.
    let release = Release::install("permissions", &[]);
    for question in NEEDED {
        check(&release, "datalake-api", question, true);
        check(&release, "datalake-processor", question, false);
    }
    for question in NOT_NEEDED {
        check(&release, "datalake-api", question, false);
        check(&release, "datalake-processor", question, false);
    }
    // The permissions are limited to the namespace.
    for question in [
        "create jobs.batch",
        "list jobs.batch",
        "patch jobs.batch",
        "list pods",
        "get secrets",
    ] {
        let elsewhere = format!("{question} --namespace default");
        check(&release, "datalake-api", &elsewhere, false);
    }
    for kind in ["deployment/datalake-api", "cronjob/datalake-processor"] {
        let pods = release.kubectl(&["get", kind, "--output", "jsonpath={..automountServiceAccountToken}"]);
        assert_eq!(pods == "true", kind.ends_with("api"), "{kind} mounts a token: {pods}");
    }
}

#[track_caller]
fn check(release: &Release, account: &str, question: &str, is_allowed: bool) {
    let account = format!("system:serviceaccount:{}:{account}", release.namespace);
    let arguments: Vec<&str> = ["auth", "can-i", "--as", &account].into_iter().chain(question.split(' ')).collect();
    let output = release.kubectl_command(&arguments).output().unwrap();
    // Warnings, for example about the namespace of a cluster-scoped object, are written to stderr.
    let answer = String::from_utf8_lossy(&output.stdout);
    let expected = if is_allowed { "yes" } else { "no" };
    assert!(
        answer.starts_with(expected),
        "{account}: {question}: {answer}, not {expected}; {output:?}"
    );
}
