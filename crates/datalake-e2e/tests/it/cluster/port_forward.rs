//! Port forwarding into the cluster, and requests through it with curl.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    /// 0 without a response.
    pub(super) status: u16,
    pub(super) location: String,
    /// Null if it is not JSON.
    pub(super) body: Value,
}

/// A kubectl process that listens on a local port.
pub(super) struct PortForward {
    child: Child,
    pub(super) port: u16,
}

impl PortForward {
    /// Starts kubectl, and waits for the line with its port.
    pub(super) fn start(mut kubectl: Command) -> Self {
        let mut child = kubectl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("kubectl prints its address").unwrap();
        // Reads to the end, so that kubectl never blocks on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let (_, address) = first.split_once("127.0.0.1:").expect("kubectl listens on a loopback address");
        let digits = address.split(|character: char| !character.is_ascii_digit()).next().unwrap();
        Self {
            port: digits.parse().unwrap(),
            child,
        }
    }

    /// The response to a request, with any status.
    pub(super) fn request(&self, path: &str, arguments: &[&str]) -> Response {
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "90"])
            .args(["--write-out", "\n%{http_code} %header{location}"])
            .args(arguments)
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        let (body, written) = text.rsplit_once('\n').unwrap();
        let (status, location) = written.split_once(' ').unwrap();
        Response {
            status: status.parse().unwrap(),
            location: location.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    /// The JSON document at a path.
    #[track_caller]
    pub(super) fn json(&self, path: &str) -> Value {
        let response = self.request(path, &[]);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        response.body
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}
