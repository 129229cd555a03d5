//! People: who is in the lake, filtered, in an order, page by page. What is asked is what `/data` is asked, and the same code finds the rows.

pub(crate) mod filter_form;
pub(crate) mod form_query;
pub(crate) mod invalid_filter;
pub(crate) mod rows;

use std::num::NonZeroU16;

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use datalake_core::{
    query::{column::Column, error::QueryError, order::Direction},
    user::{Age, Ages, BirthTimestamp, Day},
};
use maud::{Markup, html};

use crate::{
    components::{self, Tone},
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    users::{
        filter_form::Filled,
        form_query::{FORM, Query, VIEW},
    },
};
use datalake_api::{
    problem::Problem,
    request::{cursor::CURSOR, data_query::DataQuery, query_string::QueryString, snapshot::ReadAt},
    rows::{
        format::Format,
        row_query::{PageOfRows, RowQuery},
    },
    snapshots::watch::TableState,
};

/// Where this page lies.
pub(crate) const PATH: &str = "/page/people";

/// People of a page where none are asked for: a look through them without much scrolling.
pub(crate) const LIMIT: u16 = 50;

/// A row is half a KiB of markup: with more of them a page would weigh more than 80 KB.
const LIMIT_MAX: u16 = LIMIT;

/// How people are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    #[default]
    Table,
    Gallery,
}

impl Look {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Gallery => "gallery",
        }
    }

    pub(crate) fn parse(value: &str) -> Result<Self, QueryError> {
        match value {
            "table" => Ok(Self::Table),
            "gallery" => Ok(Self::Gallery),
            _ => Err(QueryError::value(VIEW, "must be table or gallery")),
        }
    }
}

/// What the page is asked.
pub(crate) struct PeopleAsked {
    rows: DataQuery,
    look: Look,
    query: Query,
}

/// Why a request does not get so far.
pub(crate) enum Detour {
    /// It comes from the form: this is what it means.
    Form(Redirect),
    Refused(QueryError),
}

