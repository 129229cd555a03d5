//! The sources that are refused: why, where, since when, and what is served meanwhile.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::{
    query::as_of::TIME_TRAVEL_PARAMETERS,
    reject::{OpenRefusal, Refusal},
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded;

use crate::{
    components::{self, excerpt::excerpt, reject_titles},
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    users::{form_query::Query, rows},
};
use datalake_api::{
    problem::Problem,
    request::{query_string::QueryString, snapshot::ReadAt},
    routes::{explain, rejects::parse_code},
};

/// Refused sources on one page: with the style and the script below 80 KB, and never a wait.
const PAGE_MAX: usize = 30;

/// Bytes of keys, reasons and excerpts on one page, whatever its first source has: others come to half as many.
const TEXT_BYTES_MAX: usize = 16_000;

/// Bytes of a name that are shown.
const NAME_BYTES_SHOWN: usize = 100;

/// The columns of a source.
const COLUMNS: [&str; 3] = ["first_name", "last_name", "birthts"];

/// Which of them are asked for.
pub(crate) struct Asked {
    /// None is every code.
    code: Option<String>,
    /// The key behind which the page begins; none is before the first.
    after: Option<String>,
    /// The parameters about time, which stay as they are from page to page.
    moment: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&[&["code", "after"], TIME_TRAVEL_PARAMETERS].concat())?;
        let code = pairs.get("code").filter(|code| !code.is_empty()).map(parse_code).transpose()?;
        let moment = pairs.iter().filter(|(name, _)| TIME_TRAVEL_PARAMETERS.contains(name));
        Ok(Self {
            code,
            after: pairs.get("after").map(str::to_owned),
            moment: moment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }
}

impl Asked {
    /// The address of a page of the same moment.
    fn address(&self, path: &str, code: Option<&str>, after: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(code.map(|code| ("code", code)));
        query.extend_pairs(&self.moment);
        query.extend_pairs(after.map(|after| ("after", after)));
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{path}{separator}{query}")
    }

    /// A person's page, as the version has it that is looked at.
    fn person(&self, user_id: &str) -> String {
        let pairs = self.moment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        rows::own_as(user_id, &Query::new(pairs))
    }
}

/// The sources that are refused at a version.
pub(crate) async fn show(visit: PageContext, asked: Asked, read_at: ReadAt) -> Response {
    let api = ApiAddress::new(asked.address("/rejects", asked.code.as_deref(), None));
    let frame = visit.frame(View::Rejects, "Rejects").api(api);
    let main = rejects(&read_at.snapshot, &asked, visit.now);
    (read_at.freshness_headers(), Page(frame.page(&main))).into_response()
}

/// What of a list is on one page of it.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    /// How many come before.
    before: usize,
    entries: Vec<&'a OpenRefusal>,
    /// How many there are on all pages.
    count: usize,
}

/// `refusals` are by key. Whoever asks for what is behind a key that is gone by now goes on where it was.
fn shown<'a>(refusals: &'a [OpenRefusal], code: Option<&str>, after: Option<&str>) -> Shown<'a> {
    let has_code = |open: &&OpenRefusal| code.is_none_or(|code| open.refusal.code() == code);
    let with_code: Vec<_> = refusals.iter().filter(has_code).collect();
    let before = with_code.partition_point(|open| after.is_some_and(|after| &*open.key <= after));
    let mut bytes = 0;
    let has_room = |(place, open): &(usize, &&OpenRefusal)| {
        bytes += text_bytes(open);
        *place == 0 || bytes <= TEXT_BYTES_MAX
    };
    let rest = with_code.iter().skip(before).take(PAGE_MAX).copied();
    let entries = rest.collect::<Vec<_>>();
    let entries = entries.iter().enumerate().take_while(has_room).map(|(_, open)| *open).collect();
    Shown {
        before,
        entries,
        count: with_code.len(),
    }
}

/// Bytes that differ from source to source. The key stands there twice.
fn text_bytes(open: &OpenRefusal) -> usize {
    let excerpt = match &open.refusal {
        Refusal::Rejected(reject) => reject.excerpt.as_ref().map_or(0, |excerpt| excerpt.len()),
        Refusal::Ignored(_) => 0,
    };
    2 * open.key.len() + open.reason().to_string().len() + excerpt
}

