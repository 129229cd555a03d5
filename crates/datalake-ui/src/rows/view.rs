//! Renders the list of rows.

use maud::{Markup, html};

use crate::{
    components::{self, format::number, labels, pager::Pager},
    page::links,
    rows::{
        filter_form::{self, state::FormState},
        filter_labels, form_query,
        form_query::VIEW,
        gallery,
        model::RowsPage,
        request::{LIMITS, PAGE, PAGE_OF, ViewMode},
        table,
    },
};
use datalake_api::rows::format::Format;

pub(crate) fn markup(page: &RowsPage) -> Markup {
    let dataset = &*page.dataset;
    let image_file = labels::image_file(dataset);
    let subtitle = html! {
        (labels::counted_rows(dataset, page.total))
        @if filter_labels::has_filters(dataset, &page.query) { @if page.total == 1 { " matches" } @else { " match" } " these filters" }
        @if let Some(computed) = labels::computed_on_a_day(dataset) { ", " (computed) " on " time { (page.day.date()) } }
        ", version " (page.version)
    };
    html! {
        (components::heading(dataset.title(), &subtitle, &html! { @if image_file.is_some() { (view_modes(page)) } }))
        (filter_labels::as_text(dataset, &page.query))
        (version_banner(page))
        (filter_form::form(&FormState {
            dataset,
            query: &page.query,
            view_mode: page.view_mode,
            day: page.day,
            latest: Some(page.latest),
            facets: Some(&page.facets),
            error: None,
        }))
        section #user-list data-total=(page.total) data-view-mode=(page.view_mode.as_str()) aria-label={ (dataset.title()) " on this page" } {
            @if page.rows.is_empty() {
                (empty_state(page))
            } @else {
                @match (page.view_mode, image_file) {
                    (ViewMode::Gallery, Some(file)) => (gallery::gallery(page, file)),
                    _ => div.card { (table::table(page)) },
                }
            }
        }
        (pager(page))
        (downloads(page))
    }
}

fn view_modes(page: &RowsPage) -> Markup {
    let link = |mode: ViewMode, label| {
        let query = match mode {
            ViewMode::Table => page.current_query.without(&[VIEW]),
            ViewMode::Gallery => page.current_query.with(VIEW, mode.as_str()),
        };
        let is_current = (page.view_mode == mode).then_some("true");
        html! { a.button href=(query.address(links::ROWS)) aria-current=[is_current] data-view-mode=(mode.as_str()) { (label) } }
    };
    html! { div.actions { (link(ViewMode::Table, "Table")) (link(ViewMode::Gallery, "Gallery")) } }
}

fn version_banner(page: &RowsPage) -> Markup {
    let latest_href = page.query.without(&["version", "as_of"]).address(links::ROWS);
    let note = labels::kept_files(&page.dataset);
    html! {
        @if page.version != page.latest { (components::version_banner(page.version, page.latest, &latest_href, &note)) }
    }
}

fn empty_state(page: &RowsPage) -> Markup {
    let (dataset, rows) = (&page.dataset, labels::rows(&page.dataset));
    let (key, folder) = (dataset.key().as_str(), dataset.key().folder());
    let name = key.strip_prefix(folder).unwrap_or(key);
    html! {
        div.card.empty {
            @if page.is_empty_lake {
                p { "No " (rows) " yet. Add " code { (name) } " files to " code { (folder) } "; they appear after the next run." }
            } @else {
                p { "No " (rows) " match these filters." }
                p { a.button href=(filter_labels::cleared(dataset, &page.query).address(links::ROWS)) { "Clear filters" } }
            }
        }
    }
}

fn pager(page: &RowsPage) -> Markup {
    let shown = datalake_core::count::count(page.rows.len());
    let (first, last) = (page.before.saturating_add(1), page.before.saturating_add(shown));
    let size = |limit: u16| {
        let query = page.query.with("limit", &limit.to_string());
        html! {
            @if limit == page.limit { b aria-current="true" { (limit) } } @else { a href=(query.address(links::ROWS)) { (limit) } }
        }
    };
    let range = html! {
        span #range data-first=(first) data-last=(last) { (number(first)) "–" (number(last)) " of " (number(page.total)) }
        span.sizes #page-sizes { (page.dataset.title()) " per page:" @for limit in LIMITS { " " (size(limit)) } }
    };
    let pager = Pager {
        range,
        jump: jump(page),
        first: (!page.is_first).then(|| (page.query.address(links::ROWS), "First page")),
        previous: (!page.is_first).then(|| {
            let first = || page.query.address(links::ROWS);
            (page.previous.clone().unwrap_or_else(first), "Previous page")
        }),
        next: page.next.clone().map(|next| (next, "Next page")),
    };
    html! { @if shown > 0 { (pager.markup()) } }
}

/// The form for the number of a page; nothing if the links lead to all pages.
fn jump(page: &RowsPage) -> Markup {
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
fn downloads(page: &RowsPage) -> Markup {
    let query = form_query::without_pagination(&page.query);
    let file = labels::rows(&page.dataset).replace(|character: char| !character.is_alphanumeric(), "-");
    html! {
        @if page.total > 0 {
            p.small.actions #downloads {
                span { "Download " (labels::counted_rows(&page.dataset, page.total)) ":" }
                @for format in Format::ALL {
                    @let name = format.name();
                    a href=(query.address(&format!("/data.{name}"))) download={ (file) "." (name) } data-format=(name) { (labels::format(format)) }
                }
            }
        }
    }
}
