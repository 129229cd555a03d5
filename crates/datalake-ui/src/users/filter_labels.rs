//! Filters and sorting of a query as text, and links that remove them.

use datalake_core::query::{column::Column, search::SEARCH};
use maud::{Markup, html};

use crate::{
    components::labels::{self, ValueType},
    page::{links, query::Query},
    users::day_filter,
};

/// Parameters that select rows. Filters on columns come in addition.
const ROW_FILTERS: [&str; 4] = [SEARCH, "is_image_exists", "min_age", "max_age"];

/// Parameters that select the version and the day of ages.
const TIME_TRAVEL: [&str; 3] = ["on", "version", "as_of"];

/// The column and the operator of a column filter; none for another parameter.
pub(crate) fn column_filter(name: &str) -> Option<(Column, &str)> {
    let (column, operator) = name.split_once("__").unwrap_or((name, "exact"));
    Some((labels::named(column)?, operator))
}

fn is_row_filter(name: &str) -> bool {
    ROW_FILTERS.contains(&name) || column_filter(name).is_some()
}

/// Whether the query selects other rows than all of its version.
pub(crate) fn has_filters(query: &Query) -> bool {
    query.iter().any(|(name, _)| is_row_filter(name))
}

/// The query without filters and sorting, for the latest version.
pub(crate) fn cleared(query: &Query) -> Query {
    let is_kept = |name: &str| !is_row_filter(name) && !TIME_TRAVEL.contains(&name) && name != "order";
    Query::new(query.iter().filter(|(name, _)| is_kept(name)))
}

/// The active filters and the sorting, each as a link that removes it.
pub(crate) fn active_filters(query: &Query) -> Markup {
    let filters = query.iter().enumerate();
    let filters: Vec<_> = filters
        .filter_map(|(index, (name, value))| filter_label(name, value).map(|label| (index, label)))
        .collect();
    html! {
        @if !filters.is_empty() {
            ul.active-filters #active-filters {
                @for (index, label) in &filters {
                    li {
                        a href=(query.without_index(*index).address(links::USERS)) {
                            span.visually-hidden { "Remove filter: " } span { (label) } span aria-hidden="true" { "×" }
                        }
                    }
                }
            }
        }
    }
}

/// The active filters and the sorting as text, for paper.
pub(crate) fn as_text(query: &Query) -> Markup {
    let labels: Vec<_> = query.iter().filter_map(|(name, value)| filter_label(name, value)).collect();
    html! {
        @if !labels.is_empty() {
            p.in-print #printed-filters {
                "Filters: " @for (index, label) in labels.iter().enumerate() { @if index > 0 { ", " } (label) }
            }
        }
    }
}

/// A filter or a sorting as text; none for parameters that only change how rows are shown.
fn filter_label(name: &str, value: &str) -> Option<Markup> {
    let value_text = html! { bdi { (value) } };
    Some(match (name, value) {
        (SEARCH, _) => html! { "search “" (value_text) "”" },
        ("is_image_exists", _) if value.eq_ignore_ascii_case("true") => html! { "with image" },
        ("is_image_exists", _) => html! { "without image" },
        ("min_age", "") => html! { "youngest only" },
        ("max_age", "") => html! { "oldest only" },
        ("min_age", _) => html! { "aged at least " (value_text) },
        ("max_age", _) => html! { "aged at most " (value_text) },
        ("on", _) => html! { "ages on " time { (value) } },
        ("version", _) => html! { "version " (value_text) },
        ("as_of", _) => html! { "as of " (value_text) },
        ("order", _) => html! { "sorted by " (order_label(value)) },
        _ => {
            let (column, operator) = column_filter(name)?;
            let kind = labels::value_type(column);
            let day = (kind == ValueType::Day).then(|| day_filter::day_of(operator, value)).flatten();
            let value = match (operator, kind, day) {
                ("isnull" | "notnull", ..) => html! {},
                (_, _, Some(day)) => html! { " " time { (day) } },
                (_, ValueType::Number | ValueType::Day, None) => html! { " " (value_text) },
                (_, ValueType::Id | ValueType::Text | ValueType::Image, None) => html! { " “" (value_text) "”" },
            };
            html! { (labels::column(column)) " " (operator_label(operator, Some(kind))) (value) }
        }
    })
}

fn order_label(order: &str) -> String {
    let key = |key: &str| {
        let (column, direction) = key.split_once('.').unwrap_or((key, ""));
        let column = match labels::named(column) {
            Some(named) => labels::column(named),
            None => column,
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

    #[track_caller]
    fn check_label(name: &str, value: &str, expected: Option<&str>) {
        let label = filter_label(name, value).map(Markup::into_string);
        assert_eq!(label.as_deref(), expected, "{name}={value}");
    }

    #[test]
    fn filters_have_labels() {
        check_label("is_image_exists", "tRUE", Some("with image"));
        check_label("min_age", "", Some("youngest only"));
        check_label("max_age", "40", Some("aged at most <bdi>40</bdi>"));
        check_label("last_name", "<b>", Some("Last name is “<bdi>&lt;b&gt;</bdi>”"));
        check_label("q", "<a>", Some("search “<bdi>&lt;a&gt;</bdi>”"));
        check_label("birthts__gte", "86400000", Some("Born is on or after <time>1970-01-02</time>"));
        check_label("birthts__gt", "5", Some("Born is after <bdi>5</bdi>"));
        check_label("age__gte", "30", Some("Age is at least <bdi>30</bdi>"));
        check_label("img_path__isnull", "1", Some("Image has no value"));
        check_label("order", "age.desc,last_name.asc", Some("sorted by Age, descending, then Last name"));
    }

    #[test]
    fn parameters_of_the_presentation_have_no_label() {
        check_label("limit", "10", None);
        check_label("select", "age", None);
    }

    #[test]
    fn printed_filters_are_text() {
        let text = |pairs| as_text(&Query::new(pairs)).into_string();
        let printed = text([("min_age", "30"), ("limit", "10"), ("version", "2")]);
        assert!(
            printed.contains("Filters: aged at least <bdi>30</bdi>, version <bdi>2</bdi>"),
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
        assert!(has_filters(&query));
        let cleared = cleared(&query);
        assert_eq!(cleared.address(""), "?limit=10&view=gallery");
        assert!(!has_filters(&cleared));
    }

    #[test]
    fn version_and_day_are_no_filters() {
        let query = Query::new([("version", "0"), ("as_of", "2026-11-24"), ("on", "2026-11-24")]);
        assert!(!has_filters(&query));
        assert_eq!(cleared(&query), Query::default());
    }
}
