//! One person: the row, the picture, where each value comes from, what is refused, and what the row was before.

mod history;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::user::{Age, BirthTimestamp, Day, UserId, age_on};
use datalake_table::delta::history::RowHistory;
use jiff::Timestamp;
use maud::{Markup, html};
use tokio::time::timeout_at;

use crate::{
    components::{self, Tone, excerpt},
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    users::{self, Picture, form_query::Query, rows},
};
use datalake_api::{
    limits::requests::StoreReadPermit,
    problem::Problem,
    request::{data_query::UserQuery, path::PathUserId, snapshot::ReadAt, table_read::TableRead},
    routes::{
        explain::{Explanation, ExplanationDocument, ObjectDocument, OpenRejectDocument},
        history::{HistoryDocument, load as load_history},
        rejects::RejectDocument,
    },
    snapshots::{versions::Versions, watch::TableState},
};

/// What the page shows. The row is there whatever the store does; the rest is read from it.
struct Facts<'a> {
    user_id: &'a str,
    row: Option<ShownRow>,
    /// The day and the version that were asked for: links lead on with them.
    moment: Query,
    /// The day on which the age is counted.
    day: Day,
    version: u64,
    newest: u64,
    explanation: Result<ExplanationDocument<'a>, &'a Problem>,
    history: Result<HistoryDocument<'a>, &'a Problem>,
    origin: &'a str,
    now: Timestamp,
}

/// The row as the version has it.
#[derive(Debug)]
struct ShownRow {
    first_name: String,
    last_name: String,
    birth: BirthTimestamp,
    age: Option<u16>,
    picture: Picture,
}

/// The page. Who has no row but a refused source or a history is shown these, with the status that the API answers for the row.
pub(crate) async fn show(
    visit: PageContext,
    PathUserId(user_id): PathUserId,
    TableRead(UserQuery { query, .. }, read_at): TableRead<UserQuery>,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let (explanation, history) = gather(&visit, &user_id, &read_at, &versions).await;
    let day = read_at.day(query.on);
    let version = read_at.snapshot.version().number();
    let newest = users::newest(&visit).map_or(version, |newest| newest.max(version));
    let row = read_at.snapshot.row(user_id.as_str()).map(|row| ShownRow {
        first_name: row.first_name.to_owned(),
        last_name: row.last_name.to_owned(),
        birth: row.birth,
        age: age_on(row.birth.day(), day).map(Age::years),
        picture: Picture::of(row.has_image, version, newest),
    });
    if let (None, Err(Problem::NoSuchUser), Err(Problem::NoSuchUser)) = (&row, &explanation, &history) {
        return Err(Problem::NoSuchUser);
    }
    let is_there = row.is_some();
    let facts = Facts {
        user_id: user_id.as_str(),
        row,
        moment: rows::of_moment(&Query::of_address(&visit.address)),
        day,
        version,
        newest,
        explanation: explanation.as_ref().map(Explanation::document),
        history: history.as_ref().map(|history| HistoryDocument::new(&user_id, history)),
        origin: &visit.origin,
        now: visit.now,
    };
    let title = facts.title();
    let page = Page(visit.frame(View::Person, &title).page(&person(&facts)));
    Ok(match is_there {
        true => (read_at.freshness_headers(), page).into_response(),
        false => (Problem::NoSuchUser.status(), read_at.freshness_headers(), page).into_response(),
    })
}

/// What the store knows. The history is that of the newest version, as the API gives it.
async fn gather(
    visit: &PageContext,
    user_id: &UserId,
    read_at: &ReadAt,
    versions: &Versions,
) -> (Result<Explanation, Problem>, Result<RowHistory, Problem>) {
    let newest = match &visit.known.table.state {
        TableState::Loaded(newest) => newest,
        TableState::Missing | TableState::Loading => &read_at.snapshot,
    };
    let deadline = visit.deadline();
    // The row is not kept back by what else is to be read.
    let explanation = timeout_at(deadline, Explanation::load(user_id.clone(), &read_at.snapshot, versions));
    let history = timeout_at(deadline, load_history(user_id, newest.version(), versions));
    let (explanation, history) = tokio::join!(explanation, history);
    (
        explanation.unwrap_or(Err(Problem::StoreUnavailable)),
        history.unwrap_or(Err(Problem::StoreUnavailable)),
    )
}

