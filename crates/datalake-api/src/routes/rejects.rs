//! The sources that are rejected or ignored at a version, in pages.

use std::fmt;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use datalake_core::{
    query::{as_of::TIME_TRAVEL_PARAMETERS, error::QueryError},
    reject::{ExcludedSource, Exclusion, IgnoreCode, RejectCode},
    user::UserId,
};
use datalake_table::delta::version::Version;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::{
    problem::{Problem, document::ProblemDocument},
    request::{
        cursor::{self, CURSOR},
        query_string::Pairs,
        snapshot::{MomentParameters, Reading},
    },
    rows::pagination::{self, Links},
};

/// A page that a reader looks through.
const REJECTS_DEFAULT: usize = 100;

/// Each source takes some 700 bytes of the response.
const REJECTS_MAX: usize = 1_000;

/// The sources that are refused at a version of the table.
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

/// A source that is rejected or ignored. The user's last valid row, if there is one, is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reject)]
pub struct RejectDocument<'a> {
    /// Its key in the lake.
    pub key: &'a str,
    /// The user whose source it is or would be; null where the key names no user.
    #[schema(required)]
    pub user_id: Option<&'a str>,
    /// Why; stable.
    #[schema(example = "type")]
    pub code: &'static str,
    /// `rejected`: its content is invalid, or it cannot be read; `ignored`: it is not a source.
    pub kind: &'static str,
    /// The name of the column that the reason concerns; null where it concerns none.
    #[schema(required, example = "birthts")]
    pub column_name: Option<&'a str>,
    /// From 1; null where the reason is in no line.
    #[schema(required)]
    pub line: Option<u32>,
    /// From 1, in bytes of the line.
    #[schema(required)]
    pub column: Option<u32>,
    /// From 0, in bytes of the source.
    #[schema(required)]
    pub byte_offset: Option<u64>,
    /// The line around that place, at most 80 bytes; characters that cannot be seen are shown by their code points, as in `<U+200B>`.
    #[schema(required)]
    pub excerpt: Option<&'a str>,
    /// Where in the excerpt that place is: from 0, in bytes of UTF-8.
    #[schema(required)]
    pub excerpt_offset: Option<u8>,
    /// The cause: what was found.
    #[schema(example = "birthts is \"1989-05-27\", a date")]
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do.
    pub remedy: String,
    /// The last three in one sentence.
    pub message: String,
    /// When the run began that refused the key with this code first.
    #[schema(format = DateTime)]
    pub since: String,
    /// That run.
    pub run_id: &'a str,
}

impl<'a> From<&'a ExcludedSource> for RejectDocument<'a> {
    fn from(open: &'a ExcludedSource) -> Self {
        let (kind, reject) = match &open.exclusion {
            Exclusion::Rejected(reject) => ("rejected", Some(reject)),
            Exclusion::Ignored(_) => ("ignored", None),
        };
        let place = reject.and_then(|reject| reject.position);
        let reason = open.reason().into_owned();
        Self {
            key: &open.key,
            user_id: open.user_id.as_ref().map(UserId::as_str),
            code: open.exclusion.code(),
            kind,
            column_name: reject.and_then(|reject| reject.column_name.as_deref()),
            line: place.and_then(|place| place.line),
            column: place.and_then(|place| place.column),
            byte_offset: place.map(|place| place.byte_offset),
            excerpt: reject.and_then(|reject| reject.excerpt.as_deref()),
            excerpt_offset: reject.and_then(|reject| reject.excerpt_offset),
            message: reason.to_string(),
            found: reason.found.into(),
            expected: reason.expected.into(),
            remedy: reason.remedy.into(),
            since: open.since.to_string(),
            run_id: open.run_id.as_str(),
        }
    }
}

/// The parameters of `/rejects`, for the description alone.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed below; this describes them")]
pub struct RejectsParameters {
    /// Only the sources with this code.
    #[param(example = "type")]
    code: Option<String>,
    /// The maximum number of sources in the response.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 100)]
    limit: Option<u16>,
    /// Where the page begins: from the `Link` header of the page before. Not together with `version`, `as_of`, `min_version` or `wait`.
    cursor: Option<String>,
}

/// Which sources are requested.
#[derive(Debug)]
pub struct RejectsRequest {
    code: Option<String>,
    limit: usize,
    cursor: Option<RejectsCursor>,
    /// Path and query of the next page, except its cursor.
    next: String,
}

