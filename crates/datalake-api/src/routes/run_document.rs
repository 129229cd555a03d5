//! A run as a JSON document.

use std::borrow::Cow;

use datalake_core::{
    progress::RunProgress,
    run::{Counts, Requests, RunId, RunMode, SourceNotice},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use datalake_runs::run::{Run, Trigger};

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunDocument {
    /// The ID of the run.
    id: String,
    /// `pending`, `running`, `succeeded`, `failed`, `refused`, `misconfigured` or `stopped`.
    state: &'static str,
    /// `incremental` or `full`; null if it is not recorded.
    #[schema(required)]
    mode: Option<&'static str>,
    /// The blocked run whose deletions this run permits, if this server knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    allow_mass_delete_of: Option<RunId>,
    /// What triggered the run: `posted`, `schedule`, `kubectl`, or `first_run` if the server started it because there was no table; null if
    /// it is not recorded.
    #[schema(required)]
    trigger: Option<&'static str>,
    /// When the run started.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When the run ended.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// The duration in milliseconds, by a monotonic clock if the run has a report.
    #[schema(required)]
    elapsed_ms: Option<u64>,
    /// How far the run is, if it is active and this server started its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    progress: Option<ProgressDocument>,
    /// The latest version of the table at the end of the run.
    #[schema(required)]
    version: Option<u64>,
    /// Whether the run committed this version; false if nothing had changed.
    #[schema(required)]
    committed: Option<bool>,
    /// The counts of the run, if it has a report.
    #[schema(required, value_type = Option<CountsDocument>)]
    counts: Option<Counts>,
    /// The requests that the run sent to the store, if it has a report.
    #[schema(required, value_type = Option<RequestsDocument>)]
    requests: Option<Requests>,
    /// Why the run did not succeed. If the server has a token, requests without it get a fixed message.
    #[schema(required)]
    error: Option<String>,
    /// The first 100 notices about accepted sources, if there are any. Lists of runs omit them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<NoticeDocument>)]
    notices: Vec<SourceNotice>,
    /// The first 100 sources that the run read and rejected, if there are any. Lists of runs omit them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<NoticeDocument>)]
    rejects: Vec<SourceNotice>,
    /// The last lines of the run's log, if this server received it. Lists of runs omit it, and so do responses to requests without the
    /// token if the server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    log_tail: Option<String>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressDocument {
    /// `listing`, `reading`, `copying`, `committing` or `publishing`.
    phase: &'static str,
    /// What the run is doing.
    #[schema(example = "reading sources")]
    label: &'static str,
    /// Objects listed, or users done; 0 in phases that count nothing.
    done: u64,
    /// All users of the phase, if their number is known.
    #[schema(required)]
    total: Option<u64>,
}

impl From<RunProgress> for ProgressDocument {
    fn from(progress: RunProgress) -> Self {
        Self {
            phase: progress.phase.as_str(),
            label: progress.phase.label(),
            done: progress.done,
            total: progress.total,
        }
    }
}

/// Describes [`Counts`].
#[derive(Debug)]
pub struct CountsDocument;

impl PartialSchema for CountsDocument {
    fn schema() -> RefOr<Schema> {
        numbers(
            "The counts of a run. Sources are counted as objects, users as rows.",
            &Counts::default(),
        )
    }
}

impl ToSchema for CountsDocument {
    fn name() -> Cow<'static, str> {
        "Counts".into()
    }
}

/// Describes [`Requests`].
#[derive(Debug)]
pub struct RequestsDocument;

impl PartialSchema for RequestsDocument {
    fn schema() -> RefOr<Schema> {
        numbers(
            "The number of requests that a run sent to the store, by kind.",
            &Requests::default(),
        )
    }
}

impl ToSchema for RequestsDocument {
    fn name() -> Cow<'static, str> {
        "Requests".into()
    }
}

/// The schema of an object of whole numbers. Its properties are those that serde writes, so none is missing.
fn numbers(description: &str, document: &impl Serialize) -> RefOr<Schema> {
    let number = || {
        let integer = ObjectBuilder::new().schema_type(Type::Integer);
        let integer = integer.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        integer.minimum(Some(0))
    };
    let written = serde_json::to_value(document).expect("numbers can be represented as JSON");
    let names = written.as_object().into_iter().flat_map(|document| document.keys().cloned());
    let document = ObjectBuilder::new().schema_type(Type::Object).description(Some(description));
    names
        .fold(document, |document, name| document.property(&name, number()).required(name))
        .into()
}

/// A source with a notice or a reject.
#[derive(Debug, ToSchema)]
#[schema(as = SourceNotice)]
#[expect(dead_code, reason = "this describes `SourceNotice`")]
pub struct NoticeDocument {
    /// The key of the source.
    #[schema(example = "src-data/1000.csv")]
    key: String,
    /// The code of the notice or reject; stable.
    #[schema(example = "trimmed")]
    code: String,
}

impl RunDocument {
    /// The run with its notices, rejects and log, which would make a list of a thousand runs too large.
    pub fn with_notices(run: Run) -> Self {
        let report = run.report.clone();
        Self {
            notices: report.as_ref().map(|report| report.notices.clone()).unwrap_or_default(),
            rejects: report.as_ref().map(|report| report.rejects.clone()).unwrap_or_default(),
            log_tail: run.log_tail.as_deref().map(str::to_owned),
            ..Self::from(run)
        }
    }

    /// The ID of the run.
    pub fn run_id(&self) -> &str {
        &self.id
    }

    /// The name of the run's state.
    pub fn state(&self) -> &str {
        self.state
    }
}

impl From<Run> for RunDocument {
    fn from(run: Run) -> Self {
        let report = run.report.as_deref();
        Self {
            state: run.state.as_str(),
            mode: run.mode.map(RunMode::as_str),
            allow_mass_delete_of: run
                .parameters
                .as_ref()
                .and_then(|parameters| parameters.allow_mass_delete_of.clone()),
            trigger: run.trigger.map(Trigger::as_str),
            started_at: run.started_at,
            ended_at: run.ended_at,
            elapsed_ms: run.elapsed_ms(),
            progress: run.progress.map(ProgressDocument::from),
            version: report.and_then(|report| report.version),
            committed: report.and_then(|report| report.committed),
            counts: report.map(|report| report.counts.clone()),
            requests: report.map(|report| report.requests),
            notices: Vec::new(),
            rejects: Vec::new(),
            log_tail: None,
            id: run.run_id.into(),
            error: run.error,
        }
    }
}