impl Facts<'_> {
    fn title(&self) -> String {
        match &self.row {
            Some(row) => format!("{} {}", row.first_name, row.last_name),
            None => format!("User {}", self.user_id),
        }
    }

    /// A request about this user, of the version that is shown.
    fn address(&self, about: &str) -> ApiAddress {
        let version = if self.version == self.newest {
            String::new()
        } else {
            format!("?version={}", self.version)
        };
        ApiAddress::new(format!("/data/{}/{about}{version}", self.user_id))
    }
}

fn person(facts: &Facts<'_>) -> Markup {
    let line = html! {
        @if facts.row.is_some() { "User " bdi { (facts.user_id) } ", version " } @else { "Version " }
        (facts.version)
    };
    html! {
        (components::heading(&facts.title(), &line, &html! { a.button href=(facts.moment.address(users::PATH)) { "All people" } }))
        (moment(facts))
        @match &facts.row {
            Some(row) => (shown(row, facts)),
            None => (nobody(facts)),
        }
        (rejects(facts))
        (origins(facts))
        (history::card(facts.user_id, &facts.history, &facts.moment, facts.origin, facts.now))
    }
}

/// Which version this is, where it is not the newest.
fn moment(facts: &Facts<'_>) -> Markup {
    let Facts { version, newest, .. } = facts;
    let now = facts.moment.without(&["version", "as_of"]).address(&rows::own(facts.user_id));
    html! {
        @if version != newest {
            (components::banner(Tone::Plain, "other-version", &format!("As version {version} had it"), &html! {
                p { "The newest is version " (newest) ": " a href=(now) { "this user now" } "." }
            }))
        }
    }
}

fn nobody(facts: &Facts<'_>) -> Markup {
    let problem = Problem::NoSuchUser;
    html! {
        (components::banner(Tone::Warn, "no-such-user", problem.title(), &html! {
            @match &facts.explanation {
                Ok(explanation) => p { (components::sentence(&explanation.summary)) },
                Err(_) => p { (components::prose(&problem.detail())) " What there was before is below." },
            }
        }))
    }
}

fn shown(row: &ShownRow, facts: &Facts<'_>) -> Markup {
    let date = row.birth.day().date();
    html! {
        section.card #row data-user-id=(facts.user_id) aria-label="Row" {
            div.person {
                div {
                    (portrait(row, facts))
                    @if let Ok(explanation) = &facts.explanation {
                        p.small.muted.wrap #picture-reason data-state=(explanation.image_status.state) { (components::sentence(&explanation.image_status.reason)) }
                    }
                }
                dl.pairs {
                    dt { "First name" } dd data-column="first_name" { bdi { (row.first_name) } }
                    dt { "Last name" } dd data-column="last_name" { bdi { (row.last_name) } }
                    dt { "Born" }
                    dd data-column="birthts" data-birthts=(row.birth.as_ms()) {
                        time { (date) } " " span.muted { "(" (row.birth.as_ms()) " ms)" }
                    }
                    dt { "Age" }
                    dd data-column="age" data-age=[row.age] {
                        @match row.age {
                            Some(age) => { (components::counted(age.into(), "year", "years")) " on " time { (facts.day.date()) } }
                            None => { "Not born on " time { (facts.day.date()) } }
                        }
                    }
                    dt { "User" } dd data-column="user_id" { bdi { (facts.user_id) } }
                    @if let Ok(ExplanationDocument { run_id: Some(run_id), .. }) = &facts.explanation {
                        dt { "Changed last by" } dd { (run(run_id)) }
                    }
                }
            }
        }
    }
}

