//! Commands on a terminal: progress, colors, one form of log lines, and the URL of a server.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use nix::{
    pty::{Winsize, openpty},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{csv, datalake},
    recorder::Recorder,
    s3_lake::S3Lake,
    s3_server::Conditions,
};

/// Long enough for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A server without a terminal, for requests.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(lake: &Path) -> Self {
        let mut command = datalake();
        command
            .args(["serve", "--launcher", "none", "--listen", "127.0.0.1:0", "--lake"])
            .arg(lake);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut address = None;
            for line in log.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["message"] == "listening" {
                    assert!(event["url"].as_str().unwrap().starts_with("http://localhost:"), "{event}");
                    address = event["address"].as_str().map(str::to_owned);
                }
                if event["message"] == "table loaded" {
                    let _test_may_have_failed = sender.send(address.clone().unwrap());
                }
            }
        });
        let address = receiver.recv_timeout(TIMEOUT).expect("the server loads the table");
        Self { child, address }
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        // A short document has one chunk at most.
        let start = body.find(['{', '[']).unwrap();
        let end = body.rfind(['}', ']']).unwrap();
        serde_json::from_str(&body[start..=end]).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

/// A command on a terminal.
struct OnTerminal {
    child: Child,
    screen: mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl OnTerminal {
    fn start(command: &mut Command) -> Self {
        Self::with_columns(command, 120)
    }

    fn with_columns(command: &mut Command, columns: u16) -> Self {
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = openpty(&size, None).unwrap();
        let stderr: OwnedFd = terminal.slave.try_clone().unwrap();
        command.env("TERM", "xterm-256color");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(terminal.slave))
            .stderr(Stdio::from(stderr));
        let child = command.spawn().unwrap();
        // The command keeps the terminal open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (sender, screen) = mpsc::channel();
        let mut output = File::from(terminal.master);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // A terminal whose last process has ended returns an error.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            screen,
            text: String::new(),
        }
    }

    /// Reads until the output contains this text.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        while !self.plain().contains(text) {
            let rest = deadline.saturating_duration_since(tokio::time::Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(rest) else {
                panic!("{text:?} is not shown: {}", self.plain());
            };
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// The output so far without colors.
    fn plain(&self) -> String {
        console::strip_ansi_codes(&self.text).into_owned()
    }

    /// The whole output, when the command has ended.
    fn finish(mut self) -> (String, ExitStatus) {
        while let Ok(bytes) = self.screen.recv_timeout(TIMEOUT) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let status = self.child.wait().unwrap();
        (self.text, status)
    }
}

fn lake() -> TempDir {
    let lake = TempDir::new().unwrap();
    fs::create_dir(lake.path().join("src-data")).unwrap();
    for id in 0..3 {
        fs::write(lake.path().join(format!("src-data/{id}.csv")), csv("Ada")).unwrap();
    }
    lake
}

#[test]
fn run_shows_its_phases_and_a_colored_table() {
    let lake = lake();
    let mut command = datalake();
    command.args(["process", "--lake"]).arg(lake.path()).env_remove("NO_COLOR");
    let (text, status) = OnTerminal::start(&mut command).finish();
    let plain = console::strip_ansi_codes(&text);
    assert!(status.success(), "{plain}");
    assert!(plain.contains("connecting to "), "{plain}");
    assert!(plain.contains("3 added, 0 changed, 0 removed"), "{plain}");
    assert!(text.contains("\u{1b}[32msucceeded\u{1b}[0m"), "{text:?}");
}

#[test]
fn no_color_is_respected() {
    let lake = lake();
    for command in ["process", "status"] {
        let mut datalake = datalake();
        datalake.args([command, "--lake"]).arg(lake.path()).env("NO_COLOR", "1");
        let (text, status) = OnTerminal::start(&mut datalake).finish();
        assert!(status.success(), "{text}");
        // Progress bars move the cursor, but use no colors.
        assert!(!text.contains("[32m") && !text.contains("[1m"), "{text:?}");
    }
}

/// An unreachable store is retried for many seconds.
#[test]
fn connecting_is_shown_at_once() {
    // A response waits for the lock, which is held until the end of the test.
    let lock = Arc::new(Mutex::new(()));
    let held = Arc::clone(&lock);
    let server = Recorder::new(move |_| {
        let _ended = held.lock();
        String::new()
    });
    let _until_the_end = lock.lock().unwrap();
    for (command, expected) in [
        ("process", "connecting to s3://lake"),
        ("init", "connecting to s3://lake"),
        ("status", "reading the table of s3://lake"),
        ("runs", "reading the runs of s3://lake"),
        ("doctor", "checking list"),
    ] {
        let mut datalake = datalake();
        let mut terminal = OnTerminal::start(
            datalake
                .args([command, "--lake", "s3://lake", "--s3-endpoint", &server.url()])
                .env("AWS_ACCESS_KEY_ID", "test-user")
                .env("AWS_SECRET_ACCESS_KEY", "test-secret"),
        );
        terminal.wait_for(expected);
        // The elapsed time moves although nothing else happens.
        terminal.wait_for("(1s)");
        terminal.child.kill().unwrap();
        terminal.child.wait().unwrap();
    }
}

