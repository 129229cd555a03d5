//! The page of a row.

use datalake_core::{dataset::FileColumn, query::column::Column, row::RowView, user::Ages};
use maud::{Markup, html};

use crate::{
    components::{self, Severity},
    declared::{label, text},
    page::{api_address::ApiAddress, links},
    user::{model::UserPage, provenance, rejects},
};

/// The page. `page` has no row of users.
pub(crate) fn markup(row: Option<RowView<'_>>, title: &str, page: &UserPage<'_>) -> Markup {
    let subtitle = html! { "Version " (page.version) };
    let latest_href = page.time_travel.without(&["version", "as_of"]).address(&links::user(page.user_id));
    html! {
        (components::heading(title, &subtitle, &navigation(page)))
        @if page.version != page.latest { (components::version_banner(page.version, page.latest, &latest_href, "")) }
        @match row {
            Some(row) => (details(row, page)),
            None => (no_row(page)),
        }
        (rejects::card(page))
        (provenance::card(page))
        section.card #history aria-labelledby="history-title" {
            header { h2 #history-title { "History" } }
            (components::api_request("history-api", page.origin, &ApiAddress::new(format!("/data/{}/history", page.user_id))))
        }
    }
}

/// The links to the rows before and after this one, by ID, and to all rows.
fn navigation(page: &UserPage<'_>) -> Markup {
    let [before, after] = &page.neighbors;
    let href = |id: &String| links::user_at(id, &page.time_travel);
    html! {
        nav.actions aria-label="Rows" {
            @if let Some(before) = before { a.button #previous-user rel="prev" href=(href(before)) title=(before) { "Previous" } }
            @if let Some(after) = after { a.button #next-user rel="next" href=(href(after)) title=(after) { "Next" } }
            a.button href=(page.time_travel.address(links::USERS)) { "All rows" }
        }
    }
}

fn no_row(page: &UserPage<'_>) -> Markup {
    let message = html! {
        @match &page.explanation {
            Ok(explanation) => p { (components::prose(&explanation.summary)) },
            Err(problem) => p { (components::prose(&problem.detail())) },
        }
    };
    components::banner(Severity::Warning, "no-such-user", "This version has no such row", &message)
}

fn details(row: RowView<'_>, page: &UserPage<'_>) -> Markup {
    let dataset = row.dataset();
    let ages = Ages::on(page.day);
    html! {
        section.card #row data-user-id=(page.user_id) aria-label="Row" {
            dl.properties {
                @for column in Column::all(dataset) {
                    @let name = column.name(dataset);
                    dt { (label(name)) }
                    dd data-column=(name) {
                        @match (column, row.cell(column, ages)) {
                            (_, None) => span.muted { "–" },
                            (Column::File(index), Some(cell)) => { bdi { (text(cell)) } (file(&dataset.files()[index], page)) },
                            (_, Some(cell)) => bdi { (text(cell)) },
                        }
                    }
                }
            }
        }
    }
}

/// A link to the file, and an image of it if browsers can show it. The files of earlier versions are not kept.
fn file(file: &FileColumn, page: &UserPage<'_>) -> Markup {
    let href = links::file(page.user_id, &file.name, page.version);
    let is_image = file.types.iter().all(|file_type| file_type.as_str().starts_with("image/"));
    html! {
        @if page.version == page.latest {
            " " a href=(href) { "View" }
            @if is_image { br; img.portrait src=(href) alt={ "The " (file.name) } decoding="async"; }
        }
    }
}
