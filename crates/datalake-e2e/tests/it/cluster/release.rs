//! A release of the chart in a namespace of its own.

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

use super::forward::{Answer, Forward};
use crate::server::executable;

/// An image is there, and a pod starts within seconds; a machine that is busy with other tests takes longer.
pub(super) const PATIENCE: Duration = Duration::from_mins(3);

/// Between two looks at what is waited for.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// Helm's own bound, so that its words come before ours.
const HELM_TIMEOUT: &str = "150s";

/// The 29th of February: a test that runs at the full hour sees no run but its own.
const NO_TICK: &str = "processor.schedule=0 0 29 2 *";

/// Looks until there is what is waited for.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a cluster has a clock of its own, which no test can move")]
pub(super) fn until<T>(what: &str, wait_max: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(begun.elapsed() < wait_max, "{what}: not within {wait_max:?}; last seen: {last}"),
        }
        sleep(LOOK_PERIOD);
    }
}

/// `POST /data` with an `Authorization` header and further arguments of curl. A 503 is retried, as its `Retry-After` requests: on a busy machine the
/// store can take longer than the API waits for it.
pub(super) fn post(api: &Forward, authorization: &str, arguments: &[&str]) -> Answer {
    until("the API and its store are available", PATIENCE, || {
        let answer = api.ask("/data", &[&["--request", "POST", "--header", authorization], arguments].concat());
        if answer.status == 503 {
            Err(format!("{answer:?}"))
        } else {
            Ok(answer)
        }
    })
}

/// Makes an object, or says why it was refused.
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
    output.status.success().then_some(()).ok_or_else(|| told(&output))
}

/// The chart, installed as `datalake`.
pub(super) struct Release {
    pub(super) namespace: String,
    /// Values of the installation, kept by upgrades.
    values: Vec<String>,
}

impl Release {
    /// A namespace that takes only what the strictest pod standard allows, and the chart in it with these values (`a=1,b=2`), whose runs
    /// begin by the schedule only if the values set one. Nothing is waited for.
    pub(super) fn install(theme: &str, values: &[&str]) -> Self {
        let release = Self::prepare(theme, values);
        release.helm("install", &[], &[]);
        release
    }

    /// The same with an S3 server that holds the sample users, once they are served and nothing is under way.
    pub(super) fn with_samples(theme: &str, values: &[&str]) -> Self {
        let release = Self::prepare_held(theme, values);
        release.let_go();
        release.helm("install", &[], &["--wait"]);
        let api = release.api();
        until("100 users are served", PATIENCE, || {
            let stats = api.ask("/stats", &[]);
            (stats.body["count"] == 100).then_some(()).ok_or(format!("{stats:?}"))
        });
        release.settle();
        release
    }

    /// The same before a run or the Job that uploads the samples has begun: no node takes their pods until [`Self::let_go`]. Nothing is
    /// waited for.
    pub(super) fn held(theme: &str, values: &[&str]) -> Self {
        let release = Self::prepare_held(theme, values);
        release.helm("install", &[], &[]);
        release
    }

    fn prepare_held(theme: &str, values: &[&str]) -> Self {
        let mut release = Self::prepare(theme, &[&["demo.enabled=true"], values].concat());
        release.values.push(format!("processor.nodeSelector.{}=go", release.namespace));
        release
    }

    /// Lets the pods of runs begin.
    pub(super) fn let_go(&self) {
        self.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{}=go", self.namespace)]);
    }

    /// Keeps the pods of runs that are yet to come from beginning: whatever is asked for meanwhile finds them active.
    pub(super) fn hold(&self) {
        self.kubectl(&["label", "nodes", "--all", &format!("{}-", self.namespace)]);
    }

    fn prepare(theme: &str, values: &[&str]) -> Self {
        assert!(environment("KUBECONFIG").is_some(), "KUBECONFIG names no cluster to test on");
        for tool in ["kubectl", "helm", "curl"] {
            let found = Command::new(tool).arg("--help").output();
            assert!(found.is_ok(), "{tool} is missing: {found:?}");
        }
        let release = Self {
            namespace: format!("datalake-test-{theme}-{}", std::process::id()),
            values: [&[NO_TICK], values].concat().iter().map(|&value| value.to_owned()).collect(),
        };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": release.namespace, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
        create(&namespace, &[]).expect("the cluster makes a namespace");
        release
    }

