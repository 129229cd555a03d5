//! chromedriver: one process for each browser, so that tests are isolated.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use http::Method;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// Chromium sends no requests of its own, and cannot reach other hosts.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--lang=en-GB",
    "--window-size=1280,800",
];

/// Whether pages run their scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scripts {
    On,
    Off,
}

/// The capabilities of a session: the browser records its console and its requests.
pub(super) fn capabilities(scripts: Scripts) -> Capabilities {
    let permission = match scripts {
        Scripts::On => 1,
        Scripts::Off => 2,
    };
    let capabilities = json!({
        "goog:chromeOptions": {
            "args": ARGUMENTS,
            "prefs": { "profile.default_content_setting_values.javascript": permission },
        },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    capabilities.as_object().unwrap().clone()
}

/// The process group of chromedriver and its browser.
pub(super) struct Driver {
    child: Child,
    port: u16,
    /// The home and temporary folder of the processes.
    _home: TempDir,
}

impl Driver {
    pub(super) fn start() -> Self {
        // It chooses a free port of IPv4 and then needs the same port of IPv6, which may be in use.
        const ATTEMPTS_MAX: usize = 10;
        (0..ATTEMPTS_MAX)
            .find_map(|_| Self::try_start())
            .expect("chromedriver prints its port")
    }

    fn try_start() -> Option<Self> {
        let home = TempDir::new().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env_remove("DISPLAY")
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need chromedriver (Debian: chromium and chromium-driver)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut driver = Self {
            child,
            port: 0,
            _home: home,
        };
        driver.port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        })?;
        // Reads to the end, so that chromedriver does not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(driver)
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _killed = killpg(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGKILL);
        let _waited = self.child.wait();
    }
}

/// A command of chromedriver that WebDriver does not have.
#[derive(Debug)]
pub(super) struct ChromeCommand {
    pub(super) path: &'static str,
    pub(super) body: Value,
}

impl WebDriverCompatibleCommand for ChromeCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
