//! A release of the chart in a separate namespace.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::port_forward::{PortForward, Response};
use crate::server::executable;

/// Images are present and pods start within seconds, but a machine that is busy with other tests takes longer.
pub(super) const TIMEOUT: Duration = Duration::from_mins(3);

/// The time between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Less than [`TIMEOUT`], so that the message of helm is reported.
const HELM_TIMEOUT: &str = "150s";

/// 29 February: no scheduled run starts during a test.
const NEVER_SCHEDULED: &str = "processor.schedule=0 0 29 2 *";

/// Polls until there is a result.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests cannot control the clock of a cluster")]
pub(super) fn wait_until<T>(what: &str, wait_max: Duration, mut poll: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match poll() {
            Ok(found) => return found,
            Err(last) => assert!(started.elapsed() < wait_max, "{what}: not within {wait_max:?}; last seen: {last}"),
        }
        sleep(POLL_INTERVAL);
    }
}

/// `POST /data` with an `Authorization` header and further arguments of curl. A 503 is retried, as its `Retry-After` requests: on a busy machine the
/// store can take longer than the API waits for it.
pub(super) fn post(api: &PortForward, authorization: &str, arguments: &[&str]) -> Response {
    wait_until("the API and its store are available", TIMEOUT, || {
        let response = api.request("/data", &[&["--request", "POST", "--header", authorization], arguments].concat());
        if response.status == 503 {
            Err(format!("{response:?}"))
        } else {
            Ok(response)
        }
    })
}

/// Creates an object, or returns the message of the rejection.
pub(super) fn create(object: &Value, arguments: &[&str]) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("object.json");
    fs::write(&file, object.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let output = Command::new("kubectl")
        .args(["create", "--filename", file])
        .args(arguments)
        .output()
        .unwrap();
    output.status.success().then_some(()).ok_or_else(|| stderr(&output))
}

/// The chart, installed as `datalake`.
pub(super) struct Release {
    pub(super) namespace: String,
    /// Values of the installation, kept by upgrades.
    values: Vec<String>,
}

impl Release {
    /// Installs the chart with these values (`a=1,b=2`) in a namespace that enforces the `restricted` pod standard. Runs are scheduled only if
    /// the values set a schedule. Does not wait.
    pub(super) fn install(name: &str, values: &[&str]) -> Self {
        let release = Self::prepare(name, values);
        release.helm("install", &[], &[]);
        release
    }

    /// Installs the chart with an S3 server that has the sample users, and waits until they are served and no Job is active.
    pub(super) fn with_samples(name: &str, values: &[&str]) -> Self {
        let release = Self::prepare_blocked(name, values);
        release.allow_scheduling();
        release.helm("install", &[], &["--wait"]);
        let api = release.api();
        wait_until("100 users are served", TIMEOUT, || {
            let stats = api.request("/stats", &[]);
            (stats.body["count"] == 100).then_some(()).ok_or(format!("{stats:?}"))
        });
        release.wait_for_jobs();
        release
    }

    /// Installs the chart with an S3 server, but no run and no upload of the samples starts: their pods stay pending until
    /// [`Self::allow_scheduling`]. Does not wait.
    pub(super) fn with_blocked_runs(name: &str, values: &[&str]) -> Self {
        let release = Self::prepare_blocked(name, values);
        release.helm("install", &[], &[]);
        release
    }

    fn prepare_blocked(name: &str, values: &[&str]) -> Self {
        let mut release = Self::prepare(name, &[&["demo.enabled=true"], values].concat());
        release.values.push(format!("processor.nodeSelector.{}=go", release.namespace));
        release
    }

    /// Lets the nodes accept the pods of runs.
    pub(super) fn allow_scheduling(&self) {
        self.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{}=go", self.namespace)]);
    }

    /// Keeps the pods of future runs pending, so that their runs stay active.
    pub(super) fn block_scheduling(&self) {
        self.kubectl(&["label", "nodes", "--all", &format!("{}-", self.namespace)]);
    }

