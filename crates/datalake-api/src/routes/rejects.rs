//! `GET /rejects`: the sources that are rejected or ignored at a version, in pages.

use std::{borrow::Cow, fmt};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use datalake_core::{
    count::count,
    dataset::Dataset,
    query::error::QueryError,
    reject::{ExcludedSource, Exclusion, ExclusionKind},
    row_id::shown,
};
use datalake_table::delta::version::Version;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::{
    digest::version_digest,
    problem::{Problem, responses::ReadProblems},
    request::{
        cursor::{self, CURSOR},
        parameters::QueryParameters,
        query_string::QueryString,
        selected_snapshot::TimeTravelParameters,
        table_read::TableRead,
    },
    routes::reject_reference,
    rows::pagination::{PageHeaders, link_to_next},
};

/// A page for human readers.
const REJECTS_DEFAULT: usize = 100;

/// Each source takes about 700 bytes of the response.
const REJECTS_MAX: usize = 1_000;

/// The rejected and ignored sources at a version of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rejects)]
struct RejectsDocument<'a> {
    /// The version of the table.
    version: u64,
    /// The number of rejected and ignored sources.
    count: usize,
    /// The number of rejected sources, all of which are on some page.
    rejected: usize,
    /// The number of ignored objects, of which the first 1,000 are on some page.
    ignored: usize,
    /// One page, ordered by key.
    rejects: Vec<RejectDocument<'a>>,
}

/// A source that is rejected or ignored. The last valid row, if there is one, is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reject)]
pub struct RejectDocument<'a> {
    /// The key of the source.
    pub key: &'a str,
    /// The ID that the key names; null if it names none.
    #[schema(required)]
    pub user_id: Option<Cow<'a, str>>,
    /// The code of the reason; stable.
    #[schema(example = "type")]
    pub code: &'static str,
    /// `rejected`: its content is invalid, or it cannot be read; `ignored`: it is not a source.
    pub kind: &'static str,
    /// The name of the column that the reason concerns; null if it concerns none.
    #[schema(required)]
    pub column_name: Option<&'a str>,
    /// The line, from 1; null if the reason concerns no line.
    #[schema(required)]
    pub line: Option<u32>,
    /// The position in the line in bytes, from 1.
    #[schema(required)]
    pub column: Option<u32>,
    /// The position in the source in bytes, from 0.
    #[schema(required)]
    pub byte_offset: Option<u64>,
    /// The text around the position, at most 80 bytes. Invisible characters are shown by their code points, as in `<U+200B>`.
    #[schema(required)]
    pub excerpt: Option<&'a str>,
    /// The position in the excerpt in bytes of UTF-8, from 0.
    #[schema(required)]
    pub excerpt_offset: Option<u8>,
    /// The cause: what was found.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do.
    pub remedy: String,
    /// `found`, `expected` and `remedy` in one sentence.
    pub message: String,
    /// The address of the page about the code, with an example and its fix.
    #[schema(format = "uri-reference", example = "/docs/rejects#type")]
    pub help: String,
    /// The start of the run that first rejected or ignored the key with this code.
    #[schema(format = DateTime)]
    pub since: String,
    /// The run that first rejected or ignored the key with this code.
    pub run_id: &'a str,
}

impl<'a> RejectDocument<'a> {
    /// The document of a source of this dataset.
    pub fn of(dataset: &Dataset, open: &'a ExcludedSource) -> Self {
        let reject = match &open.exclusion {
            Exclusion::Rejected(reject) => Some(reject),
            Exclusion::Ignored(_) => None,
        };
        let place = reject.and_then(|reject| reject.position);
        let reason = open.reason(dataset).into_owned();
        Self {
            key: &open.key,
            user_id: open.row_id.as_ref().map(|row_id| shown(row_id.as_str())),
            code: open.exclusion.code(),
            kind: open.kind().as_str(),
            column_name: reject.and_then(|reject| reject.column_name.as_deref()),
            line: place.and_then(|place| place.line),
            column: place.and_then(|place| place.column),
            byte_offset: place.map(|place| place.byte_offset),
            excerpt: reject.and_then(|reject| reject.excerpt.as_deref()),
            excerpt_offset: reject.and_then(|reject| reject.excerpt_offset),
            message: reason.to_string(),
            help: reject_reference::address(open.exclusion.code()),
            found: reason.found.into(),
            expected: reason.expected.into(),
            remedy: reason.remedy.into(),
            since: open.since.to_string(),
            run_id: open.run_id.as_str(),
        }
    }
}

/// The parameters of `/rejects`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`RejectsQuery` parses the parameters; this describes them")]
pub struct RejectsParameters {
    /// Only the sources with this code.
    #[param(example = "type")]
    code: Option<String>,
    /// Only rejected sources, or only ignored objects.
    #[param(pattern = "^(rejected|ignored)$", example = "rejected")]
    kind: Option<String>,
    /// The maximum number of sources in the response.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 100)]
    limit: Option<u16>,
    /// The start of the page, from the `Link` header of the previous page. Cannot be combined with `version`, `as_of`, `min_version` or
    /// `wait`.
    cursor: Option<String>,
}

/// Which sources a list of rejects contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectFilter {
    /// Only sources with this code.
    pub code: Option<String>,
    /// Only sources of this kind.
    pub kind: Option<ExclusionKind>,
}