    /// Adds values to those of the installation, and waits until the new pods serve.
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
            // An image that is missing shows here.
            let pods = self.kubectl(&[
                "get",
                "pods",
                "--output",
                "jsonpath={.items[*].status.containerStatuses[*].state.waiting}",
            ]);
            panic!("helm {command} {values:?}: {}; pods wait: {pods}", told(&output));
        }
    }

    /// `helm test`.
    #[track_caller]
    pub(super) fn helm_test(&self) {
        let arguments = ["test", "datalake", "--namespace", &self.namespace, "--timeout", HELM_TIMEOUT];
        let output = Command::new("helm").args(arguments).output().unwrap();
        assert!(output.status.success(), "helm test: {}", told(&output));
    }

    /// kubectl in the release's namespace.
    pub(super) fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.namespace]).args(arguments);
        command
    }

    /// What kubectl prints.
    #[track_caller]
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_command(arguments).output().unwrap();
        assert!(output.status.success(), "kubectl {arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// An object or a list of them.
    #[track_caller]
    pub(super) fn get(&self, arguments: &[&str]) -> Value {
        let arguments = [&["get", "--output", "json"], arguments].concat();
        serde_json::from_str(&self.kubectl(&arguments)).unwrap()
    }

    /// A port of the loopback that leads to a port of a pod or Service.
    pub(super) fn forward(&self, target: &str, port: u16) -> Forward {
        Forward::start(self.kubectl_command(&["port-forward", target, &format!(":{port}")]))
    }

    /// A port that leads to one replica of the API, whichever.
    pub(super) fn api(&self) -> Forward {
        self.forward("service/datalake-api", 8080)
    }

    /// The names of a component's pods, those that are on their way out left out.
    pub(super) fn pods(&self, component: &str) -> Vec<String> {
        let pods = self.get(&["pods", "--selector", &format!("app.kubernetes.io/component={component}")]);
        let pods = pods["items"].as_array().unwrap();
        let staying = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        staying.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The Jobs of runs, by whomever they were made.
    pub(super) fn jobs(&self) -> Vec<Value> {
        let jobs = self.get(&["jobs", "--selector", "app.kubernetes.io/component=processor"]);
        jobs["items"].as_array().unwrap().clone()
    }

    /// Their names.
    pub(super) fn job_names(&self) -> BTreeSet<String> {
        let name = |job: &Value| job["metadata"]["name"].as_str().unwrap().to_owned();
        self.jobs().iter().map(name).collect()
    }

    /// Waits until every Job has ended, the one that fills the lake among them.
    pub(super) fn settle(&self) {
        until("every Job has ended", PATIENCE, || {
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

    /// The header with the token that the chart made.
    pub(super) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.secret("datalake-api-token", "token"))
    }

    /// `POST /data` with the token and further arguments of curl.
    pub(super) fn post(&self, api: &Forward, arguments: &[&str]) -> Answer {
        post(api, &self.authorization(), arguments)
    }

    /// Replaces the row of a user's source, as its owner does from outside.
    pub(super) fn edit(&self, user_id: &str, first_name: &str) {
        let sources = TempDir::new().unwrap();
        let row = format!("first_name,last_name,birthts\n{first_name},Lee,612302400000\n");
        fs::write(sources.path().join(user_id).with_extension("csv"), row).unwrap();
        self.upload(sources.path());
    }

    /// Makes the bucket where there is none, and uploads a folder's sources, as their owner does from outside.
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
        assert!(output.status.success(), "{}", told(&output));
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // The namespace alone would leave the admission policy, which is the cluster's.
        let uninstall = ["uninstall", "datalake", "--namespace", &self.namespace];
        let _a_half_installed_one_is_removed_below = Command::new("helm").args(uninstall).output();
        let label = format!("{}-", self.namespace);
        let _not_every_test_has_set_it = Command::new("kubectl").args(["label", "nodes", "--all", &label]).output();
        let delete = ["delete", "namespace", &self.namespace, "--wait=false"];
        let _there_may_be_none = Command::new("kubectl").args(delete).output();
    }
}

impl Release {
    /// What there is, for whoever reads why a test failed: no more than a screen or two, of which the answers to single requests are no part.
    #[expect(clippy::print_stderr, reason = "what the cluster did belongs to the failure of its test")]
    fn tell(&self) {
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
                eprintln!("{}\n{}", shown.join("\n"), told(&output));
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

/// What a command said beside its answer.
fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "which cluster is tested on is the environment's to say, as for kubectl"
)]
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
