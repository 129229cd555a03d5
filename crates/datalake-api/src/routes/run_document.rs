//! How a run is shown.

use std::borrow::Cow;

use datalake_core::report::{Counts, Requests, RunId, RunMode, SourceNotice};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use datalake_runs::run::{Run, Trigger};

/// A run and where it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunView {
    /// Names the run in `/runs/{id}`.
    id: String,
    /// `pending`, `running`, `succeeded`, `failed`, `refused`, `misconfigured` or `stopped`.
    state: &'static str,
    /// `incremental` or `full`; null where nobody recorded it.
    #[schema(required)]
    mode: Option<&'static str>,
    /// The blocked run whose deletions it permits; only where this server knows of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    allow_mass_delete_of: Option<RunId>,
    /// What made it begin: `posted`, `schedule`, `kubectl`, or `first_run` where the server began it, as there was no table; null where
    /// nobody recorded it.
    #[schema(required)]
    trigger: Option<&'static str>,
    /// When it began.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Milliseconds between the two; by a monotonic clock where the run told.
    #[schema(required)]
    elapsed_ms: Option<u64>,
    /// The table's version that it ended on.
    #[schema(required)]
    version: Option<u64>,
    /// Whether that version is its own; false where there was nothing to do.
    #[schema(required)]
    committed: Option<bool>,
    /// What it found and did, once it has left its report.
    #[schema(required, value_type = Option<CountsDocument>)]
    counts: Option<Counts>,
    /// What it asked of the store, by kind, once it has left its report.
    #[schema(required, value_type = Option<RequestsDocument>)]
    requests: Option<Requests>,
    /// Why it did not succeed; a fixed message where the server has a token and the request does not.
    #[schema(required)]
    error: Option<String>,
    /// Remarks on sources that were accepted, the first hundred; only where one run is asked for, and only if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<NoticeDocument>)]
    notices: Vec<SourceNotice>,
    /// Sources that the run read and rejected, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<NoticeDocument>)]
    rejects: Vec<SourceNotice>,
    /// The end of what its process wrote, in whole lines; likewise, and only where this server heard it, and not where the
    /// server has a token and the request does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    log_tail: Option<String>,
}

/// Describes [`Counts`], which the core writes.
#[derive(Debug)]
pub struct CountsDocument;

impl PartialSchema for CountsDocument {
    fn schema() -> RefOr<Schema> {
        numbers(
            "What a run found and did. Sources are counted as objects, users as rows.",
            &Counts::default(),
        )
    }
}

impl ToSchema for CountsDocument {
    fn name() -> Cow<'static, str> {
        "Counts".into()
    }
}

/// Describes [`Requests`], which the core writes.
#[derive(Debug)]
pub struct RequestsDocument;

impl PartialSchema for RequestsDocument {
    fn schema() -> RefOr<Schema> {
        numbers("Requests that a run sent to the store, by kind.", &Requests::default())
    }
}

impl ToSchema for RequestsDocument {
    fn name() -> Cow<'static, str> {
        "Requests".into()
    }
}

/// The schema of a document of whole numbers. Its names are those that serde writes, so that no number is missing.
fn numbers(description: &str, document: &impl Serialize) -> RefOr<Schema> {
    let number = || {
        let integer = ObjectBuilder::new().schema_type(Type::Integer);
        let integer = integer.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        integer.minimum(Some(0))
    };
    let written = serde_json::to_value(document).expect("numbers become JSON in memory");
    let names = written.as_object().into_iter().flat_map(|document| document.keys().cloned());
    let document = ObjectBuilder::new().schema_type(Type::Object).description(Some(description));
    names
        .fold(document, |document, name| document.property(&name, number()).required(name))
        .into()
}

/// A source that a run remarked on or rejected.
#[derive(Debug, ToSchema)]
#[schema(as = SourceNotice)]
#[expect(dead_code, reason = "this describes `SourceNotice`, which the core writes")]
pub struct NoticeDocument {
    /// The source's key.
    #[schema(example = "src-data/1000.csv")]
    key: String,
    /// Why; stable.
    #[schema(example = "trimmed")]
    code: String,
}

impl RunView {
    /// The run with its remarks and rejects, which a list of a thousand runs has no room for.
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

    /// The state of the run as a word.
    pub fn state(&self) -> &str {
        self.state
    }
}

impl From<Run> for RunView {
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
            elapsed_ms: report.map(|report| report.elapsed_ms).or_else(|| elapsed_ms(&run)),
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

/// What the launcher's clock says; none while the run is active.
fn elapsed_ms(run: &Run) -> Option<u64> {
    let elapsed = run.ended_at?.duration_since(run.started_at?);
    u64::try_from(elapsed.as_millis()).ok()
}