    fn prepare(name: &str, values: &[&str]) -> Self {
        assert!(environment("KUBECONFIG").is_some(), "KUBECONFIG does not name a cluster");
        for tool in ["kubectl", "helm", "curl"] {
            let found = Command::new(tool).arg("--help").output();
            assert!(found.is_ok(), "{tool} is missing: {found:?}");
        }
        let release = Self {
            namespace: format!("datalake-test-{name}-{}", std::process::id()),
            values: [&[NEVER_SCHEDULED], values]
                .concat()
                .iter()
                .map(|&value| value.to_owned())
                .collect(),
        };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": release.namespace, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
        create(&namespace, &[]).expect("the namespace is created");
        release
    }

    /// Upgrades with values in addition to those of the installation, and waits until the new pods are ready.
    pub(super) fn upgrade(&self, values: &[&str]) {
        self.helm("upgrade", values, &["--wait"]);
    }

    #[track_caller]
    fn helm(&self, command: &str, values: &[&str], flags: &[&str]) {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/datalake");
        let mut helm = Command::new("helm");
        helm.args([command, "datalake"]).arg(chart).args(flags);
        helm.args(["--namespace", &self.namespace, "--timeout", HELM_TIMEOUT]);
        if let Some(tag) = environment("DATALAKE_TEST_IMAGE_TAG") {
            helm.args(["--set-string", &format!("api.image.tag={tag},processor.image.tag={tag}")]);
        }
        for value in self.values.iter().map(String::as_str).chain(values.iter().copied()) {
            helm.args(["--set", value]);
        }
        let output = helm.output().unwrap();
        if !output.status.success() {
            // Shows, for example, that an image is missing.
            let pods = self.kubectl(&[
                "get",
                "pods",
                "--output",
                "jsonpath={.items[*].status.containerStatuses[*].state.waiting}",
            ]);
            panic!("helm {command} {values:?}: {}; pods wait: {pods}", stderr(&output));
        }
    }

    /// `helm test`.
    #[track_caller]
    pub(super) fn helm_test(&self) {
        let arguments = ["test", "datalake", "--namespace", &self.namespace, "--timeout", HELM_TIMEOUT];
        let output = Command::new("helm").args(arguments).output().unwrap();
        assert!(output.status.success(), "helm test: {}", stderr(&output));
    }

