//! Servers of lakes in temporary folders. After the first run, runs start only on request.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, executable};

/// The day on which ages are computed in comparisons.
pub(super) const ON: &str = "2026-11-24";

/// A CSV in the format of the samples.
pub(super) fn source(first_name: &str, last_name: &str, birthts: &str) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!(
        "first_name,last_name,birthts\n{},{},{birthts}\n",
        quoted(first_name),
        quoted(last_name)
    )
}

/// The folder of the sources of a server's lake.
pub(super) fn sources(server: &Server) -> PathBuf {
    server.folder.path().join("lake/src-data")
}

pub(super) fn write(server: &Server, name: &str, content: impl AsRef<[u8]>) {
    fs::write(sources(server).join(name), content).unwrap();
}

/// Starts a run by the API and waits for its end.
pub(super) fn run(server: &Server) -> Value {
    serde_json::from_str(&server.curl("/data", "--request POST --header 'Prefer: wait=60'")).unwrap()
}

/// An active run whose process is suspended until this is dropped.
pub(super) struct SuspendedRun {
    pub(super) id: String,
    process: Pid,
}

impl SuspendedRun {
    /// Starts a run and suspends it. A run that ends before that is followed by another one.
    pub(super) fn start(server: &Server) -> Self {
        const ATTEMPTS_MAX: usize = 20;
        for _ in 0..ATTEMPTS_MAX {
            let run: Value = serde_json::from_str(&server.curl("/data", "--request POST")).unwrap();
            let id = run["id"].as_str().unwrap().to_owned();
            let Some(process) = run_process(server, &id).filter(|process| kill(*process, Signal::SIGSTOP).is_ok()) else {
                continue;
            };
            let suspended = Self { id, process };
            let state = server.json(&format!("/runs/{}", suspended.id))["state"].clone();
            if state == "pending" || state == "running" {
                return suspended;
            }
        }
        panic!("none of {ATTEMPTS_MAX} runs could be suspended")
    }
}

impl SuspendedRun {
    /// Writes a line to the log of the run.
    pub(super) fn write_log(&self, line: &str) {
        let log = format!("/proc/{}/fd/2", self.process);
        fs::write(log, format!("{line}\n")).unwrap();
    }
}

impl Drop for SuspendedRun {
    fn drop(&mut self) {
        let _resumed = kill(self.process, Signal::SIGCONT);
    }
}

/// The process of a run of the server: the one in the server's folder that has the run's ID.
fn run_process(server: &Server, id: &str) -> Option<Pid> {
    let variable = format!("DATALAKE_RUN_ID={id}").into_bytes();
    let folder = server.folder.path().canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_run = |path: &Path| {
        let is_there = fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == folder);
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        is_there && environment.split(|byte| *byte == 0).any(|entry| entry == variable)
    };
    let process = processes.map(|entry| entry.path()).find(|path| is_run(path))?;
    process.file_name()?.to_str()?.parse().ok().map(Pid::from_raw)
}

/// The 100 sample users.
pub(super) fn samples() -> Server {
    samples_with(&[])
}

/// The 100 sample users, with more arguments for the server.
pub(super) fn samples_with(arguments: &[&str]) -> Server {
    samples_of("serve", arguments)
}

/// The token of [`protected`].
pub(super) const TOKEN: &str = "an-unguessable-token";

/// The 100 sample users; reads require the token.
pub(super) fn protected() -> Server {
    let folder = samples_folder();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let server = Server::start(folder, &["serve", "--lake", "lake", "--token-file", "token", "--protect-reads"]);
    let header = format!("--header 'Authorization: Bearer {TOKEN}'");
    let stats: Value = serde_json::from_str(&server.curl("/stats", &header)).unwrap();
    assert_eq!(stats["count"], 100);
    server
}