/// How many sources each code refuses, the most first.
fn counts(refusals: &[OpenRefusal]) -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    for open in refusals {
        *counts.entry(open.refusal.code()).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn rejects(snapshot: &Snapshot, asked: &Asked, now: Timestamp) -> Markup {
    let refusals = snapshot.refusals();
    let version = snapshot.version().number();
    let line = html! {
        "Sources that were not taken as they are at version " (version)
        ". No other user is affected. The next run accepts a source once it is fixed."
    };
    html! {
        (components::heading("Rejects", &line, &html! {}))
        @if refusals.is_empty() {
            section.card.empty #no-rejects { p { "No source is refused: every one is in the table as it stands." } }
        } @else {
            (counted(snapshot))
            (codes(refusals, asked))
            (page(snapshot, asked, now))
        }
    }
}

/// How many there are of each kind. The figure of the overview and of runs is the first one.
fn counted(snapshot: &Snapshot) -> Markup {
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let listed = snapshot.refusals().len() - rejected;
    html! {
        p #counted data-rejected=(rejected) data-ignored=(ignored) {
            (components::number(rejected)) " rejected: read, and not taken as they stand."
            @if ignored > 0 { " " (components::number(ignored)) " ignored: objects that are not sources. They affect no user." }
            @if ignored > listed { " The first " (components::number(listed)) " of them are listed." }
        }
    }
}

/// A link to each code. It is a link, and no form: it says how many there are.
fn codes(refusals: &[OpenRefusal], asked: &Asked) -> Markup {
    let link = |code: Option<&str>, words: &str, count: usize| {
        let is_current = (asked.code.as_deref() == code).then_some("true");
        html! {
            a.button href=(asked.address("/page/rejects", code, None)) aria-current=[is_current] data-code=[code] data-count=(count) {
                (words) " " span.muted { (components::number(count)) }
            }
        }
    };
    html! {
        nav aria-label="Reasons" {
            div.actions #codes {
                (link(None, "All reasons", refusals.len()))
                @for (code, count) in counts(refusals) {
                    (link(Some(code), reject_titles::title_of_code(code), count))
                }
            }
        }
    }
}

fn page(snapshot: &Snapshot, asked: &Asked, now: Timestamp) -> Markup {
    let shown = shown(snapshot.refusals(), asked.code.as_deref(), asked.after.as_deref());
    let until = shown.before + shown.entries.len();
    let last = shown.entries.last().filter(|_| until < shown.count);
    html! {
        @if shown.entries.is_empty() {
            section.card.empty #no-rejects { p { "None is refused for this reason, or none behind this key." } }
        } @else {
            section.card aria-label="Refused sources" {
                ol.rejects #rejects start=(shown.before + 1) data-total=(shown.count) {
                    @for open in &shown.entries { (reject(open, snapshot, asked, now)) }
                }
            }
        }
        @if shown.before > 0 || last.is_some() {
            nav.pager aria-label="Pages" {
                span { @if !shown.entries.is_empty() { (components::number(shown.before + 1)) " to " (components::number(until)) " of " (components::number(shown.count)) } }
                span.actions {
                    @if shown.before > 0 {
                        a.button href=(asked.address("/page/rejects", asked.code.as_deref(), None)) { "First page" }
                    }
                    @if let Some(last) = last {
                        a.button.primary #next-page rel="next" href=(asked.address("/page/rejects", asked.code.as_deref(), Some(&last.key))) { "Next page" }
                    }
                }
            }
        }
    }
}

fn reject(open: &OpenRefusal, snapshot: &Snapshot, asked: &Asked, now: Timestamp) -> Markup {
    let reject = match &open.refusal {
        Refusal::Rejected(reject) => Some(reject),
        Refusal::Ignored(_) => None,
    };
    let reason = open.reason();
    html! {
        li data-key=(open.key) data-code=(open.refusal.code()) {
            header {
                h2 { (reject_titles::title(&open.refusal)) }
                code.muted { (open.refusal.code()) }
            }
            p.where {
                code.wrap { bdi { (open.key) } }
                @if let Some(place) = reject.and_then(|reject| reject.place) {
                    " "
                    span.muted {
                        @if let (Some(line), Some(column)) = (place.line, place.column) { "line " (line) ", column " (column) ", " }
                        "byte " (components::number(place.byte_offset))
                    }
                }
            }
            @if let Some(reject) = reject && let Some(text) = &reject.excerpt { (excerpt(text, reject.excerpt_offset)) }
            p.wrap { (advice(&reason.found)) " Expected: " (reason.expected) "." }
            p.wrap data-remedy { (advice(&reason.remedy)) }
            p.small.muted {
                "Refused first " (components::since(open.since, now)) ", by run " a href={ "/page/runs/" (open.run_id) } { (open.run_id) } ". "
                span data-meanwhile { (served(open, snapshot, asked)) }
            }
        }
    }
}

fn name(name: &str) -> Cow<'_, str> {
    components::beginning(name, NAME_BYTES_SHOWN)
}

/// A message that begins with the name of a column begins as the column does.
fn advice(message: &str) -> String {
    match COLUMNS.iter().any(|column| message.starts_with(column)) {
        true => format!("{message}."),
        false => components::sentence(message),
    }
}

