//! A headless browser, driven by WebDriver. It records its console and its requests.

use std::{fmt::Debug, path::Path, time::Duration};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::TimeoutConfiguration,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};

use super::driver::{self, ChromeCommand, Driver, Scripts};
use crate::server::Server;

/// How long a test waits for a condition: long enough for a machine that runs other tests.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How often a condition is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The color scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The size of the window in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) const DESK: Self = Self { width: 1280, height: 800 };
    pub(super) const PHONE: Self = Self { width: 390, height: 844 };
}

/// A browser session of one test.
pub(super) struct Browser {
    runtime: Runtime,
    client: Client,
    _driver: Driver,
    origin: String,
}

impl Browser {
    /// Starts a browser for the pages of a server.
    pub(super) fn open(server: &Server) -> Self {
        Self::start(server, Scripts::On)
    }

    /// Starts a browser with JavaScript disabled.
    pub(super) fn without_scripts(server: &Server) -> Self {
        Self::start(server, Scripts::Off)
    }

    fn start(server: &Server, scripts: Scripts) -> Self {
        let driver = Driver::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(driver::capabilities(scripts))
                    .connect(&driver.address()),
            )
            .expect("chromedriver starts chromium");
        let browser = Self {
            runtime,
            client,
            _driver: driver,
            origin: format!("http://127.0.0.1:{}", server.port),
        };
        let timeouts = TimeoutConfiguration::new(Some(TIMEOUT), Some(TIMEOUT), None);
        browser.wait(browser.client.update_timeouts(timeouts));
        browser
    }

    #[track_caller]
    fn wait<T>(&self, answer: impl Future<Output = Result<T, CmdError>>) -> T {
        self.runtime.block_on(answer).unwrap_or_else(|error| {
            // The other lines are addresses within chromedriver.
            let message = error.to_string();
            panic!("{}", message.lines().next().unwrap_or_default())
        })
    }

    #[track_caller]
    fn chrome(&self, path: &'static str, body: Value) -> Value {
        self.wait(self.client.issue_cmd(ChromeCommand { path, body }))
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.chrome("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    /// Opens a path of the server, and waits until the page is loaded.
    #[track_caller]
    pub(super) fn go(&self, path: &str) {
        self.wait(self.client.goto(&format!("{}{path}", self.origin)));
    }

    /// Path and query in the address bar.
    #[track_caller]
    pub(super) fn address(&self) -> String {
        let url = self.wait(self.client.current_url());
        url.as_str().strip_prefix(&self.origin).expect("a page of the server").to_owned()
    }

    /// The status of the page's response.
    #[track_caller]
    pub(super) fn status(&self) -> u64 {
        let status = self.run("return performance.getEntriesByType('navigation')[0].responseStatus");
        status.as_u64().unwrap()
    }

    /// Runs the body of a function in the page, and returns its result.
    #[track_caller]
    pub(super) fn run(&self, script: &str) -> Value {
        self.wait(self.client.execute(script, Vec::new()))
    }

    /// Runs a script in the page, and returns what it passes to its last argument, a function.
    #[track_caller]
    pub(super) fn run_async(&self, script: &str) -> Value {
        self.wait(self.client.execute_async(script, Vec::new()))
    }

    fn pause(&self) {
        self.runtime.block_on(async { sleep(POLL_INTERVAL).await });
    }

    /// Polls until a condition is met.
    #[track_caller]
    pub(super) fn until<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "waited for {what} at {}; the page is: {}",
                self.address(),
                self.run("return document.body.innerText")
            );
            self.pause();
        }
    }

    /// Polls until a script returns a value that is not null, false or empty.
    #[track_caller]
    pub(super) fn until_run(&self, what: &str, script: &str) -> Value {
        self.until(what, || {
            let value = self.run(script);
            (!matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != json!([])).then_some(value)
        })
    }

    /// Acts on the element of a selector. It retries, because a refresh may replace the element.
    #[track_caller]
    fn with_element<T>(&self, selector: &str, act: &impl AsyncFn(&Element) -> Result<T, CmdError>) -> T {
        let mut last = None;
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let acted = self.runtime.block_on(async {
                let element = self.client.find(Locator::Css(selector)).await?;
                act(&element).await
            });
            match acted {
                Ok(done) => return done,
                Err(error) => last = Some(error),
            }
            self.pause();
        }
        panic!("{selector} at {}: {last:?}", self.address());
    }

    /// Clicks the element of a selector once it exists and is not covered.
    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.with_element(selector, &async |element: &Element| element.click().await);
    }

    /// Replaces the text of an input.
    #[track_caller]
    pub(super) fn fill(&self, selector: &str, text: &str) {
        self.with_element(selector, &async |element: &Element| {
            element.clear().await?;
            element.send_keys(text).await
        });
    }

    /// Presses a key in the focused element.
    #[track_caller]
    pub(super) fn press(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.wait(self.client.perform_actions(keys));
    }

    /// Presses a character key in the focused element, or in the page.
    #[track_caller]
    pub(super) fn type_key(&self, value: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.wait(self.client.perform_actions(keys));
    }

    /// The text of the first element of a selector.
    #[track_caller]
    pub(super) fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).textContent.trim()", json!(selector)));
        text.as_str().unwrap().to_owned()
    }

    /// The number of elements that match a selector.
    #[track_caller]
    pub(super) fn count(&self, selector: &str) -> u64 {
        let count = self.run(&format!("return document.querySelectorAll({}).length", json!(selector)));
        count.as_u64().unwrap()
    }

    /// The values of an attribute in `main`, in document order.
    #[track_caller]
    pub(super) fn attributes(&self, name: &str) -> Vec<String> {
        let script = format!("return [...document.querySelectorAll('main [{name}]')].map(element => element.getAttribute('{name}'))");
        serde_json::from_value(self.run(&script)).unwrap()
    }

    /// Sets the color scheme and the size of the window.
    pub(super) fn emulate(&self, scheme: Scheme, size: Size) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme.name() }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let Size { width, height } = size;
        // Scrollbars would reduce the width.
        self.devtools("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == Size::PHONE });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Renders the page as it is printed.
    pub(super) fn print_media(&self) {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    }

    /// Writes the visible part of the page as a PNG.
    pub(super) fn screenshot(&self, path: &Path) {
        std::fs::write(path, self.wait(self.client.screenshot())).unwrap();
    }

    /// The names of all cookies of the page.
    pub(super) fn cookies(&self) -> Vec<String> {
        let cookies = self.wait(self.client.get_all_cookies());
        cookies.iter().map(|cookie| cookie.name().to_owned()).collect()
    }

    #[track_caller]
    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.chrome("se/log", json!({ "type": kind }));
        entries.as_array().unwrap().clone()
    }

    /// The console messages since the last call.
    #[track_caller]
    pub(super) fn console(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// The addresses that were requested since the last call, including those of images and scripts.
    #[track_caller]
    pub(super) fn requests(&self) -> Vec<String> {
        let events = self.log("performance").into_iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        events
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Since the last call, the console had no messages and only the server received requests.
    #[track_caller]
    pub(super) fn check_quiet(&self, view: impl Debug) {
        assert_eq!(self.console(), [""; 0], "{view:?} logs to the console");
        let requests = self.requests();
        assert!(!requests.is_empty(), "{view:?}: requests are recorded");
        let foreign: Vec<_> = requests
            .iter()
            // A `data:` address, such as those of the browser's own icons, sends no request.
            .filter(|address| !address.starts_with(&self.origin) && !address.starts_with("data:"))
            .collect();
        assert!(foreign.is_empty(), "{view:?} requests another host: {foreign:?}");
    }

    /// Marks the document for [`Browser::check_not_reloaded`].
    pub(super) fn mark(&self) {
        self.run("window.isSameDocument = true");
    }

    #[track_caller]
    pub(super) fn check_not_reloaded(&self) {
        assert_eq!(self.run("return window.isSameDocument === true"), true, "the page was reloaded");
    }
}

/// The user IDs of the API's rows.
pub(super) fn user_ids(rows: &Value) -> Vec<String> {
    let ids = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["user_id"].as_str().unwrap().to_owned());
    ids.collect()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the driver ends the browser in any case.
        let _has_ended = self.runtime.block_on(self.client.clone().close());
    }
}