impl<S: Send + Sync> FromRequestParts<S> for RejectsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check(&[&["code", "limit", CURSOR], TIME_TRAVEL_PARAMETERS].concat())?;
        Ok(Self {
            code: pairs.get("code").map(parse_code).transpose()?,
            limit: pairs.limit(REJECTS_DEFAULT, REJECTS_MAX, "")?,
            cursor: pairs.get(CURSOR).map(RejectsCursor::parse).transpose()?,
            next: format!("{}?{}", parts.uri.path(), pairs.encoded(&[CURSOR])),
        })
    }
}

/// The code of rejected or ignored sources.
pub fn parse_code(code: &str) -> Result<String, QueryError> {
    let is_known = RejectCode::parse(code).is_some() || IgnoreCode::parse(code).is_some();
    let unknown = || QueryError::value("code", "is not a code of a rejected or ignored source");
    is_known.then(|| code.to_owned()).ok_or_else(unknown)
}

/// The last key of a page, and of which version.
#[derive(Debug)]
struct RejectsCursor {
    version: u64,
    state: String,
    key: String,
}

impl RejectsCursor {
    fn new(version: &Version, key: &str) -> Self {
        Self {
            version: version.number(),
            state: cursor::state(version),
            key: key.to_owned(),
        }
    }

    fn parse(value: &str) -> Result<Self, QueryError> {
        let mut parts = value.splitn(3, '~');
        let (Some(_), Some(state), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(cursor::unknown());
        };
        Ok(Self {
            version: cursor::version_of(value)?,
            state: state.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whether it is of this very version.
    fn is_of(&self, version: &Version) -> bool {
        self.version == version.number() && self.state == cursor::state(version)
    }
}

impl fmt::Display for RejectsCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.version, self.state, self.key)
    }
}

/// The rejected and ignored sources.
///
/// The sources that are rejected or ignored at a version of the table, the newest by default, with the reason and the remedy for each. The header
/// `Link` names the next page, which is of the same version.
#[utoipa::path(
    get,
    path = "/rejects",
    operation_id = "listRejects",
    tag = "data",
    params(RejectsParameters, MomentParameters),
    responses(
        (status = 200, description = "The sources", body = RejectsDocument, headers(
            ("x-total-count" = u64, description = "The number of listed sources on all pages"),
            ("link" = String, description = "The next page, if there is one"),
        )),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list(request: RejectsRequest, reading: Reading) -> Result<Response, Problem> {
    let snapshot = &reading.snapshot;
    let version = snapshot.version();
    if request.cursor.as_ref().is_some_and(|cursor| !cursor.is_of(version)) {
        return Err(Problem::CursorGone);
    }
    let has_code = |open: &&ExcludedSource| request.code.as_deref().is_none_or(|code| open.exclusion.code() == code);
    let refusals = snapshot.rejects();
    let total = match request.code {
        None => refusals.len(),
        Some(_) => refusals.iter().filter(has_code).count(),
    };
    let after = request.cursor.as_ref().map(|cursor| cursor.key.as_str());
    let start = refusals.partition_point(|open| after.is_some_and(|after| &*open.key <= after));
    let mut rest = refusals.iter().skip(start).filter(has_code);
    let page: Vec<_> = rest.by_ref().take(request.limit).collect();
    let next = page.last().filter(|_| rest.next().is_some());
    let next = next.and_then(|last| next_page(&request.next, &RejectsCursor::new(version, &last.key)));
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let links = Links {
        total: u64::try_from(total).unwrap_or(u64::MAX),
        next,
    };
    let document = RejectsDocument {
        version: version.number(),
        count: rejected + ignored,
        rejected,
        ignored,
        rejects: page.into_iter().map(RejectDocument::from).collect(),
    };
    Ok((reading.age(), links, Json(document)).into_response())
}

/// The page after the cursor.
fn next_page(address: &str, cursor: &RejectsCursor) -> Option<HeaderValue> {
    let separator = if address.ends_with('?') { "" } else { "&" };
    let cursor: String = form_urlencoded::byte_serialize(cursor.to_string().as_bytes()).collect();
    pagination::next_page(&format!("{address}{separator}{CURSOR}={cursor}"))
}