impl From<QueryError> for Detour {
    fn from(error: QueryError) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for Detour {
    fn into_response(self) -> Response {
        match self {
            Self::Form(redirect) => redirect.into_response(),
            Self::Refused(error) => Problem::Parameter(error).into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PeopleAsked {
    type Rejection = Detour;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Detour> {
        let pairs = QueryString::of(parts)?;
        if pairs.get(FORM).is_some() {
            let address = form_query::canonical(pairs.iter()).address(PATH);
            return Err(Detour::Form(Redirect::to(&address)));
        }
        pairs.check_once(&[VIEW])?;
        let look = pairs.get(VIEW).map(Look::parse).transpose()?.unwrap_or_default();
        let mut rows = DataQuery::parse(&pairs.without(&[VIEW]), PATH)?;
        rows.query.limit = Some(limit(rows.query.limit)?);
        Ok(Self {
            rows,
            look,
            query: Query::new(pairs.iter()),
        })
    }
}

fn limit(asked: Option<NonZeroU16>) -> Result<NonZeroU16, QueryError> {
    let limit = asked.or(NonZeroU16::new(LIMIT)).unwrap_or(NonZeroU16::MIN);
    if limit.get() > LIMIT_MAX {
        let reason = format!("is at most {LIMIT_MAX} on this page; the API gives up to 10000 at a time, and a download has all");
        return Err(QueryError::value("limit", &reason));
    }
    Ok(limit)
}

/// One of the people on the page.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user_id: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) birth: BirthTimestamp,
    /// None of one born after the day on which ages are counted.
    pub(crate) age: Option<u16>,
    pub(crate) picture: Picture,
}

/// Whether there is a picture to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    /// As the version of this number has it, which is the newest.
    Kept {
        version: u64,
    },
    /// There was one in the version that is shown; those of former versions are not kept.
    Former,
    None,
}

impl Picture {
    pub(crate) fn of(has_image: bool, version: u64, newest: u64) -> Self {
        match has_image {
            true if version == newest => Self::Kept { version },
            true => Self::Former,
            false => Self::None,
        }
    }
}

/// What the page shows.
#[derive(Debug)]
pub(crate) struct People {
    /// Of this page.
    pub(crate) shown: Vec<Person>,
    /// Of all pages.
    pub(crate) total: u64,
    /// Of the pages before.
    pub(crate) before: u64,
    /// Where the next page is.
    pub(crate) next: Option<String>,
    pub(crate) look: Look,
    pub(crate) columns: Option<Vec<Column>>,
    pub(crate) order: Vec<(Column, Direction)>,
    /// What asks for the first page.
    pub(crate) query: Query,
    /// What asks for this page.
    here: Query,
    /// The day on which ages are counted.
    pub(crate) day: Day,
    pub(crate) version: u64,
    pub(crate) newest: u64,
    is_first: bool,
    is_empty_lake: bool,
}

/// The page. What is refused of the question is said beside the field that it came from, which keeps what was typed.
pub(crate) async fn show(
    visit: PageContext,
    asked: Result<PeopleAsked, Detour>,
    read_at: Result<ReadAt, Problem>,
) -> Result<Response, Problem> {
    let PeopleAsked { rows, look, query } = match asked {
        Ok(asked) => asked,
        Err(Detour::Form(redirect)) => return Ok(redirect.into_response()),
        Err(Detour::Refused(error)) => return invalid_filter::page(&visit, Problem::Parameter(error)),
    };
    let read_at = match read_at {
        Ok(read_at) => read_at,
        Err(problem) => return invalid_filter::page(&visit, problem),
    };
    let limit = rows.query.limit.map_or(LIMIT, NonZeroU16::get);
    let api = query.without(&[VIEW]).with("limit", &limit.to_string()).address("/data");
    let row_query = RowQuery::new(rows, &read_at)?;
    let shown = row_query.snapshot.version().number();
    // What was waited for is newer than what was there when the visit began.
    let newest = newest(&visit).map_or(shown, |newest| newest.max(shown));
    let people = row_query.run(move |row_query| People::of(&row_query, look, &query, newest)).await?;
    let frame = visit.frame(View::People, "People").api(ApiAddress::new(api));
    Ok((read_at.freshness_headers(), Page(frame.page(&page(&people)))).into_response())
}

/// The number of the newest version held.
pub(crate) fn newest(visit: &PageContext) -> Option<u64> {
    match &visit.known.table.state {
        TableState::Loaded(snapshot) => Some(snapshot.version().number()),
        TableState::Missing | TableState::Loading => None,
    }
}

impl People {
    fn of(row_query: &RowQuery, look: Look, query: &Query, newest: u64) -> Self {
        let question = &row_query.data_query.query;
        let version = row_query.snapshot.version().number();
        let is_first = row_query.data_query.cursor.is_none();
        // A cursor says which version it is of; without it, the query has to.
        let pinned = (!is_first && version != newest).then(|| version.to_string());
        let first_page = query.without(&[CURSOR]);
        let ages = Ages::on(row_query.day);
        let PageOfRows { mut rows, total, next } = row_query.rows();
        let mut shown = Vec::new();
        while let Some(row) = rows.next_row() {
            shown.push(Person {
                user_id: row.user_id.to_owned(),
                first_name: row.first_name.to_owned(),
                last_name: row.last_name.to_owned(),
                birth: row.birth,
                age: ages.of(row.birth.day()).map(Age::years),
                picture: Picture::of(row.has_image, version, newest),
            });
        }
        let view = match look {
            Look::Table => "",
            Look::Gallery => "&view=gallery",
        };
        Self {
            shown,
            total,
            before: row_query.count_before(),
            next: next.map(|next| next + view),
            look,
            columns: question.select.clone(),
            order: question.order.keys().to_vec(),
            query: match &pinned {
                Some(version) => first_page.with("version", version),
                None => first_page,
            },
            here: query.clone(),
            day: row_query.day,
            version,
            newest,
            is_first,
            is_empty_lake: row_query.snapshot.is_empty(),
        }
    }
}

/// A column in words.
pub(crate) fn label(column: Column) -> &'static str {
    match column {
        Column::UserId => "User",
        Column::FirstName => "First name",
        Column::LastName => "Last name",
        Column::Birthts => "Born",
        Column::ImgPath => "Picture",
        Column::Age => "Age",
    }
}

fn page(people: &People) -> Markup {
    let line = html! {
        (components::counted(people.total, "user", "users"))
        @if filter_form::has_filters(&people.query) { " with these filters" }
        ", ages on " time { (people.day.date()) }
        ", version " (people.version)
    };
    html! {
        (components::heading("People", &line, &looks(people)))
        (moment(people))
        (filter_form::form(&Filled {
            query: &people.query,
            look: people.look,
            day: people.day,
            newest: Some(people.newest),
            wrong: None,
        }))
        section #people data-total=(people.total) data-look=(people.look.as_str()) aria-label="The people of this page" {
            @if people.shown.is_empty() {
                (nobody(people))
            } @else {
                @match people.look {
                    Look::Table => div.card { (rows::table(people)) },
                    Look::Gallery => (rows::gallery(people)),
                }
            }
        }
        (pager(people))
        (downloads(people))
    }
}

