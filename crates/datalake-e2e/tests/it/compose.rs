//! `docker compose up`, as in the README. Works with any engine that has the images `datalake-api` and `datalake-processor`.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::executable;

/// The services of docker-compose.yml, with a separate project name and ports.
struct Project {
    name: String,
    api_port: u16,
    s3_port: u16,
}

impl Project {
    fn new() -> Self {
        let project = Self {
            name: format!("datalake-test-{}", std::process::id()),
            api_port: free_port(),
            s3_port: free_port(),
        };
        for image in ["datalake-api", "datalake-processor"] {
            let found = Command::new("docker")
                .args(["image", "inspect", image])
                .output()
                .expect("docker is installed");
            assert!(
                found.status.success(),
                "the engine has no image {image}: build it with `docker compose build`"
            );
        }
        project
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Command::new("docker")
            .args(["compose", "--project-name", &self.name])
            .args(arguments)
            .current_dir(root)
            .env("API_PORT", self.api_port.to_string())
            .env("S3_PORT", self.s3_port.to_string())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn compose(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker compose {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// All containers: the ID and number of restarts of each, and the start time of running ones. (`init` has ended, and a second `up` starts it again.)
    #[track_caller]
    fn containers(&self) -> Vec<String> {
        let ids = self.compose(&["ps", "--all", "--quiet"]);
        let output = Command::new("docker")
            .args([
                "inspect",
                "--format",
                "{{.Id}} {{.RestartCount}}{{if .State.Running}} {{.State.StartedAt}}{{end}}",
            ])
            .args(ids.lines())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut containers: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        containers.sort_unstable();
        assert_eq!(containers.len(), 4, "{containers:?}");
        containers
    }

    /// The response of the API. Retries until the first run has ended.
    #[track_caller]
    fn curl(&self, path: &str, arguments: &[&str]) -> Value {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail",
                "--retry",
                "30",
                "--retry-all-errors",
                "--retry-delay",
                "1",
            ])
            .args(arguments)
            .arg(format!("http://127.0.0.1:{}{path}", self.api_port))
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Uploads a folder's sources from the host, as in the README.
    fn upload(&self, folder: &Path) {
        let output = Command::new(executable())
            .args(["init", "--lake", "s3://datalake", "--from"])
            .arg(folder)
            .args(["--s3-endpoint", &format!("http://127.0.0.1:{}", self.s3_port)])
            .env("AWS_ACCESS_KEY_ID", "admin")
            .env("AWS_SECRET_ACCESS_KEY", "password")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.run(&["logs", "--tail", "50"]);
            eprint_lossy(&logs.stdout);
        }
        let _ignored = self.run(&["down", "--volumes", "--timeout", "5"]);
    }
}

#[expect(clippy::print_stderr, reason = "the logs of the services explain the failure of a test")]
fn eprint_lossy(bytes: &[u8]) {
    eprintln!("{}", String::from_utf8_lossy(bytes));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn lake_survives_down_and_a_second_up_changes_nothing() {
    let project = Project::new();
    project.compose(&["up", "--detach", "--wait"]);
    let stats = project.curl("/stats?on=2026-11-24", &[]);
    assert_eq!(
        (&stats["count"], &stats["average_age"], &stats["without_image"]),
        (&json!(100), &json!(33.59), &json!(6))
    );

    let containers = project.containers();
    project.compose(&["up", "--detach", "--wait"]);
    assert_eq!(
        project.containers(),
        containers,
        "a second `up` changes nothing and restarts nothing"
    );

    let sources = TempDir::new().unwrap();
    fs::write(
        sources.path().join("1000.csv"),
        "first_name,last_name,birthts\nEdited,Lee,612302400000\n",
    )
    .unwrap();
    project.upload(sources.path());
    let run = project.curl("/data", &["--request", "POST", "--header", "Prefer: wait=60"]);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(project.curl("/data/1000", &[])["first_name"], "Edited");

    project.compose(&["down", "--timeout", "30"]);
    project.compose(&["up", "--detach", "--wait"]);
    assert_eq!(
        project.curl("/data/1000", &[])["first_name"],
        "Edited",
        "neither the table nor the edit is lost"
    );
    assert_eq!(project.curl("/stats", &[])["count"], 100);
    let runs = project.curl("/runs", &[]);
    assert!(
        runs["runs"].as_array().unwrap().iter().any(|known| known["id"] == run["id"]),
        "{runs}"
    );
}