impl RejectFilter {
    /// Parses `code` and `kind`.
    pub fn parse(query: &QueryString) -> Result<Self, QueryError> {
        Ok(Self {
            code: query.get("code").map(parse_code).transpose()?,
            kind: query.get("kind").map(parse_kind).transpose()?,
        })
    }

    /// Whether a source is in the list.
    pub fn matches(&self, source: &ExcludedSource) -> bool {
        self.kind.is_none_or(|kind| kind == source.kind()) && self.code.as_deref().is_none_or(|code| code == source.exclusion.code())
    }
}

fn parse_kind(kind: &str) -> Result<ExclusionKind, QueryError> {
    let known = ExclusionKind::ALL.into_iter().find(|known| known.as_str() == kind);
    known.ok_or_else(|| QueryError::value("kind", "must be rejected or ignored"))
}

/// The query of `/rejects`.
#[derive(Debug)]
pub(crate) struct RejectsQuery {
    filter: RejectFilter,
    limit: usize,
    cursor: Option<RejectsCursor>,
    /// Path and query string of the next page, without its cursor.
    next_page: String,
}

impl QueryParameters for RejectsQuery {
    fn parse(_: &Dataset, query: &QueryString, path: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        query.check_with(&["code", "kind", "limit", CURSOR], others)?;
        Ok(Self {
            filter: RejectFilter::parse(query)?,
            limit: query.limit(REJECTS_DEFAULT, REJECTS_MAX, "")?,
            cursor: query.get(CURSOR).map(RejectsCursor::parse).transpose()?,
            next_page: format!("{path}?{}", query.encoded(&[CURSOR])),
        })
    }

    fn cursor_version(query: &QueryString) -> Option<u64> {
        cursor::version_in(query)
    }
}

fn parse_code(code: &str) -> Result<String, QueryError> {
    let unknown = || QueryError::value("code", "is not a code of a rejected or ignored source");
    ExclusionKind::of_code(code).map(|_| code.to_owned()).ok_or_else(unknown)
}

/// The last key of a page, and the version of the table.
#[derive(Debug)]
struct RejectsCursor {
    version: u64,
    version_digest: String,
    key: String,
}

impl RejectsCursor {
    fn new(version: &Version, key: &str) -> Self {
        Self {
            version: version.number(),
            version_digest: version_digest(version),
            key: key.to_owned(),
        }
    }

    fn parse(value: &str) -> Result<Self, QueryError> {
        let mut parts = value.splitn(3, '~');
        let (Some(_), Some(version_digest), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(cursor::invalid_cursor());
        };
        Ok(Self {
            version: cursor::version_of(value)?,
            version_digest: version_digest.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whether the cursor belongs to this version.
    fn is_of(&self, version: &Version) -> bool {
        self.version == version.number() && self.version_digest == version_digest(version)
    }
}

impl fmt::Display for RejectsCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.version, self.version_digest, self.key)
    }
}

/// List rejects
///
/// Returns the sources that are rejected or ignored at a version of the table, the latest by default, with the reason and the remedy for
/// each. The header `Link` names the next page, which shows the same version.
#[utoipa::path(
    get,
    path = "/rejects",
    operation_id = "listRejects",
    tag = "data",
    params(RejectsParameters, TimeTravelParameters),
    responses(
        ReadProblems,
        (status = 200, description = "The sources", body = RejectsDocument, headers(
            ("x-total-count" = u64, description = "The number of listed sources on all pages"),
            ("link" = String, description = "The next page, if there is one"),
        )),
    )
)]
pub(crate) async fn list(TableRead(query, read_at): TableRead<RejectsQuery>) -> Result<Response, Problem> {
    let snapshot = &read_at.snapshot;
    let version = snapshot.version();
    if query.cursor.as_ref().is_some_and(|cursor| !cursor.is_of(version)) {
        return Err(Problem::CursorGone);
    }
    let is_listed = |open: &&ExcludedSource| query.filter.matches(open);
    let rejects = snapshot.rejects();
    let total = rejects.iter().filter(is_listed).count();
    let after = query.cursor.as_ref().map(|cursor| cursor.key.as_str());
    let start = rejects.partition_point(|open| after.is_some_and(|after| &*open.key <= after));
    let mut rest = rejects.iter().skip(start).filter(is_listed);
    let page: Vec<_> = rest.by_ref().take(query.limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let next = last.map(|last| next_page(&query.next_page, &RejectsCursor::new(version, &last.key)));
    let page_headers = PageHeaders {
        total: count(total),
        next: next.and_then(|next| link_to_next(&next)),
    };
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let document = RejectsDocument {
        version: version.number(),
        count: rejected + ignored,
        rejected,
        ignored,
        rejects: page.into_iter().map(|open| RejectDocument::of(snapshot.dataset(), open)).collect(),
    };
    Ok((read_at.freshness_headers(), page_headers, Json(document)).into_response())
}

/// The URL of the page after the cursor.
fn next_page(url: &str, cursor: &RejectsCursor) -> String {
    let separator = if url.ends_with('?') { "" } else { "&" };
    let cursor: String = form_urlencoded::byte_serialize(cursor.to_string().as_bytes()).collect();
    format!("{url}{separator}{CURSOR}={cursor}")
}
