//! Renders the users page.

use datalake_core::keys;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, number},
        labels,
        pager::Pager,
    },
    page::links,
    users::{
        filter_form::{self, state::FormState},
        filter_labels, form_query,
        form_query::VIEW,
        gallery,
        model::UsersPage,
        request::{LIMITS, PAGE, PAGE_OF, ViewMode},
        table,
    },
};
use datalake_api::rows::format::Format;

pub(crate) fn markup(page: &UsersPage) -> Markup {
    let subtitle = html! {
        (counted(page.total, "user", "users"))
        @if filter_labels::has_filters(&page.query) { " match these filters" }
        ", ages on " time { (page.day.date()) }
        ", version " (page.version)
    };
    html! {
        (components::heading("Users", &subtitle, &view_modes(page)))
        (filter_labels::as_text(&page.query))
        (version_banner(page))
        (filter_form::form(&FormState {
            query: &page.query,
            view_mode: page.view_mode,
            day: page.day,
            latest: Some(page.latest),
            facets: page.facets.as_ref(),
            error: None,
        }))
        section #user-list data-total=(page.total) data-view-mode=(page.view_mode.as_str()) aria-label="Users on this page" {
            @if page.users.is_empty() {
                (empty_state(page))
            } @else {
                @match page.view_mode {
                    ViewMode::Table => div.card { (table::table(page)) },
                    ViewMode::Gallery => (gallery::gallery(page)),
                }
            }
        }
        (pager(page))
        (downloads(page))
    }
}

fn view_modes(page: &UsersPage) -> Markup {
    let link = |mode: ViewMode, label| {
        let query = match mode {
            ViewMode::Table => page.current_query.without(&[VIEW]),
            ViewMode::Gallery => page.current_query.with(VIEW, mode.as_str()),
        };
        let is_current = (page.view_mode == mode).then_some("true");
        html! { a.button href=(query.address(links::USERS)) aria-current=[is_current] data-view-mode=(mode.as_str()) { (label) } }
    };
    html! { div.actions { (link(ViewMode::Table, "Table")) (link(ViewMode::Gallery, "Gallery")) } }
}

fn version_banner(page: &UsersPage) -> Markup {
    let latest_href = page.query.without(&["version", "as_of"]).address(links::USERS);
    html! {
        @if page.version != page.latest {
            (components::version_banner(page.version, page.latest, &latest_href, "Images are kept for the latest version only."))
        }
    }
}

fn empty_state(page: &UsersPage) -> Markup {
    html! {
        div.card.empty {
            @if page.is_empty_lake {
                p { "No users yet. Add " code { "{user_id}.csv" } " files to " code { (keys::SOURCES) } "; they appear after the next run." }
            } @else {
                p { "No users match these filters." }
                p { a.button href=(filter_labels::cleared(&page.query).address(links::USERS)) { "Clear filters" } }
            }
        }
    }
}

fn pager(page: &UsersPage) -> Markup {
    let shown = datalake_core::count::count(page.users.len());
    let (first, last) = (page.before.saturating_add(1), page.before.saturating_add(shown));
    let size = |limit: u16| {
        let query = page.query.with("limit", &limit.to_string());
        html! {
            @if limit == page.limit { b aria-current="true" { (limit) } } @else { a href=(query.address(links::USERS)) { (limit) } }
        }
    };
    let range = html! {
        span #range data-first=(first) data-last=(last) { (number(first)) "–" (number(last)) " of " (number(page.total)) }
        span.sizes #page-sizes { "Users per page:" @for limit in LIMITS { " " (size(limit)) } }
    };
    let pager = Pager {
        range,
        jump: jump(page),
        first: (!page.is_first).then(|| (page.query.address(links::USERS), "First page")),
        previous: (!page.is_first).then(|| {
            let first = || page.query.address(links::USERS);
            (page.previous.clone().unwrap_or_else(first), "Previous page")
        }),
        next: page.next.clone().map(|next| (next, "Next page")),
    };
    html! { @if shown > 0 { (pager.markup()) } }
}

/// The form for the number of a page; nothing if the links lead to all pages.
fn jump(page: &UsersPage) -> Markup {
    let (current, last) = page.numbers();
    html! {
        @if last > 2 {
            form.jump {
                label { "Page " input type="number" name=(PAGE) min="1" max=(last) value=(current); }
                // One parameter instead of one for each filter keeps the page small.
                button name=(PAGE_OF) value=(page.query.address("").trim_start_matches('?')) { "Go" }
            }
        }
    }
}

/// All rows that match the filters, in each format, on every page.
fn downloads(page: &UsersPage) -> Markup {
    let query = form_query::without_pagination(&page.query);
    html! {
        @if page.total > 0 {
            p.small.actions #downloads {
                span { "Download " (counted(page.total, "user", "users")) ":" }
                @for format in Format::ALL {
                    @let name = format.name();
                    a href=(query.address(&format!("/data.{name}"))) download=(format!("users.{name}")) data-format=(name) { (labels::format(format)) }
                }
            }
        }
    }
}
