//! Filters and sorting of a query as text, and links that remove them.

use datalake_core::{dataset::Dataset, query::column::Column};
use maud::{Markup, html};

use crate::{
    components::labels::{self, ValueType},
    page::{links, query::Query},
    rows::{
        day_filter,
        form_fields::{RowFilter, column_filter, row_filter},
    },
};

/// Parameters that select the version and the day on which columns are computed.
const TIME_TRAVEL: [&str; 3] = ["on", "version", "as_of"];

/// Whether the query selects other rows than all of its version.
pub(crate) fn has_filters(dataset: &Dataset, query: &Query) -> bool {
    query.iter().any(|(name, _)| row_filter(dataset, name).is_some())
}

/// The query without filters and sorting, for the latest version.
pub(crate) fn cleared(dataset: &Dataset, query: &Query) -> Query {
    let is_kept = |name: &str| row_filter(dataset, name).is_none() && !TIME_TRAVEL.contains(&name) && name != "order";
    Query::new(query.iter().filter(|(name, _)| is_kept(name)))
}

/// The active filters and the sorting, each as a link that removes it.
pub(crate) fn active_filters(dataset: &Dataset, query: &Query) -> Markup {
    let filters = query.iter().enumerate();
    let filters: Vec<_> = filters
        .filter_map(|(index, (name, value))| filter_label(dataset, name, value).map(|label| (index, label)))
        .collect();
    html! {
        @if !filters.is_empty() {
            ul.active-filters #active-filters {
                @for (index, label) in &filters {
                    li {
                        a href=(query.without_index(*index).address(links::ROWS)) {
                            span.visually-hidden { "Remove filter: " } span { (label) } span aria-hidden="true" { "×" }
                        }
                    }
                }
            }
        }
    }
}

/// The active filters and the sorting as text, for paper.
pub(crate) fn as_text(dataset: &Dataset, query: &Query) -> Markup {
    let labels: Vec<_> = query
        .iter()
        .filter_map(|(name, value)| filter_label(dataset, name, value))
        .collect();
    html! {
        @if !labels.is_empty() {
            p.in-print #printed-filters {
                "Filters: " @for (index, label) in labels.iter().enumerate() { @if index > 0 { ", " } (label) }
            }
        }
    }
}

/// A filter or a sorting as text; none for parameters that only change how rows are shown.
fn filter_label(dataset: &Dataset, name: &str, value: &str) -> Option<Markup> {
    let value_text = html! { bdi { (value) } };
    Some(match name {
        "on" => html! { (labels::computed_on_a_day(dataset)?) " on " time { (value) } },
        "version" => html! { "version " (value_text) },
        "as_of" => html! { "as of " (value_text) },
        "order" => html! { "sorted by " (order_label(dataset, value)) },
        _ => match row_filter(dataset, name)? {
            RowFilter::Search => html! { "search “" (value_text) "”" },
            RowFilter::File(file) => {
                let word = if value.eq_ignore_ascii_case("true") { "with" } else { "without" };
                html! { (word) " " (labels::file_in_sentence(&dataset.files()[file])) }
            }
            RowFilter::Least(column) => bound_label(dataset, column, value, ["lowest", "earliest"], ["at least", "on or after"]),
            RowFilter::Greatest(column) => bound_label(dataset, column, value, ["highest", "latest"], ["at most", "on or before"]),
            RowFilter::Column(column, operator) => column_label(dataset, column, operator, value),
        },
    })
}

/// A bound of a column. `extreme` and `comparison` are the words for numbers and for days.
fn bound_label(dataset: &Dataset, column: Column, value: &str, extreme: [&str; 2], comparison: [&str; 2]) -> Markup {
    let index = usize::from(labels::value_type(dataset, column) == ValueType::Day);
    html! {
        @match value {
            "" => { (extreme[index]) " " (labels::column_in_sentence(dataset, column)) " only" },
            _ => { (labels::column(dataset, column)) " " (comparison[index]) " " bdi { (value) } },
        }
    }
}

fn column_label(dataset: &Dataset, column: Column, operator: &str, value: &str) -> Markup {
    let kind = labels::value_type(dataset, column);
    let day = day_filter::day_of(column.column_type(dataset), operator, value);
    let value = match (operator, kind, day) {
        ("isnull" | "notnull", ..) => html! {},
        (_, _, Some(day)) => html! { " " time { (day) } },
        (_, ValueType::Number | ValueType::Day | ValueType::Boolean, None) => html! { " " bdi { (value) } },
        (_, ValueType::Id | ValueType::Text | ValueType::File, None) => html! { " “" bdi { (value) } "”" },
    };
    html! { (labels::column(dataset, column)) " " (operator_label(operator, Some(kind))) (value) }
}

fn order_label(dataset: &Dataset, order: &str) -> String {
    let key = |key: &str| {
        let (column, direction) = key.split_once('.').unwrap_or((key, ""));
        let column = match column_filter(dataset, column) {
            Some((named, _)) => labels::column(dataset, named),
            None => column.to_owned(),
        };
        let direction = if direction == "desc" { ", descending" } else { "" };
        format!("{column}{direction}")
    };
    order.split(',').map(key).collect::<Vec<_>>().join(", then ")
}

