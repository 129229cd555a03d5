//! A way from the loopback into the cluster, and requests through it by curl.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// What a request was answered with.
#[derive(Debug)]
pub(super) struct Answer {
    /// 0 where there was no answer.
    pub(super) status: u16,
    pub(super) location: String,
    /// Null where it is no JSON.
    pub(super) body: Value,
}

/// A process of kubectl that listens on a port of the loopback.
pub(super) struct Forward {
    child: Child,
    pub(super) port: u16,
}

impl Forward {
    /// Starts kubectl, and waits for the line in which it names its port.
    pub(super) fn start(mut kubectl: Command) -> Self {
        let mut child = kubectl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("kubectl says where it listens").unwrap();
        // Reads to the end, so that kubectl never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let (_, address) = first.split_once("127.0.0.1:").expect("kubectl listens on the loopback");
        let digits = address.split(|character: char| !character.is_ascii_digit()).next().unwrap();
        Self {
            port: digits.parse().unwrap(),
            child,
        }
    }

    /// What a path is answered with, whatever it is.
    pub(super) fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "90"])
            .args(["--write-out", "\n%{http_code} %header{location}"])
            .args(arguments)
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .output()
            .expect("there is curl");
        let text = String::from_utf8_lossy(&output.stdout);
        let (body, told) = text.rsplit_once('\n').unwrap();
        let (status, location) = told.split_once(' ').unwrap();
        Answer {
            status: status.parse().unwrap(),
            location: location.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    /// The JSON of a path.
    #[track_caller]
    pub(super) fn json(&self, path: &str) -> Value {
        let answer = self.ask(path, &[]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}