/// What is served meanwhile, with the person.
fn served(open: &OpenRefusal, snapshot: &Snapshot, asked: &Asked) -> Markup {
    let row = open.user_id.as_ref().and_then(|user_id| snapshot.row(user_id.as_str()));
    let is_rejected = matches!(open.refusal, Refusal::Rejected(_));
    html! {
        "Meanwhile: " (explain::served(open, row))
        @match (row, &open.user_id) {
            (Some(row), _) => {
                @if is_rejected { " of " } @else { ", and of other sources there is the row of " }
                a href=(asked.person(row.user_id)) { bdi { (name(row.first_name)) " " (name(row.last_name)) } } " (" (row.user_id) ")."
            },
            (None, Some(user_id)) => { @if is_rejected { " of " (user_id) } "." },
            (None, None) => ".",
        }
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::{
        reject::{Reason, Reject, RejectCode},
        report::RunId,
        user::UserId,
    };

    use super::*;

    fn open(key: &str, code: RejectCode) -> OpenRefusal {
        OpenRefusal {
            key: key.into(),
            user_id: UserId::parse("1").ok(),
            etag: "tag".into(),
            size: 1,
            refusal: Refusal::Rejected(Reject::whole(code, Reason::new("cause", "another", "do it"))),
            run_id: RunId::parse("run-1").unwrap(),
            since: Timestamp::UNIX_EPOCH,
            valid_image: None,
        }
    }

    /// Two of three are empty, the third has a wrong quote.
    fn many(count: usize) -> Vec<OpenRefusal> {
        let code = |number: usize| if number % 3 == 2 { RejectCode::Quote } else { RejectCode::Empty };
        (0..count).map(|number| open(&format!("{number:06}"), code(number))).collect()
    }

    #[track_caller]
    fn check(code: Option<&str>, after: Option<&str>, expected: (usize, usize, usize, Option<&str>)) {
        let refusals = many(1_000);
        let shown = shown(&refusals, code, after);
        let first = shown.entries.first().map(|open| &*open.key);
        assert_eq!(
            (shown.before, shown.entries.len(), shown.count, first),
            expected,
            "{code:?}, {after:?}"
        );
    }

    #[test]
    fn pages() {
        check(None, None, (0, 30, 1_000, Some("000000")));
        check(None, Some("000099"), (100, 30, 1_000, Some("000100")));
        check(None, Some("0000995"), (100, 30, 1_000, Some("000100")));
        check(None, Some("000979"), (980, 20, 1_000, Some("000980")));
        check(None, Some("000999"), (1_000, 0, 1_000, None));
        check(Some("quote"), None, (0, 30, 333, Some("000002")));
        check(Some("quote"), Some("000299"), (100, 30, 333, Some("000302")));
        check(Some("nested"), None, (0, 0, 0, None));
    }

    #[test]
    fn long_keys_make_short_pages() {
        let long = |number: usize| open(&format!("{number:01000}"), RejectCode::Empty);
        let refusals: Vec<_> = (0..20).map(long).collect();
        let first = shown(&refusals, None, None);
        assert_eq!((first.entries.len(), first.count), (7, 20));
        // Each page has one, however long it is.
        let longest = [open(&"k".repeat(20_000), RejectCode::Empty)];
        assert_eq!(shown(&longest, None, None).entries.len(), 1);
    }

    #[test]
    fn columns_keep_their_names() {
        assert_eq!(advice("there is a quote"), "There is a quote.");
        assert_eq!(advice("birthts is before 1850"), "birthts is before 1850.");
    }

    #[test]
    fn codes_are_counted() {
        assert_eq!(counts(&many(1_000)), [("empty", 667), ("quote", 333)]);
        assert_eq!(counts(&[]), []);
    }

    #[test]
    fn addresses_keep_the_moment() {
        let asked = |moment: &[(&str, &str)]| Asked {
            code: None,
            after: None,
            moment: moment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let now = asked(&[]);
        assert_eq!(now.address("/page/rejects", None, None), "/page/rejects");
        assert_eq!(
            now.address("/page/rejects", Some("quote"), Some("a&b é")),
            "/page/rejects?code=quote&after=a%26b+%C3%A9"
        );
        let then = asked(&[("version", "3")]);
        assert_eq!(then.address("/rejects", None, None), "/rejects?version=3");
        assert_eq!(
            then.address("/page/rejects", Some("quote"), Some("x")),
            "/page/rejects?code=quote&version=3&after=x"
        );
        assert_eq!(now.person("1"), "/page/people/1");
        assert_eq!(then.person("1"), "/page/people/1?version=3");
    }
}