fn looks(people: &People) -> Markup {
    let link = |look: Look, words| {
        let query = match look {
            Look::Table => people.here.without(&[VIEW]),
            Look::Gallery => people.here.with(VIEW, look.as_str()),
        };
        html! { a.button href=(query.address(PATH)) aria-current=[(people.look == look).then_some("true")] data-look=(look.as_str()) { (words) } }
    };
    html! { div.actions { (link(Look::Table, "Table")) (link(Look::Gallery, "Gallery")) } }
}

/// Which version this is, where it is not the newest.
fn moment(people: &People) -> Markup {
    let People { version, newest, .. } = people;
    let now = people.query.without(&["version", "as_of"]).address(PATH);
    html! {
        @if version != newest {
            (components::banner(Tone::Plain, "other-version", &format!("As version {version} had it"), &html! {
                p {
                    "The newest is version " (newest) ": " a href=(now) { "the same of the newest version" } ". "
                    "Pictures of former versions are not kept."
                }
            }))
        }
    }
}

fn nobody(people: &People) -> Markup {
    html! {
        div.card.empty {
            @if people.is_empty_lake {
                p { "There is nobody in the lake. Every CSV below src-data/ is a user, as soon as a run has read it." }
            } @else {
                p { "Nobody meets all of these filters." }
                p { a.button href=(filter_form::cleared(&people.query).address(PATH)) { "Everybody" } }
            }
        }
    }
}

fn pager(people: &People) -> Markup {
    let shown = u64::try_from(people.shown.len()).unwrap_or(u64::MAX);
    let (first, last) = (people.before.saturating_add(1), people.before.saturating_add(shown));
    html! {
        @if shown > 0 {
            nav.pager aria-label="Pages" {
                span #range data-first=(first) data-last=(last) {
                    (components::number(first)) "–" (components::number(last)) " of " (components::number(people.total))
                }
                span.actions {
                    @if !people.is_first { a.button #first-page href=(people.query.address(PATH)) { "First page" } }
                    @if let Some(next) = &people.next { a.button #next-page rel="next" href=(next) { "Next page" } }
                }
            }
        }
    }
}

/// All rows of the filters in each format, whatever page this is.
fn downloads(people: &People) -> Markup {
    let query = form_query::of_all_pages(&people.query);
    html! {
        @if people.total > 0 {
            p.small.actions #downloads {
                span { "Download " (components::counted(people.total, "user", "users")) ":" }
                @for format in Format::ALL {
                    @let name = format.name();
                    a href=(query.address(&format!("/data.{name}"))) download=(format!("people.{name}")) data-format=(name) { (words(format)) }
                }
            }
        }
    }
}

fn words(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Ndjson => "NDJSON",
        Format::Csv => "CSV",
        Format::Parquet => "Parquet",
        Format::Arrow => "Arrow",
    }
}
