//! The form of the filters, and the filters that hold, in words. Its fields are those of [`query::canonical`].

use datalake_core::{
    column::{Column, ColumnKind},
    condition::OPERATORS,
    order::Direction,
};
use maud::{Markup, html};

use crate::pages::{
    people::{self, Look, People},
    query::{FORM, Query, VIEW},
};

/// Sizes of a page to choose from.
const LIMITS: [u16; 5] = [10, 25, people::LIMIT, 100, 200];

/// What asks for other rows, another state or other ages. Conditions on columns are beside these.
const FILTERS: [&str; 6] = ["is_image_exists", "min_age", "max_age", "on", "version", "as_of"];

/// The column and the operator of a condition's name.
fn condition(name: &str) -> Option<(Column, &str)> {
    let (column, operator) = name.split_once("__").unwrap_or((name, "exact"));
    Some((Column::named(column)?, operator))
}

fn is_filter(name: &str) -> bool {
    FILTERS.contains(&name) || condition(name).is_some()
}

/// Whether other rows are asked for than all, or others than they are now.
pub(super) fn has_filters(query: &Query) -> bool {
    query.iter().any(|(name, _)| is_filter(name))
}

/// The same without filters and order.
pub(super) fn cleared(query: &Query) -> Query {
    Query::new(query.iter().filter(|(name, _)| !is_filter(name) && *name != "order"))
}

pub(super) fn form(people: &People) -> Markup {
    let query = &people.query;
    // Whoever puts conditions together goes on with them; all else is told above.
    let is_more = query.iter().any(|(name, _)| condition(name).is_some());
    html! {
        section.card aria-label="Filters" {
            (picked(query))
            form.filters #people-filters method="get" action=(people::PATH) {
                input type="hidden" name=(FORM) value="people";
                @if people.look == Look::Gallery { input type="hidden" name=(VIEW) value=(Look::Gallery.as_str()); }
                div.field {
                    label for="is_image_exists" { "Picture" }
                    select #is_image_exists name="is_image_exists" {
                        @let image = query.get("is_image_exists").unwrap_or_default().to_lowercase();
                        @for (value, words) in [("", "with or without"), ("True", "with a picture"), ("False", "without a picture")] {
                            option value=(value) selected[image == value.to_lowercase()] { (words) }
                        }
                    }
                }
                (age(query, "min_age", "Age, at least", "youngest"))
                (age(query, "max_age", "Age, at most", "oldest"))
                div.field {
                    label for="on" { "Ages on the day" }
                    input #on type="date" name="on" value=(query.get("on").unwrap_or_default());
                }
                details.whole #more-filters open[is_more] {
                    summary { "Conditions, order, columns, version" }
                    div.fieldsets {
                        (conditions(query))
                        (order(&people.order))
                        (columns(people.columns.as_deref()))
                        (rest(people))
                    }
                }
                div.actions.whole {
                    button.primary type="submit" { "Apply" }
                    a.button href=(cleared(query).address(people::PATH)) { "Clear" }
                }
            }
        }
    }
}

fn age(query: &Query, name: &str, words: &str, extreme: &str) -> Markup {
    let asked = query.get(name);
    html! {
        div.field {
            label for=(name) { (words) }
            input id=(name) type="number" name=(name) value=(asked.unwrap_or_default()) min="0" max="65535" step="1" inputmode="numeric";
            label.choice { input type="checkbox" name=(extreme) id=(extreme) checked[asked == Some("")]; "or the " (extreme) }
        }
    }
}

/// A line for each condition, and one more to add another.
fn conditions(query: &Query) -> Markup {
    let given = query
        .iter()
        .filter_map(|(name, value)| condition(name).map(|(column, operator)| (Some(column), operator, value)));
    let lines = given.chain([(None, "exact", "")]);
    html! {
        fieldset {
            legend { "Conditions on columns, all of them at once" }
            @for (index, (column, operator, value)) in lines.enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="column" aria-label={ "Column of condition " (number) } {
                        option value="" { "any column" }
                        @for named in Column::ALL {
                            option value=(named) selected[Some(named) == column] { (people::label(named)) }
                        }
                    }
                    select name="operator" aria-label={ "Operator of condition " (number) } {
                        @for named in OPERATORS {
                            option value=(named) selected[named == operator] { (words(named)) }
                        }
                    }
                    input type="text" name="value" dir="auto" autocomplete="off" aria-label={ "Value of condition " (number) } value=(value);
                }
            }
            p.hint { "One line more is there once these are applied. Births are milliseconds since 1970." }
        }
    }
}

fn order(keys: &[(Column, Direction)]) -> Markup {
    let lines = keys.iter().copied().map(|(column, direction)| (Some(column), direction));
    html! {
        fieldset {
            legend { "Order" }
            @for (index, (column, direction)) in lines.chain([(None, Direction::Ascending)]).enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="order_by" aria-label={ "Column " (number) " of the order" } {
                        option value="" { @if index == 0 { "by user" } @else { "then by user" } }
                        @for named in Column::ALL {
                            option value=(named) selected[Some(named) == column] { (people::label(named)) }
                        }
                    }
                    select name="direction" aria-label={ "Direction " (number) " of the order" } {
                        option value="asc" { "ascending" }
                        option value="desc" selected[direction == Direction::Descending] { "descending" }
                    }
                }
            }
        }
    }
}

