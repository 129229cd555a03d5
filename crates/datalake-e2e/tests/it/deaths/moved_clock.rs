//! A movable clock for an S3 server and for runs: a proxy translates all times of the server, and libfaketime those of the machine, so that a
//! pause of a day or a month takes less than a second.
//!
//! The clock equals that of the machine until it is moved. Objects that were written before a move keep their time, later ones have the
//! moved time, and a signature from before the move has expired.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use tempfile::TempDir;

use super::{
    http::{Message, exchange, set_length},
    process::wait_until,
    proxy::Proxy,
    s3_client::{S3Client, elements, now},
};

/// The maximum age of a signature in a header that servers accept.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

const COMPACT: &str = "%Y%m%dT%H%M%SZ";

/// A clock that can be moved, and the proxy between runs and the server.
#[derive(Debug)]
pub(super) struct MovedClock {
    pub(super) server_clock: Arc<ServerClock>,
    pub(super) proxy: Proxy,
    library: PathBuf,
    /// Contains the file from which libfaketime reads the offset of the clock.
    folder: TempDir,
}

impl MovedClock {
    pub(super) fn start(client: &S3Client) -> Self {
        let server_clock = Arc::new(ServerClock {
            client: client.clone(),
            moves: Mutex::default(),
        });
        let clock = Self {
            proxy: Proxy::with_clock(&client.server, None, &server_clock),
            server_clock,
            library: library(),
            folder: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        };
        clock.write_offset(SignedDuration::ZERO);
        clock
    }

    /// Configures a run to use the moved clock.
    pub(super) fn configure(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            // A paused run sees the move.
            .env("FAKETIME_NO_CACHE", "1")
            // Timeouts use the monotonic clock, which is not moved.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    /// Moves the clock of the server and of all runs, those that have started included.
    pub(super) fn advance(&self, by: SignedDuration) {
        self.write_offset(self.server_clock.advance(by));
    }

    fn write_offset(&self, ahead: SignedDuration) {
        let staged = self.folder.path().join("staged");
        fs::write(&staged, format!("+{}", ahead.as_secs())).unwrap();
        fs::rename(staged, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

/// Where Debian installs the library, below a folder named by the architecture.
fn library() -> PathBuf {
    let installed = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = installed.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|path: &PathBuf| Path::exists(path))
        .expect("libfaketime is not installed; install it with `apt-get install libfaketime`")
}

/// The times of a server, and the client that signs translated requests.
#[derive(Debug)]
pub(super) struct ServerClock {
    client: S3Client,
    /// The moves: the time of the server, and the offset of the clock after it.
    moves: Mutex<Vec<(Timestamp, SignedDuration)>>,
}

impl ServerClock {
    /// Moves the clock and returns its offset. Times of objects are in whole seconds, so the move happens between two seconds.
    fn advance(&self, by: SignedDuration) -> SignedDuration {
        let second = now().as_second();
        wait_until("the next second begins", || now().as_second() > second);
        let mut moves = self.moves.lock().unwrap();
        let ahead = moves.last().map_or(SignedDuration::ZERO, |(_, ahead)| *ahead) + by;
        moves.push((Timestamp::from_second(second + 1).unwrap(), ahead));
        ahead
    }

    /// The translation of a time of the server.
    fn translated(&self, time: Timestamp) -> Timestamp {
        let moves = self.moves.lock().unwrap();
        let last = moves.iter().rev().find(|(moved, _)| *moved <= time);
        time + last.map_or(SignedDuration::ZERO, |(_, ahead)| *ahead)
    }

    /// Sends a request to the server unless its signature has expired, and translates the response.
    pub(super) fn exchange(&self, server: &str, mut request: Message) -> io::Result<Message> {
        let refusal = self.rejection(&request);
        let mut response = if let Some(code) = refusal {
            forbidden(code)
        } else {
            self.sign_again(server, &mut request);
            exchange(server, &request)?
        };
        self.translate(&mut response);
        Ok(response)
    }

    /// The error code for a signature that the moved clock no longer accepts.
    fn rejection(&self, request: &Message) -> Option<&'static str> {
        let now = self.translated(now());
        if let Some(signed) = parameter(request, "X-Amz-Date") {
            // The signing time comes from a response of the server, so it is already translated.
            let lifetime = parameter(request, "X-Amz-Expires")
                .and_then(|seconds| seconds.parse().ok())
                .unwrap_or(0);
            let age = now.duration_since(compact(signed));
            let is_valid = -SKEW_MAX <= age && age <= SignedDuration::from_secs(lifetime);
            return (!is_valid).then_some("AccessDenied");
        }
        let signed = compact(request.header("x-amz-date")?);
        (now.duration_since(signed).abs() > SKEW_MAX).then_some("RequestTimeTooSkewed")
    }

    /// Signs a request with the time of the server.
    fn sign_again(&self, server: &str, request: &mut Message) {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let mut query: Vec<_> = query.split('&').filter(|part| !part.is_empty() && !is_signature(part)).collect();
        query.sort_unstable();
        let query: Vec<_> = query
            .iter()
            .map(|part| {
                if part.contains('=') {
                    (*part).to_owned()
                } else {
                    format!("{part}=")
                }
            })
            .collect();
        let target = match query.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", query.join("&")),
        };
        request.first_line = format!("{} {target} HTTP/1.1", request.method());
        request.remove_headers(|name| name.eq_ignore_ascii_case("authorization"));
        request.set_header("host", server);
        request.set_header("connection", "close");
        self.client.sign(request);
    }

    fn translate(&self, response: &mut Message) {
        // Some servers update their `Date` once a second: it may be from before the move.
        response.set_header("date", &http_date(self.translated(now())));
        if let Some(time) = response.header("last-modified").and_then(|text| rfc2822::parse(text).ok()) {
            let translated = self.translated(time.timestamp());
            response.set_header("last-modified", &http_date(translated));
        }
        let Ok(text) = std::str::from_utf8(&response.body) else { return };
        let mut translated = text.to_owned();
        for name in ["LastModified", "Initiated"] {
            // Each text once, so that a replacement is not translated again.
            let times: BTreeSet<_> = elements(text, name).collect();
            for time in times {
                let moved = self.translated(time.parse().unwrap());
                let moved = moved.strftime("%Y-%m-%dT%H:%M:%S.000Z");
                translated = translated.replace(&format!("<{name}>{time}<"), &format!("<{name}>{moved}<"));
            }
        }
        if translated != text {
            response.body = translated.into_bytes();
            set_length(response);
        }
    }
}

fn forbidden(code: &str) -> Message {
    let body =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>the signature has expired</Message></Error>");
    let mut response = Message {
        first_line: "HTTP/1.1 403 Forbidden".to_owned(),
        headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
        body: body.into_bytes(),
    };
    set_length(&mut response);
    response
}

fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn compact(text: &str) -> Timestamp {
    let time = jiff::civil::DateTime::strptime(COMPACT, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

fn parameter<'a>(request: &'a Message, name: &str) -> Option<&'a str> {
    let (_, query) = request.target().split_once('?')?;
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn is_signature(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    matches!(
        name,
        "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Date" | "X-Amz-Expires" | "X-Amz-SignedHeaders" | "X-Amz-Signature"
    )
}