/// An operator as text, for values of a type.
pub(crate) fn operator_label(operator: &str, kind: Option<ValueType>) -> &str {
    if kind == Some(ValueType::Day) {
        match operator {
            "exact" => return "is on",
            "gt" => return "is after",
            "gte" => return "is on or after",
            "lt" => return "is before",
            "lte" => return "is on or before",
            _ => {}
        }
    }
    match operator {
        "exact" => "is",
        "not" => "is not",
        "startswith" => "starts with",
        "endswith" => "ends with",
        "gt" => "is greater than",
        "gte" => "is at least",
        "lt" => "is less than",
        "lte" => "is at most",
        "in" => "is one of",
        "isnull" => "has no value",
        "notnull" => "has a value",
        operator => operator,
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::query::condition::Operator;

    use super::*;
    use crate::components::test_dataset::orders;

    #[track_caller]
    fn check_label(name: &str, value: &str, expected: Option<&str>) {
        check_label_of(Dataset::users(), name, value, expected);
    }

    #[track_caller]
    fn check_label_of(dataset: &Dataset, name: &str, value: &str, expected: Option<&str>) {
        let label = filter_label(dataset, name, value).map(Markup::into_string);
        assert_eq!(label.as_deref(), expected, "{name}={value}");
    }

    #[test]
    fn filters_have_labels() {
        check_label("is_image_exists", "tRUE", Some("with image"));
        check_label("min_age", "", Some("lowest age only"));
        check_label("max_age", "40", Some("Age at most <bdi>40</bdi>"));
        check_label("last_name", "<b>", Some("Last name is “<bdi>&lt;b&gt;</bdi>”"));
        check_label("q", "<a>", Some("search “<bdi>&lt;a&gt;</bdi>”"));
        check_label("birthts__gte", "86400000", Some("Born is on or after <time>1970-01-02</time>"));
        check_label("birthts__gt", "5", Some("Born is after <bdi>5</bdi>"));
        check_label("age__gte", "30", Some("Age is at least <bdi>30</bdi>"));
        check_label("img_path__isnull", "1", Some("Image has no value"));
        check_label("on", "2020-01-01", Some("age on <time>2020-01-01</time>"));
        check_label("order", "age.desc,last_name.asc", Some("sorted by Age, descending, then Last name"));
    }

    #[test]
    fn labels_follow_from_the_types_of_columns() {
        let orders = orders();
        check_label_of(&orders, "is_invoice_exists", "False", Some("without invoice"));
        check_label_of(
            &orders,
            "min_ordered",
            "2026-01-01",
            Some("Ordered on or after <bdi>2026-01-01</bdi>"),
        );
        check_label_of(&orders, "max_ordered", "", Some("latest ordered only"));
        check_label_of(&orders, "state", "paid", Some("State is “<bdi>paid</bdi>”"));
        check_label_of(&orders, "gift", "true", Some("Gift is <bdi>true</bdi>"));
        check_label_of(
            &orders,
            "ordered__lt",
            "2026-01-01",
            Some("Ordered is before <time>2026-01-01</time>"),
        );
        check_label_of(&orders, "min_age", "", None);
        check_label_of(&orders, "on", "2026-01-01", None);
    }

    #[test]
    fn parameters_of_the_presentation_have_no_label() {
        check_label("limit", "10", None);
        check_label("select", "age", None);
    }

    #[test]
    fn printed_filters_are_text() {
        let text = |pairs| as_text(Dataset::users(), &Query::new(pairs)).into_string();
        let printed = text([("min_age", "30"), ("limit", "10"), ("version", "2")]);
        assert!(
            printed.contains("Filters: Age at least <bdi>30</bdi>, version <bdi>2</bdi>"),
            "{printed}"
        );
        assert_eq!(text([("limit", "10"), ("select", "age"), ("view", "gallery")]), "");
    }

    #[test]
    fn every_operator_has_a_label() {
        let names = Operator::ALL.map(Operator::name).into_iter();
        let without_label: Vec<_> = names.filter(|operator| operator_label(operator, None) == *operator).collect();
        assert_eq!(without_label, ["contains"]);
    }

    #[test]
    fn clearing_removes_filters_and_sorting() {
        let query = Query::new([
            ("min_age", ""),
            ("first_name__in", "a"),
            ("limit", "10"),
            ("order", "age"),
            ("view", "gallery"),
        ]);
        let users = Dataset::users();
        assert!(has_filters(users, &query));
        let cleared = cleared(users, &query);
        assert_eq!(cleared.address(""), "?limit=10&view=gallery");
        assert!(!has_filters(users, &cleared));
    }

    #[test]
    fn version_and_day_are_no_filters() {
        let query = Query::new([("version", "0"), ("as_of", "2026-11-24"), ("on", "2026-11-24")]);
        assert!(!has_filters(Dataset::users(), &query));
        assert_eq!(cleared(Dataset::users(), &query), Query::default());
    }
}