fn samples_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let status = Command::new(executable())
        .args(["init", "--lake", "lake", "--samples"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    folder
}

fn samples_of(command: &str, arguments: &[&str]) -> Server {
    let folder = samples_folder();
    let server = Server::start(folder, &[&[command, "--lake", "lake"], arguments].concat());
    assert_eq!(server.json("/stats")["count"], 100);
    server
}

/// The lake of [`edited`], with a server that has a schedule.
pub(super) fn edited_on_schedule() -> Server {
    edit(samples_of("up", &["--schedule", "0 * * * *"]))
}

/// The samples, and a second version with a changed, a removed and an added row, and three rejects: of a CSV, of an image, and of a file name.
pub(super) fn edited() -> Server {
    edit(samples())
}

fn edit(server: Server) -> Server {
    write(&server, "1000.csv", source("Susanna", "Lee", "612302400000"));
    fs::remove_file(sources(&server).join("1001.csv")).unwrap();
    fs::remove_file(sources(&server).join("1001.png")).unwrap();
    write(&server, "1002.csv", "first_name,last_name,birthts\nAnn,Fox,<b>1990-01-01</b>\n");
    write(&server, "1003.png", "<html>not an image</html>");
    write(&server, "not a user.csv", source("No", "Body", "0"));
    write(&server, "2000.csv", source("Ada", "Lovelace", "612302400000"));
    let run = run(&server);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(server.json("/rejects")["count"], 3);
    server
}

/// Names with markup and in many scripts, by user ID.
pub(super) const HOSTILE: &[(&str, &str, &str)] = &[
    (
        "3000",
        "<script>document.title='taken'</script>",
        "\"><img src=x onerror=document.title='taken'>",
    ),
    ("3001", "&lt;b&gt;", "'; --"),
    ("3002", "عبد الرحمن", "الخوارزمي"),
    ("3003", "שרה", "בן־גוריון"),
    ("3004", "👩‍👩‍👧‍👦🏳️‍🌈", "🇺🇳"),
    ("3005", "王小明", "司馬光"),
    ("3006", "{{7*7}}", "${7*7}"),
    ("3007", "=cmd()", "%3Cscript%3E"),
    (
        "An-id.of_64-characters-is-the-longest-that-a-source-may-have----",
        "Zoë",
        "O’Neill-Łukasiewicz",
    ),
];

/// A long name without a space.
pub(super) fn long_name() -> String {
    "W".repeat(300)
}

/// A lake with only the hostile names.
pub(super) fn hostile() -> Server {
    let folder = TempDir::new().unwrap();
    let sources = folder.path().join("lake/src-data");
    fs::create_dir_all(&sources).unwrap();
    for (user_id, first_name, last_name) in HOSTILE {
        fs::write(
            sources.join(format!("{user_id}.csv")),
            source(first_name, last_name, "612302400000"),
        )
        .unwrap();
    }
    let names = "Maria ".repeat(50);
    fs::write(sources.join("long.csv"), source(&long_name(), names.trim_end(), "612302400000")).unwrap();
    let server = Server::start(folder, &["serve", "--lake", "lake"]);
    assert_eq!(server.json("/stats")["count"], HOSTILE.len() + 1);
    server
}

/// The longest run ID.
pub(super) fn long_run_id() -> String {
    format!("run-{}", "x".repeat(124))
}

/// The lake of [`edited`] with long names and IDs of users, sources and runs, and a run with a long error.
pub(super) fn crowded() -> Server {
    let server = edited();
    for (user_id, first_name, last_name) in HOSTILE {
        write(&server, &format!("{user_id}.csv"), source(first_name, last_name, "612302400000"));
    }
    write(
        &server,
        "long.csv",
        source(&long_name(), "Maria ".repeat(50).trim_end(), "612302400000"),
    );
    write(&server, &format!("{}.csv", "not-a-user-".repeat(15)), "nothing");
    let process = |arguments: &[&str]| {
        Command::new(executable())
            .args([&["process", "--lake", "lake"], arguments].concat())
            .current_dir(server.folder.path())
            .output()
            .unwrap()
            .status
    };
    assert!(process(&["--run-id", &long_run_id()]).success());
    // More rejected sources than allowed.
    assert_eq!(process(&["--full", "--max-reject-ratio", "0"]).code(), Some(4));
    assert_eq!(server.json("/runs?limit=1")["runs"][0]["state"], "blocked");
    let count = server.json("/data?limit=1000&min_version=2&wait=30s").as_array().unwrap().len();
    assert!(count > 100, "{count} users");
    server
}

/// An empty lake whose server starts runs.
pub(super) fn empty_with_runs() -> Server {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("lake/src-data")).unwrap();
    Server::start(folder, &["serve", "--lake", "lake"])
}

/// An empty lake.
pub(super) fn empty() -> Server {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("lake")).unwrap();
    Server::start(folder, &["serve", "--lake", "lake", "--launcher", "none"])
}

/// The samples with a number of rejects.
pub(super) fn many_rejects(count: usize) -> Server {
    let server = samples_with(&["--max-reject-ratio", "1"]);
    for number in 0..count {
        let mut name = String::new();
        write!(name, "bad-{number:05}.csv").unwrap();
        write(&server, &name, "first_name,last_name,birthts\nAnn,Fox,yesterday\n");
    }
    let run = run(&server);
    assert_eq!(run["state"], "succeeded", "{run}");
    server
}
