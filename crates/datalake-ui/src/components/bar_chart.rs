//! The bar chart of a column with few declared values: a table with a bar for each value, the most frequent first.

use datalake_core::dataset::Dataset;
use datalake_table::memory::summary::Categories;
use maud::{Markup, html};

use crate::{
    components::{chart, format::number, labels},
    page::{links, query::Query},
};

/// The bar chart.
pub(crate) fn card(dataset: &Dataset, categories: &Categories) -> Markup {
    let name = labels::name(dataset, categories.column);
    let label = labels::column(dataset, categories.column);
    let id = format!("chart-{name}");
    let longest = categories.values.first().map_or(0, |(_, rows)| *rows);
    let href = |value: &str| Query::new([(format!("{name}__exact").as_str(), value)]).address(links::ROWS);
    html! {
        section.card aria-labelledby=(id) {
            header {
                h2 id=(id) { (label) }
                span.small.muted { (dataset.title()) " by " (labels::column_in_sentence(dataset, categories.column)) }
            }
            @if categories.values.is_empty() {
                p.muted { "No values to show." }
            } @else {
                table.bars {
                    caption.visually-hidden { (dataset.title()) " by " (labels::column_in_sentence(dataset, categories.column)) }
                    thead.visually-hidden { tr { th scope="col" { (label) } th scope="col" { (dataset.title()) } } }
                    tbody {
                        @for (value, rows) in &categories.values {
                            tr {
                                th scope="row" { a href=(href(&value.to_string())) { bdi { (value) } } }
                                td { (bar(*rows, longest)) }
                            }
                        }
                    }
                }
                @if categories.others > 0 { p.small.muted { "Other values: " (labels::counted_rows(dataset, categories.others)) "." } }
                (chart::csv_download())
            }
        }
    }
}

/// A bar with its number.
fn bar(rows: u64, longest: u64) -> Markup {
    html! {
        span.bar {
            svg height="12" aria-hidden="true" focusable="false" { rect.with width=(chart::percent_of(rows, longest)) height="12" rx="2" {} }
            span { (number(rows)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::{dataset::Value, query::column::Column};

    use super::*;
    use crate::components::test_dataset::orders;

    #[test]
    fn value_links_to_its_rows() {
        let value = |text: &str| Value::Text(text.into());
        let categories = Categories {
            column: Column::named(&orders(), "state").unwrap(),
            values: vec![(value("paid"), 1_200), (value("new"), 300)],
            others: 1,
        };
        let text = card(&orders(), &categories).into_string();
        assert!(
            text.contains("<a href=\"/page/users?state__exact=paid\"><bdi>paid</bdi></a>"),
            "{text}"
        );
        assert!(text.contains("width=\"25.00%\"") && text.contains("1,200"), "{text}");
        assert!(text.contains("Other values: 1 order."), "{text}");
    }
}