fn portrait(row: &ShownRow, facts: &Facts<'_>) -> Markup {
    html! {
        @match row.picture {
            Picture::Kept { version } => img.portrait src=(rows::source(facts.user_id, version)) alt={ "Picture of " (facts.title()) }
                width="224" height="224" decoding="async";,
            Picture::Former => div.no-picture { "There was a picture. Those of former versions are not kept." },
            Picture::None => div.no-picture { "No picture" },
        }
    }
}

fn rejects(facts: &Facts<'_>) -> Markup {
    let refused: &[OpenRejectDocument<'_>] = facts.explanation.as_ref().map_or(&[], |explanation| &explanation.rejects);
    html! {
        @if !refused.is_empty() {
            section.card #rejects aria-labelledby="rejects-title" {
                header { h2 #rejects-title { "Refused now" } a.small href=(facts.moment.without(&["on"]).address("/page/rejects")) { "All rejects" } }
                @for OpenRejectDocument { reject, served } in refused {
                    div.reject data-key=(reject.key) data-code=(reject.code) {
                        p.wrap { span.badge.warn { (reject.code) } " " code { (reject.key) } (place(reject)) }
                        p.wrap { (components::prose(&reject.message)) }
                        @if let Some(excerpt) = reject.excerpt {
                            (excerpt::excerpt(excerpt, reject.excerpt_offset))
                        }
                        p.small.muted {
                            "Since " (since(&reject.since, facts.now)) ", by " (run(reject.run_id)) ". Served meanwhile: "
                            span data-meanwhile { (served) } "."
                        }
                    }
                }
            }
        }
    }
}

fn place(reject: &RejectDocument<'_>) -> Markup {
    html! {
        @if let Some(line) = reject.line { ", line " (line) }
        @if let Some(column) = reject.column { ", column " (column) }
    }
}

fn since(since: &str, now: Timestamp) -> Markup {
    let at = since.parse();
    at.map_or_else(|_| html! { (since) }, |at| components::time(at, now))
}

/// Where each value comes from.
fn origins(facts: &Facts<'_>) -> Markup {
    html! {
        section.card #explanation aria-labelledby="explanation-title" {
            header { h2 #explanation-title { "Where the values come from" } }
            @match &facts.explanation {
                Ok(explanation) => (explained(explanation, facts.now)),
                Err(Problem::NoSuchUser) => p.muted { "There is neither a row nor a source of this user that was looked at." },
                Err(problem) => (unknown(problem)),
            }
            (components::curl(facts.origin, &facts.address("explain")))
        }
    }
}

fn explained(explanation: &ExplanationDocument<'_>, now: Timestamp) -> Markup {
    html! {
        p.wrap { (components::sentence(&explanation.summary)) }
        @if !explanation.values.is_empty() {
            (components::scroll("Values and their rules", &html! {
                table {
                    caption.visually-hidden { "Each value of the row, and the rule that made it" }
                    thead { tr { th scope="col" { "Value" } th scope="col" { "Rule" } } }
                    tbody {
                        @for value in &explanation.values {
                            tr data-column=(value.column) { th scope="row" { code { (value.column) } } td { (value.rule) } }
                        }
                    }
                }
            }))
            dl.pairs.sources {
                @if let Some(csv) = &explanation.csv { (object("CSV", csv, now)) }
                @if let Some(image) = &explanation.image { (object("Picture", image, now)) }
            }
        }
    }
}

fn object(name: &str, object: &ObjectDocument<'_>, now: Timestamp) -> Markup {
    html! {
        dt { (name) }
        dd {
            code { (object.key) } ", " (components::counted(object.size, "byte", "bytes"))
            ", taken by the store " (components::time(object.modified, now)) ", tag " code.wrap { (object.etag) }
        }
    }
}

/// What cannot be read now, in the API's words.
pub(crate) fn unknown(problem: &Problem) -> Markup {
    html! { p.muted data-unknown { (problem.title()) ": " (problem.detail()) "." } }
}

/// A link to a run.
pub(crate) fn run(run_id: &str) -> Markup {
    html! { a.wrap href={ "/page/runs/" (run_id) } { (run_id) } }
}
