//! A run as a JSON document.

use std::borrow::Cow;

use datalake_core::{
    progress::RunProgress,
    run::{BlockedDeletions, Counts, EmptyFolder, RejectDetail, Requests, RunId, RunMode, SourceNotice},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::routes::reject_reference;
use datalake_runs::run::{Run, Trigger};

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunDocument {
    /// The ID of the run.
    id: String,
    /// `pending`, `running`, `succeeded`, `failed`, `blocked`, `misconfigured` or `stopped`.
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
    /// How far the run is, if it is active: a child process of this server, or a Job from its fifth second on.
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
    #[schema(required = false)]
    notices: Vec<NoticeDocument>,
    /// The first 100 sources that the run read and rejected, if there are any. Lists of runs omit them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    rejects: Vec<NoticeDocument>,
    /// Where and why the run rejected the first 10 of these sources, if it did not succeed: `/rejects` then does not list them. Lists of runs
    /// omit them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reject_details: Vec<RejectDetailDocument>,
    /// The removals that the guard against mass deletion blocked. Lists of runs omit them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    blocked_deletions: Option<BlockedDeletionsDocument>,
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
    /// Objects listed, or rows done; 0 in phases that count nothing.
    done: u64,
    /// All rows of the phase, if their number is known.
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
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SourceNotice)]
pub struct NoticeDocument {
    /// The key of the source.
    #[schema(example = "src-data/1000.csv")]
    key: String,
    /// The code of the notice or reject; stable.
    #[schema(example = "trimmed")]
    code: String,
    /// The address of the page about the code, with an example and its fix.
    #[schema(format = "uri-reference", example = "/docs/rejects#trimmed")]
    help: String,
}

impl From<&SourceNotice> for NoticeDocument {
    fn from(notice: &SourceNotice) -> Self {
        Self {
            key: notice.key.clone(),
            code: notice.code.clone(),
            help: reject_reference::address(&notice.code),
        }
    }
}

/// Where and why a run rejected a source.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RejectDetail)]
pub struct RejectDetailDocument {
    /// The key of the source.
    #[schema(example = "src-data/1000.csv")]
    key: String,
    /// The code of the reject; stable.
    #[schema(example = "type")]
    code: String,
    /// The line, from 1; null if the reason concerns no line.
    #[schema(required)]
    line: Option<u32>,
    /// The position in the line in bytes, from 1.
    #[schema(required)]
    column: Option<u32>,
    /// The position in the source in bytes, from 0.
    #[schema(required)]
    byte_offset: Option<u64>,
    /// The text around the position, at most 80 bytes.
    #[schema(required)]
    excerpt: Option<String>,
    /// The position in the excerpt in bytes of UTF-8, from 0.
    #[schema(required)]
    excerpt_offset: Option<u8>,
    /// The cause: what was found.
    found: String,
    /// What was expected instead.
    expected: String,
    /// What to do.
    remedy: String,
    /// The address of the page about the code, with an example and its fix.
    #[schema(format = "uri-reference", example = "/docs/rejects#type")]
    help: String,
}

impl From<&RejectDetail> for RejectDetailDocument {
    fn from(detail: &RejectDetail) -> Self {
        Self {
            key: detail.key.clone(),
            help: reject_reference::address(&detail.code),
            code: detail.code.clone(),
            line: detail.line,
            column: detail.column,
            byte_offset: detail.byte_offset,
            excerpt: detail.excerpt.clone(),
            excerpt_offset: detail.excerpt_offset,
            found: detail.found.clone(),
            expected: detail.expected.clone(),
            remedy: detail.remedy.clone(),
        }
    }
}

/// The rows that a run would have removed if the guard had not stopped it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BlockedDeletions)]
pub struct BlockedDeletionsDocument {
    /// Their number.
    count: u64,
    /// The rows that were known before the run.
    known: u64,
    /// How many of them have a source that a changed declaration rejects. The sources of the others do not exist.
    rejected: u64,
    /// The first 100 IDs in byte order.
    users: Vec<String>,
    /// The folders of files that have lost all their files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    folders: Vec<EmptyFolderDocument>,
}

/// A folder of files that has lost all its files.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EmptyFolder)]
pub struct EmptyFolderDocument {
    /// The folder, with a slash at its end.
    folder: String,
    /// How many files rows linked before the run.
    files: u64,
}

impl From<&BlockedDeletions> for BlockedDeletionsDocument {
    fn from(blocked: &BlockedDeletions) -> Self {
        Self {
            count: blocked.count,
            known: blocked.known,
            rejected: blocked.rejected,
            users: blocked.users.clone(),
            folders: blocked.folders.iter().map(EmptyFolderDocument::from).collect(),
        }
    }
}

impl From<&EmptyFolder> for EmptyFolderDocument {
    fn from(EmptyFolder { folder, files }: &EmptyFolder) -> Self {
        Self {
            folder: folder.clone(),
            files: *files,
        }
    }
}

impl RunDocument {
    /// The run with its notices, rejects and log, which would make a list of a thousand runs too large.
    pub fn with_notices(run: Run) -> Self {
        let report = run.report.clone();
        let log_tail = run.log_tail.as_deref().map(str::to_owned);
        let document = Self {
            log_tail,
            ..Self::from(run)
        };
        let Some(report) = report else { return document };
        Self {
            notices: report.notices.iter().map(NoticeDocument::from).collect(),
            rejects: report.rejects.iter().map(NoticeDocument::from).collect(),
            reject_details: report.reject_details.iter().map(RejectDetailDocument::from).collect(),
            blocked_deletions: report.blocked_deletions.as_ref().map(BlockedDeletionsDocument::from),
            ..document
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
            reject_details: Vec::new(),
            blocked_deletions: None,
            log_tail: None,
            id: run.run_id.into(),
            error: run.error,
        }
    }
}