/// Selected columns come first, in their order: sent again, it stays.
fn columns(selected: Option<&[Column]>) -> Markup {
    let shown = selected.unwrap_or(&Column::ALL);
    let others = Column::ALL.into_iter().filter(|column| !shown.contains(column));
    html! {
        fieldset {
            legend { "Columns of the table" }
            div.choices {
                @for column in shown.iter().copied().chain(others) {
                    label { input type="checkbox" name="select" value=(column) checked[shown.contains(&column)]; (people::label(column)) }
                }
            }
        }
    }
}

fn rest(people: &People) -> Markup {
    let query = &people.query;
    let is_other = !LIMITS.contains(&people.limit);
    let limits = LIMITS.into_iter().chain(is_other.then_some(people.limit));
    html! {
        fieldset.rest {
            legend.visually-hidden { "Page and version" }
            div.field {
                label for="limit" { "Users on a page" }
                select #limit name="limit" {
                    @for limit in limits { option value=(limit) selected[limit == people.limit] { (limit) } }
                }
            }
            div.field {
                label for="version" { "As version" }
                input #version type="number" name="version" min="0" step="1" inputmode="numeric"
                    placeholder=(people.newest) value=(query.get("version").unwrap_or_default());
            }
            div.field {
                label for="as_of" { "Or as of (UTC)" }
                input #as_of type="text" name="as_of" autocomplete="off" placeholder=(people.day.date())
                    value=(query.get("as_of").unwrap_or_default());
            }
        }
    }
}

/// The filters that hold, each with a link to the same without it.
fn picked(query: &Query) -> Markup {
    let filters = query.iter().enumerate();
    let filters: Vec<_> = filters
        .filter_map(|(place, (name, value))| told(name, value).map(|words| (place, words)))
        .collect();
    html! {
        @if !filters.is_empty() {
            ul.picked #picked {
                @for (place, words) in &filters {
                    li {
                        a href=(query.without_pair(*place).address(people::PATH)) {
                            span.visually-hidden { "Without: " } span { (words) } span aria-hidden="true" { "×" }
                        }
                    }
                }
            }
        }
    }
}

/// A filter or an order in words; none for what only says how rows are shown.
fn told(name: &str, value: &str) -> Option<Markup> {
    let quoted = html! { bdi { (value) } };
    Some(match (name, value) {
        ("is_image_exists", _) if value.eq_ignore_ascii_case("true") => html! { "with a picture" },
        ("is_image_exists", _) => html! { "without a picture" },
        ("min_age", "") => html! { "the youngest" },
        ("max_age", "") => html! { "the oldest" },
        ("min_age", _) => html! { "at least " (quoted) " years" },
        ("max_age", _) => html! { "at most " (quoted) " years" },
        ("on", _) => html! { "ages on " (quoted) },
        ("version", _) => html! { "as version " (quoted) " had it" },
        ("as_of", _) => html! { "as of " (quoted) },
        ("order", _) => html! { "ordered by " (ordered(value)) },
        _ => {
            let (column, operator) = condition(name)?;
            let value = match (operator, column.kind()) {
                ("isnull" | "notnull", _) => html! {},
                (_, ColumnKind::Number) => quoted,
                (_, ColumnKind::Text) => html! { "“" (quoted) "”" },
            };
            html! { (people::label(column)) " " (words(operator)) " " (value) }
        }
    })
}

/// An order in words.
fn ordered(value: &str) -> String {
    let key = |key: &str| {
        let (column, direction) = key.split_once('.').unwrap_or((key, ""));
        let column = match Column::named(column) {
            Some(named) => people::label(named),
            None => column,
        };
        let direction = if direction == "desc" { ", descending" } else { "" };
        format!("{column}{direction}")
    };
    value.split(',').map(key).collect::<Vec<_>>().join(", then ")
}

/// An operator in words.
fn words(operator: &str) -> &str {
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
    use super::*;

    #[track_caller]
    fn check_words(name: &str, value: &str, expected: Option<&str>) {
        let words = told(name, value).map(Markup::into_string);
        assert_eq!(words.as_deref(), expected, "{name}={value}");
    }

    #[test]
    fn filters_in_words() {
        check_words("is_image_exists", "tRUE", Some("with a picture"));
        check_words("min_age", "", Some("the youngest"));
        check_words("max_age", "40", Some("at most <bdi>40</bdi> years"));
        check_words("last_name", "<b>", Some("Last name is “<bdi>&lt;b&gt;</bdi>”"));
        check_words("age__gte", "30", Some("Age is at least <bdi>30</bdi>"));
        check_words("img_path__isnull", "1", Some("Picture has no value "));
        check_words(
            "order",
            "age.desc,last_name.asc",
            Some("ordered by Age, descending, then Last name"),
        );
        check_words("limit", "10", None);
        check_words("select", "age", None);
    }

    #[test]
    fn every_operator_has_words() {
        let own: Vec<_> = OPERATORS.iter().filter(|operator| words(operator) == **operator).collect();
        assert_eq!(own, [&"contains"]);
    }

    #[test]
    fn what_is_cleared() {
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
}