    /// A kubectl command in the release's namespace.
    pub(super) fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.namespace]).args(arguments);
        command
    }

    /// The output of kubectl.
    #[track_caller]
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_command(arguments).output().unwrap();
        assert!(output.status.success(), "kubectl {arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// An object or a list of objects.
    #[track_caller]
    pub(super) fn get(&self, arguments: &[&str]) -> Value {
        let arguments = [&["get", "--output", "json"], arguments].concat();
        serde_json::from_str(&self.kubectl(&arguments)).unwrap()
    }

    /// Forwards a local port to a port of a pod or Service.
    pub(super) fn forward(&self, target: &str, port: u16) -> PortForward {
        PortForward::start(self.kubectl_command(&["port-forward", target, &format!(":{port}")]))
    }

    /// Forwards a local port to any replica of the API.
    pub(super) fn api(&self) -> PortForward {
        self.forward("service/datalake-api", 8080)
    }

    /// The names of a component's pods, without those that are terminating.
    pub(super) fn pods(&self, component: &str) -> Vec<String> {
        let pods = self.get(&["pods", "--selector", &format!("app.kubernetes.io/component={component}")]);
        let pods = pods["items"].as_array().unwrap();
        let remaining = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        remaining.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The Jobs of all runs.
    pub(super) fn jobs(&self) -> Vec<Value> {
        let jobs = self.get(&["jobs", "--selector", "app.kubernetes.io/component=processor"]);
        jobs["items"].as_array().unwrap().clone()
    }

    /// The names of the Jobs of all runs.
    pub(super) fn job_names(&self) -> BTreeSet<String> {
        let name = |job: &Value| job["metadata"]["name"].as_str().unwrap().to_owned();
        self.jobs().iter().map(name).collect()
    }

    /// Waits until every Job has ended, including the upload of the samples.
    pub(super) fn wait_for_jobs(&self) {
        wait_until("every Job has ended", TIMEOUT, || {
            let jobs = self.get(&["jobs"]);
            let active: Vec<_> = jobs["items"].as_array().unwrap().iter().filter(|job| !has_ended(job)).collect();
            active.is_empty().then_some(()).ok_or(format!("{active:?}"))
        });
    }

    /// A value of a Secret.
    pub(super) fn secret(&self, name: &str, key: &str) -> String {
        let template = format!("go-template={{{{index .data {key:?} | base64decode}}}}");
        self.kubectl(&["get", "secret", name, "--output", &template])
    }

    /// The header with the token that the chart generated.
    pub(super) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.secret("datalake-api-token", "token"))
    }

    /// `POST /data` with the token and further arguments of curl.
    pub(super) fn post(&self, api: &PortForward, arguments: &[&str]) -> Response {
        post(api, &self.authorization(), arguments)
    }

    /// Replaces the CSV of a user from outside of the cluster.
    pub(super) fn edit(&self, user_id: &str, first_name: &str) {
        let sources = TempDir::new().unwrap();
        let row = format!("first_name,last_name,birthts\n{first_name},Lee,612302400000\n");
        fs::write(sources.path().join(user_id).with_extension("csv"), row).unwrap();
        self.upload(sources.path());
    }

    /// Creates the bucket if it does not exist, and uploads a folder's sources from outside of the cluster.
    pub(super) fn upload(&self, sources: &Path) {
        let s3 = self.forward("service/datalake-demo-s3", 7070);
        let output = Command::new(executable())
            .args(["init", "--lake", "s3://datalake", "--from"])
            .arg(sources)
            .args(["--s3-endpoint", &format!("http://127.0.0.1:{}", s3.port)])
            .env("AWS_ACCESS_KEY_ID", self.secret("datalake-demo-s3", "AWS_ACCESS_KEY_ID"))
            .env("AWS_SECRET_ACCESS_KEY", self.secret("datalake-demo-s3", "AWS_SECRET_ACCESS_KEY"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_diagnostics();
        }
        // Deleting the namespace would not delete the admission policies, which are cluster-scoped.
        let uninstall = ["uninstall", "datalake", "--namespace", &self.namespace];
        let _ignored = Command::new("helm").args(uninstall).output();
        let label = format!("{}-", self.namespace);
        let _ignored = Command::new("kubectl").args(["label", "nodes", "--all", &label]).output();
        let delete = ["delete", "namespace", &self.namespace, "--wait=false"];
        let _ignored = Command::new("kubectl").args(delete).output();
    }
}

impl Release {
    /// Prints the state of the release after a failure, without the log lines of single requests.
    #[expect(clippy::print_stderr, reason = "the state of the cluster explains the failure of a test")]
    fn print_diagnostics(&self) {
        for (arguments, lines_max) in [
            (&["get", "pods,jobs"][..], 30),
            (&["get", "events", "--sort-by", ".lastTimestamp"], 15),
            (
                &[
                    "logs",
                    "--selector",
                    "app.kubernetes.io/component=api",
                    "--prefix",
                    "--tail",
                    "2000",
                ],
                30,
            ),
        ] {
            if let Ok(output) = self.kubectl_command(arguments).output() {
                let text = String::from_utf8_lossy(&output.stdout);
                let lines: Vec<_> = text
                    .lines()
                    .filter(|line| !line.contains(r#""message":"request handled""#))
                    .collect();
                let shown = &lines[lines.len().saturating_sub(lines_max)..];
                eprintln!("{}\n{}", shown.join("\n"), stderr(&output));
            }
        }
    }
}

/// Whether a Job is complete or failed.
pub(super) fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["status"] == "True" && ["Complete", "Failed"].contains(&condition["type"].as_str().unwrap_or_default()))
}

/// The standard error of a command.
fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the environment selects the cluster, as for kubectl")]
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