#[test]
fn upload_shows_its_progress_and_the_next_command() {
    let (from, dir) = (lake(), TempDir::new().unwrap());
    let mut command = datalake();
    command.args(["init", "--lake"]).arg(dir.path().join("lake"));
    let (text, status) = OnTerminal::start(command.arg("--from").arg(from.path().join("src-data"))).finish();
    let plain = console::strip_ansi_codes(&text);
    assert!(status.success(), "{plain}");
    for part in [
        "listing ",
        "uploading sources",
        "3 sources uploaded, 0 already there",
        "next: `datalake up --lake ",
    ] {
        assert!(plain.contains(part), "{part:?} is missing in {plain}");
    }
}

/// What was written to the lines of the terminal, which a bar writes again and again.
fn lines(plain: &str) -> impl Iterator<Item = &str> {
    plain.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty())
}

/// Whether the line begins with a spinner.
fn is_bar(line: &str) -> bool {
    line.starts_with(|first| ('\u{2800}'..='\u{28ff}').contains(&first))
}

/// The server and its runs log in one form, and the URL is printed.
#[test]
fn up_prints_its_url_and_one_form_of_log_lines() {
    let lake = lake();
    let mut command = datalake();
    command.args(["up", "--listen", "127.0.0.1:0", "--lake"]).arg(lake.path());
    let mut terminal = OnTerminal::start(&mut command);
    terminal.wait_for("Web UI and API: http://localhost:");
    terminal.wait_for("run succeeded");
    terminal.wait_for("run ended");
    kill(Pid::from_raw(terminal.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let (text, status) = terminal.finish();
    let plain = console::strip_ansi_codes(&text);
    assert!(status.success(), "{plain}");
    assert!(plain.contains("stopping") && plain.contains("INFO  stopped"), "{plain}");
    for line in lines(&plain) {
        assert!(!line.starts_with('{'), "the line is JSON: {line}");
        let is_log = line.as_bytes().get(8) == Some(&b'Z');
        let is_banner = ["Web UI", "Lake:", "Press Ctrl-C"].iter().any(|start| line.starts_with(start));
        assert!(is_log || is_banner || is_bar(line), "another form: {line}");
    }
}

#[test]
fn runs_of_a_server_show_their_phase_in_its_terminal() {
    for columns in [80, 120] {
        let lake = S3Lake::new(Conditions { are_obeyed: true });
        lake.put(&[("1", "Ada"), ("2", "Eve")]);
        let read = lake.suspend("GET", "src-data/1.csv");
        let mut terminal = OnTerminal::with_columns(lake.command("up").args(["--listen", "127.0.0.1:0"]), columns);
        read.wait();
        terminal.wait_for("[2/5] reading sources [");
        terminal.wait_for("/2 users");
        kill(Pid::from_raw(terminal.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        let (text, status) = terminal.finish();
        let plain = console::strip_ansi_codes(&text);
        assert!(status.success(), "{plain}");
        let bars: Vec<&str> = lines(&plain).filter(|line| is_bar(line)).collect();
        assert!(bars.iter().all(|bar| bar.contains(" run ")), "each bar names its run: {bars:?}");
        let widest = bars.iter().map(|bar| console::measure_text_width(bar)).max();
        assert!(widest.is_some_and(|widest| widest <= usize::from(columns)), "{bars:?}");
        let (_, after) = plain.rsplit_once("INFO  stopped").expect("the server logs its end");
        assert_eq!(lines(after).next(), None, "nothing remains of the bar");
    }
}

#[test]
fn runs_of_a_server_show_no_bar_in_a_json_log() {
    let lake = lake();
    let mut command = datalake();
    command.args(["up", "--listen", "127.0.0.1:0", "--lake"]).arg(lake.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut events = std::iter::from_fn(|| {
        log.next()
            .map(|line| serde_json::from_str::<Value>(&line).expect("each line is JSON"))
    });
    assert!(events.any(|event| event["message"] == "run ended"));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert!(events.any(|event| event["message"] == "stopped"));
    assert!(child.wait().unwrap().success());
}
