//! Renders the page of a row.

use datalake_core::{
    dataset::{FileColumn, ValueRef},
    query::column::Column,
    text::capitalized,
};
use maud::{Markup, html};

use crate::{
    components::{
        self, Severity,
        file_state::FileState,
        format::{counted, relative_time},
        labels,
        row::{Row, RowValue, TEXT_BYTES_MAX, mention},
        run, value,
    },
    page::links,
    row::{
        history,
        model::{Removal, RowPage},
        provenance, rejects,
    },
};
use datalake_api::{
    problem::{MissingRow, Problem},
    routes::explain::ExplanationDocument,
};

pub(crate) fn markup(page: &RowPage<'_>) -> Markup {
    let has_title = labels::title_columns(page.dataset).next().is_some();
    let subtitle = html! {
        @if page.row.is_some() && has_title { (capitalized(page.dataset.entity())) " " bdi { (page.id) } ", version " } @else { "Version " }
        (page.version)
    };
    html! {
        (components::heading(&page.title(), &subtitle, &navigation(page)))
        (version_banner(page))
        @match &page.row {
            Some(row) => (details(row, page)),
            None => (no_row_banner(page)),
        }
        (rejects::card(page))
        (provenance::card(page))
        (history::card(page))
    }
}

/// The links to the rows before and after this one, by ID, and to all rows.
fn navigation(page: &RowPage<'_>) -> Markup {
    let [before, after] = &page.neighbors;
    let href = |id: &String| links::row_at(id, &page.time_travel);
    html! {
        nav.actions aria-label=(page.dataset.title()) {
            @if let Some(before) = before { a.button #previous-user rel="prev" href=(href(before)) title=(before) { "Previous" } }
            @if let Some(after) = after { a.button #next-user rel="next" href=(href(after)) title=(after) { "Next" } }
            a.button href=(page.time_travel.address(links::ROWS)) { "All " (labels::rows(page.dataset)) }
        }
    }
}

fn version_banner(page: &RowPage<'_>) -> Markup {
    let latest_href = page.time_travel.without(&["version", "as_of"]).address(&links::row(page.id));
    html! {
        @if page.version != page.latest { (components::version_banner(page.version, page.latest, &latest_href, "")) }
    }
}

fn no_row_banner(page: &RowPage<'_>) -> Markup {
    if let Some(removal) = page.removal() {
        return removal_banner(&removal, page);
    }
    let problem = Problem::NoSuchRow(MissingRow::of(page.dataset));
    let message = html! {
        @match &page.explanation {
            Ok(explanation) => p { (components::prose(&explanation.summary)) },
            Err(_) => p { (components::prose(&problem.detail())) " The history below shows other versions of the row." },
        }
    };
    components::banner(Severity::Warning, "no-such-user", &problem.title(), &message)
}

fn removal_banner(removal: &Removal<'_>, page: &RowPage<'_>) -> Markup {
    let Removal { state, last_row } = removal;
    let last_version = state.version.saturating_sub(1).to_string();
    let query = page.time_travel.without(&["as_of"]).with("version", &last_version);
    let message = html! {
        p {
            (mention(last_row.0, TEXT_BYTES_MAX)) " was removed in version " (state.version) ", " (relative_time(state.committed_at, page.now))
            @if let Some(run_id) = state.run_id { ", by run " (run::link(run_id)) }
            "."
        }
        @if let Ok(explanation) = &page.explanation { p { (components::prose(&explanation.summary)) } }
        p { a.button #last-version href=(query.address(&links::row(page.id))) { "View the last version" } }
    };
    let title = format!("This {} was removed", page.dataset.entity());
    components::banner(Severity::Warning, "no-such-user", &title, &message)
}

fn details(row: &Row, page: &RowPage<'_>) -> Markup {
    let files = page.dataset.files();
    let images: Vec<_> = files.iter().enumerate().filter(|(_, file)| labels::is_image(file)).collect();
    html! {
        section.card #row data-user-id=(page.id) aria-label="Row" {
            @if images.is_empty() {
                (properties(row, page))
            } @else {
                div.user {
                    div {
                        @for (index, file) in images {
                            (portrait(file, row.file(index), page))
                            (file_status(page, index))
                        }
                    }
                    (properties(row, page))
                }
            }
        }
    }
}

/// The values, and links to the files other than images.
fn properties(row: &Row, page: &RowPage<'_>) -> Markup {
    let dataset = page.dataset;
    let is_shown = |column: &Column| !matches!(column, Column::File(file) if labels::is_image(&dataset.files()[*file]));
    html! {
        dl.properties {
            @for column in Column::all(dataset).filter(is_shown) {
                dt { (labels::column(dataset, column)) }
                (value_of(column, row, page))
            }
            @if let Ok(ExplanationDocument { run_id: Some(run_id), .. }) = &page.explanation {
                dt { "Last changed by" } dd { "run " (run::link(run_id)) }
            }
        }
    }
}

fn value_of(column: Column, row: &Row, page: &RowPage<'_>) -> Markup {
    let dataset = page.dataset;
    let name = labels::name(dataset, column);
    html! {
        @match (row.value(column), labels::day_of_years(dataset, column)) {
            (RowValue::Value(ValueRef::Integer(years)), Some(_)) => dd data-column=(name) data-value=(years) {
                (counted(years.unsigned_abs(), "year", "years")) " on " time { (page.day.date()) }
            },
            (RowValue::None, Some(day)) if !matches!(row.value(day), RowValue::None) => dd data-column=(name) {
                (labels::column(dataset, day)) " after " time { (page.day.date()) }
            },
            (RowValue::Value(value @ (ValueRef::EpochMs(number) | ValueRef::EpochS(number))), _) => dd data-column=(name) data-value=(number) {
                time { (value::text(value)) } " " span.muted { "(" (name) " " (number) ")" }
            },
            (RowValue::Value(value @ ValueRef::DateTime(_)), _) => dd data-column=(name) { time { (value::text(value)) } },
            (RowValue::Value(ValueRef::Date(day)), _) => dd data-column=(name) { time { (day.date()) } },
            (RowValue::Value(ValueRef::Text(text)), _) => dd data-column=(name) { bdi { (text) } },
            (RowValue::Value(value), _) => dd data-column=(name) { (value) },
            (RowValue::File(index, state), _) => dd data-column=(name) {
                (file_link(&dataset.files()[index], state, page))
                (file_status(page, index))
            },
            (RowValue::None, _) => dd data-column=(name) { span.muted { "–" } },
        }
    }
}

/// Whether the file of this index is linked, and why not.
fn file_status(page: &RowPage<'_>, index: usize) -> Markup {
    let status = page
        .explanation
        .as_ref()
        .ok()
        .and_then(|explanation| explanation.file(index))
        .map(|(_, status)| status);
    let id = match index {
        0 => "image-reason".to_owned(),
        _ => format!("{}-reason", page.dataset.files()[index].name),
    };
    html! {
        @if let Some(status) = status {
            p.small.muted.wrap id=(id) data-state=(status.state) { (components::prose(&status.reason)) }
        }
    }
}

fn file_link(file: &FileColumn, state: FileState, page: &RowPage<'_>) -> Markup {
    html! {
        @match state {
            FileState::Available { version } => a href=(links::file(page.id, &file.name, version)) { "View" },
            FileState::NotKept => span.muted { (labels::kept_files(page.dataset)) },
            FileState::None => span.muted { "none" },
        }
    }
}

fn portrait(file: &FileColumn, state: FileState, page: &RowPage<'_>) -> Markup {
    html! {
        @match state {
            FileState::Available { version } => span.placeholder.large {
                img.portrait src=(links::file(page.id, &file.name, version)) alt={ (labels::file(file)) " of " (page.title()) } width="224" height="224" decoding="async";
            },
            FileState::NotKept => div.no-image { (labels::kept_files(page.dataset)) },
            FileState::None => div.no-image { "No " (labels::file_in_sentence(file)) },
        }
    }
}
