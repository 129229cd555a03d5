//! The messages of problems: the cause, then the remedy.

use crate::problem::{Problem, UnauthorizedReason};

/// The cause of a problem with a path.
pub(super) const NO_SUCH_PATH: &str = "no such path";

impl Problem {
    /// What is wrong with this request, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Self::Request(error) => error.detail(),
            Self::NoSuchPath { nearest: None } => format!("{NO_SUCH_PATH}; / and /openapi.json list the paths"),
            Self::NoSuchPath { nearest: Some(nearest) } => format!("{NO_SUCH_PATH}; did you mean `{nearest}`?"),
            Self::MethodNotAllowed => "this path does not support the method; the Allow header lists those that it supports".to_owned(),
            Self::Parameter(error) | Self::Path(error) => error.to_string(),
            Self::HostNotAllowed { host } => {
                format!("the host name `{host}` is not allowed; use localhost or an IP address, or allow the name with --allowed-hosts")
            }
            Self::CrossSite => "a page of another site sent this request; allow the site with --cors-origin".to_owned(),
            Self::BodyTimedOut => "the body did not arrive within 10 seconds; send it again".to_owned(),
            Self::NotAcceptable { offered } => format!(
                "the client accepts none of the supported formats: {offered}; request one with the Accept header, format= or a suffix such as \
                 /data.csv"
            ),
            Self::NoContentCoding => {
                "the client accepts no supported content coding; allow identity, gzip or zstd in Accept-Encoding".to_owned()
            }
            Self::CursorGone => "the version of this cursor has expired or was replaced; start again without a cursor".to_owned(),
            Self::DatasetChanged { since, until } => format!(
                "the columns changed between the versions {since} and {until}; read all rows of version {until}, and follow the changes with since={until}"
            ),
            Self::RangeNotSatisfiable { bytes } => format!("the range starts after the end: the response has {bytes} bytes"),
            Self::PreconditionFailed => {
                "the data changed since your ETag; retry without it, or pin version= and on= to read rows or statistics as they were"
                    .to_owned()
            }
            Self::Header { name, reason } => format!("the header {name} {reason}"),
            Self::UnsupportedMediaType { found } => {
                let cause = found.as_ref().map_or("the body has no Content-Type".to_owned(), |found| {
                    format!("the Content-Type is `{found}`")
                });
                format!("{cause}; send JSON as application/json (`curl --json BODY`), or no body")
            }
            Self::BodyTooLarge { bytes_max } => format!("the body exceeds {bytes_max} bytes"),
            Self::InvalidBody { reason }
            | Self::LaunchFailed { reason }
            | Self::StopFailed { reason }
            | Self::TooManyRuns { reason }
            | Self::KeyReused { reason }
            | Self::NothingBlocked { reason, .. }
            | Self::LauncherBusy { reason } => reason.clone(),
            Self::Unauthorized { reason, hint } => {
                let hint = hint.as_deref().unwrap_or("find it in the file passed as --token-file");
                let cause = match reason {
                    UnauthorizedReason::NoToken => "no token",
                    UnauthorizedReason::WrongToken => "invalid token",
                    UnauthorizedReason::OtherOrigin => "the session cookie starts and stops runs only from pages of this server",
                };
                format!("{cause}; send the token of this server as `Authorization: Bearer TOKEN`; {hint}")
            }
            Self::NoSuchRow(row) => row.detail(),
            Self::NoImage(file) => file.detail(),
            Self::NoSuchVersion { newest } => {
                format!("the latest version is {newest}; use min_version and wait to wait for a later one")
            }
            Self::BeforeFirstVersion => "the first version of the table was committed after this time; see /versions".to_owned(),
            Self::VersionGone => {
                "this version has expired: a version is kept for a week after it is superseded; see /versions, and request a newer one"
                    .to_owned()
            }
            Self::VersionNotReached { requested, newest } => {
                format!("version {requested} was not committed in time, the latest is {newest}; retry, or wait longer (at most 60s)")
            }
            Self::RunEnded => "only an active run can be stopped; see the report of this run".to_owned(),
            Self::NoSuchRun => "no run has this ID; see /runs".to_owned(),
            Self::NoTable { run: None } => "no run has succeeded yet; start one with POST /data".to_owned(),
            Self::NoTable { run: Some(run) } => {
                format!("no run has succeeded yet, and run {} is {}; retry later", run.run_id(), run.state())
            }
            Self::TableNotLoaded => {
                "the table could not be read since this server started; retry later, and check the server's log".to_owned()
            }
            Self::StoreUnavailable => "this needs the store, which does not respond; retry later".to_owned(),
            Self::RunsDisabled => "this server is read-only; start runs with `datalake process`".to_owned(),
            Self::ShuttingDown => "the server is shutting down; retry in a moment".to_owned(),
            Self::TooBusy => "too many requests are in flight; retry in a moment".to_owned(),
            Self::ResponseBudgetExhausted => {
                "responses occupy memory until clients have read them; retry in a few seconds, or request less".to_owned()
            }
            Self::NotAccepting => "the API does not accept connections; check the server's log, and restart it".to_owned(),
            Self::TimedOut => "the request took too long; retry, or narrow the request".to_owned(),
            Self::Internal => "an internal error occurred; find it in the server's log by the request ID".to_owned(),
        }
    }
}
