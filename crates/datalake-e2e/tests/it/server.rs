//! A running `datalake` server, and requests to it with curl.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// The limit of every wait. A machine that is busy with other tests is slow.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The executable, which `cargo test --workspace` builds with the tests.
pub(crate) fn executable() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("datalake");
    assert!(
        path.exists(),
        "{} is missing: run the tests with `cargo test --workspace`",
        path.display()
    );
    path
}

/// A server on a free port, with a temporary working folder.
pub(crate) struct Server {
    child: Child,
    log: mpsc::Receiver<Value>,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Server {
    /// Starts `datalake` with these arguments, and waits until it listens.
    pub(crate) fn start(folder: TempDir, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    /// Starts `datalake` with these arguments and environment variables, and waits until it listens.
    pub(crate) fn start_with(folder: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(executable())
            .args(arguments)
            .envs(environment.iter().copied())
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let (lines, events) = mpsc::channel();
        // Reads to the end, so that the server never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = event["address"].as_str().filter(|_| event["message"] == "listening") {
                    let port = address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
                    let _ignored = sender.send(port);
                }
                let _ignored = lines.send(event);
            }
        });
        let port = receiver.recv_timeout(TIMEOUT).expect("the server logs its address");
        Self {
            child,
            log: events,
            port,
            folder,
        }
    }

    /// Runs a command line that names the server as `localhost:8080`.
    pub(crate) fn shell(&self, command: &str) -> Output {
        let command = command.replace("localhost:8080", &format!("127.0.0.1:{}", self.port));
        Command::new("sh")
            .args(["-c", &command])
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// The output of curl for a path and further arguments. Retries while there is no table.
    pub(crate) fn curl(&self, path: &str, arguments: &str) -> String {
        let retries = format!(
            "--retry 30 --retry-all-errors --retry-max-time {} --retry-delay 1",
            TIMEOUT.as_secs()
        );
        let output = self.shell(&format!(
            "curl --silent --show-error --fail {retries} {arguments} 'http://localhost:8080{path}'"
        ));
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The JSON document at a path.
    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.curl(path, "")).unwrap()
    }

    /// Terminates the server, and returns its exit status.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        self.end()
    }

    /// Terminates the server, and returns all lines of its log.
    pub(crate) fn terminate_and_read_log(mut self) -> Vec<Value> {
        assert_eq!(self.end(), Some(0));
        self.log.iter().collect()
    }

    fn end(&mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}
