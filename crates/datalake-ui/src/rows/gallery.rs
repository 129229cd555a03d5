//! The gallery: the images of the rows.

use datalake_core::{query::column::Column, text::capitalized};
use maud::{Markup, html};

use crate::{
    components::{
        file_state::FileState,
        format::truncate,
        labels,
        row::{RowValue, TEXT_BYTES_MAX},
    },
    page::links,
    rows::model::RowsPage,
};

/// The gallery of the files of an index.
pub(crate) fn gallery(page: &RowsPage, file: usize) -> Markup {
    let dataset = &page.dataset;
    let name = labels::file_in_sentence(&dataset.files()[file]);
    let title_columns: Vec<_> = labels::title_columns(dataset).collect();
    let years = dataset.counted_years().map(|years| Column::Derived(years.derived));
    html! {
        ul.gallery {
            @for row in &page.rows {
                li data-user-id=(row.id) {
                    a href=(page.row_href(row)) {
                        @match row.file(file) {
                            FileState::Available { version } => span.placeholder {
                                img src=(links::file(&row.id, &dataset.files()[file].name, version)) alt="" loading="lazy";
                            },
                            FileState::NotKept => span.no-image { (capitalized(&name)) " not kept" },
                            FileState::None => span.no-image { "No " (name) },
                        }
                        span.caption {
                            span.names { bdi { (truncate(&row.title(dataset), 2 * TEXT_BYTES_MAX)) } }
                            span.muted {
                                @if !title_columns.is_empty() { (capitalized(dataset.entity())) " " bdi { (row.id) } }
                                @if let Some(years) = years && let RowValue::Value(value) = row.value(years) {
                                    @if !title_columns.is_empty() { " · " }
                                    (labels::column_in_sentence(dataset, years)) " " (value)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
