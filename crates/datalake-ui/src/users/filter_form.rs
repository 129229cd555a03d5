//! The form of the filters, and the filters that hold, in words. Its fields are those of [`query::canonical`].

use datalake_core::{
    query::{
        column::{Column, ColumnKind},
        condition::Operator,
    },
    user::Day,
};
use jiff::civil::Date;
use maud::{Markup, html};

use crate::{
    components,
    users::{
        self, Look,
        form_query::{FORM, Query, VIEW},
    },
};

/// Sizes of a page to choose from.
const LIMITS: [u16; 3] = [10, 25, users::LIMIT];

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
pub(crate) fn has_filters(query: &Query) -> bool {
    query.iter().any(|(name, _)| is_filter(name))
}

/// The same without filters and order.
pub(crate) fn cleared(query: &Query) -> Query {
    Query::new(query.iter().filter(|(name, _)| !is_filter(name) && *name != "order"))
}

/// What the form is filled with.
#[derive(Debug)]
pub(crate) struct Filled<'a> {
    /// What was asked, well formed or not.
    pub(crate) query: &'a Query,
    pub(crate) look: Look,
    /// The day on which ages are counted.
    pub(crate) day: Day,
    /// The newest version; none where there is no table.
    pub(crate) newest: Option<u64>,
    pub(crate) wrong: Option<Wrong>,
}

/// What is wrong with what was asked.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// The parameter's name as it was given.
    pub(crate) parameter: String,
    pub(crate) words: String,
}

impl Filled<'_> {
    fn value(&self, name: &str) -> &str {
        self.query.get(name).unwrap_or_default()
    }

    fn is_wrong(&self, name: &str) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.parameter == name)
    }

    /// Stands in `aria-invalid` of a field whose value is refused.
    fn invalid(&self, name: &str) -> Option<&'static str> {
        self.is_wrong(name).then_some("true")
    }

    /// Stands in `aria-describedby` of such a field, and names its [`Filled::hint`].
    fn described_by(&self, name: &str) -> Option<&'static str> {
        self.is_wrong(name).then_some("wrong")
    }

    /// Beside a field, what is wrong with it.
    fn hint(&self, name: &str) -> Markup {
        html! { @if let Some(wrong) = self.wrong.as_ref().filter(|wrong| wrong.parameter == name) { p.hint.bad #wrong { (components::sentence(&wrong.words)) } } }
    }
}

pub(crate) fn form(filled: &Filled<'_>) -> Markup {
    let query = filled.query;
    // Whoever puts conditions together goes on with them; all else is told above.
    let is_more = query.iter().any(|(name, _)| condition(name).is_some());
    let is_wrong = ["order", "select", "limit", "version", "as_of"]
        .iter()
        .any(|name| filled.is_wrong(name));
    html! {
        section.card aria-label="Filters" {
            @if filled.wrong.is_none() { (picked(query)) }
            form.filters #people-filters method="get" action=(users::PATH) {
                input type="hidden" name=(FORM) value="people";
                @if filled.look == Look::Gallery { input type="hidden" name=(VIEW) value=(Look::Gallery.as_str()); }
                (picture(filled))
                (age(filled, "min_age", "Age, at least", "youngest"))
                (age(filled, "max_age", "Age, at most", "oldest"))
                div.field {
                    label for="on" { "Ages on the day" }
                    @let is_date = filled.value("on").parse::<Date>().is_ok() || filled.value("on").is_empty();
                    input #on type=(if is_date { "date" } else { "text" }) name="on" value=(filled.value("on"))
                        aria-invalid=[filled.invalid("on")] aria-describedby=[filled.described_by("on")];
                    (filled.hint("on"))
                }
                details.whole #more-filters open[is_more || is_wrong] {
                    summary { "Conditions, order, columns, version" }
                    div.fieldsets {
                        (conditions(filled))
                        (order(filled))
                        (columns(filled))
                        (rest(filled))
                    }
                }
                div.actions.whole {
                    button.primary type="submit" { "Apply" }
                    a.button href=(cleared(query).address(users::PATH)) { "Clear" }
                }
            }
        }
    }
}

fn picture(filled: &Filled<'_>) -> Markup {
    let asked = filled.value("is_image_exists").to_lowercase();
    let choices = [("", "with or without"), ("True", "with a picture"), ("False", "without a picture")];
    let is_other = !choices.iter().any(|(value, _)| asked == value.to_lowercase());
    html! {
        div.field {
            label for="is_image_exists" { "Picture" }
            select #is_image_exists name="is_image_exists" aria-invalid=[filled.invalid("is_image_exists")] aria-describedby=[filled.described_by("is_image_exists")] {
                @for (value, words) in choices {
                    option value=(value) selected[asked == value.to_lowercase()] { (words) }
                }
                (other(is_other.then(|| filled.value("is_image_exists"))))
            }
            (filled.hint("is_image_exists"))
        }
    }
}

/// What was asked and is none of the choices, so that it is still there to be mended.
fn other(asked: Option<&str>) -> Markup {
    html! { @if let Some(asked) = asked { option value=(asked) selected { (asked) } } }
}

/// A field for a number shows nothing else than one.
fn number_or_text(value: &str) -> &'static str {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { "number" } else { "text" }
}

fn age(filled: &Filled<'_>, name: &str, words: &str, extreme: &str) -> Markup {
    let asked = filled.query.get(name);
    let value = asked.unwrap_or_default();
    html! {
        div.field {
            label for=(name) { (words) }
            input id=(name) type=(number_or_text(value)) name=(name) value=(value) min="0" max="65535" step="1" inputmode="numeric"
                aria-invalid=[filled.invalid(name)] aria-describedby=[filled.described_by(name)];
            label.choice { input type="checkbox" name=(extreme) id=(extreme) checked[asked == Some("")]; "or the " (extreme) }
            (filled.hint(name))
        }
    }
}

/// A line for each condition, and one more to add another.
fn conditions(filled: &Filled<'_>) -> Markup {
    let given = filled
        .query
        .iter()
        .filter_map(|(name, value)| condition(name).map(|(column, operator)| (Some(column), operator, value, name)));
    let lines = given.chain([(None, "exact", "", "")]);
    html! {
        fieldset {
            legend { "Conditions on columns, all of them at once" }
            @for (index, (column, operator, value, name)) in lines.enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="column" aria-label={ "Column of condition " (number) } {
                        option value="" { "any column" }
                        @for named in Column::ALL {
                            option value=(named) selected[Some(named) == column] { (users::label(named)) }
                        }
                    }
                    select name="operator" aria-label={ "Operator of condition " (number) } {
                        @for named in Operator::ALL.map(Operator::name) {
                            option value=(named) selected[named == operator] { (words(named)) }
                        }
                        (other(Operator::named(operator).is_none().then_some(operator)))
                    }
                    input type="text" name="value" dir="auto" autocomplete="off" aria-label={ "Value of condition " (number) } value=(value)
                        aria-invalid=[filled.invalid(name)] aria-describedby=[filled.described_by(name)];
                }
                (filled.hint(name))
            }
            p.hint { "One line more is there once these are applied. Births are milliseconds since 1970." }
        }
    }
}

fn order(filled: &Filled<'_>) -> Markup {
    let keys = filled.value("order").split(',').filter(|key| !key.is_empty());
    let lines = keys.map(|key| key.split_once('.').unwrap_or((key, "")));
    html! {
        fieldset {
            legend { "Order" }
            @for (index, (column, direction)) in lines.chain([("", "")]).enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="order_by" aria-label={ "Column " (number) " of the order" } {
                        option value="" { @if index == 0 { "by user" } @else { "then by user" } }
                        @for named in Column::ALL {
                            option value=(named) selected[named.name() == column] { (users::label(named)) }
                        }
                        (other((!column.is_empty() && Column::named(column).is_none()).then_some(column)))
                    }
                    select name="direction" aria-label={ "Direction " (number) " of the order" } {
                        option value="asc" { "ascending" }
                        option value="desc" selected[direction == "desc"] { "descending" }
                        (other((!["", "asc", "desc"].contains(&direction)).then_some(direction)))
                    }
                }
            }
            (filled.hint("order"))
        }
    }
}

/// Selected columns come first, in their order: sent again, it stays.
fn columns(filled: &Filled<'_>) -> Markup {
    let asked = filled.value("select").split(',').filter(|name| !name.is_empty());
    let mut shown: Vec<&str> = asked.collect();
    if shown.is_empty() {
        shown = Column::ALL.map(Column::name).to_vec();
    }
    let all: Vec<&str> = Column::ALL.map(Column::name).to_vec();
    let others = all.into_iter().filter(|column| !shown.contains(column));
    html! {
        fieldset {
            legend { "Columns of the table" }
            div.choices {
                @for column in shown.iter().copied().chain(others) {
                    label {
                        input type="checkbox" name="select" value=(column) checked[shown.contains(&column)];
                        @match Column::named(column) { Some(named) => (users::label(named)), None => (column) }
                    }
                }
            }
            (filled.hint("select"))
        }
    }
}

fn rest(filled: &Filled<'_>) -> Markup {
    let usual = users::LIMIT.to_string();
    let limit = filled.query.get("limit").unwrap_or(&usual);
    let limits = LIMITS.map(|limit| limit.to_string());
    let is_other = !limits.iter().any(|usual| usual == limit);
    let version = filled.value("version");
    html! {
        fieldset.rest {
            legend.visually-hidden { "Page and version" }
            div.field {
                label for="limit" { "Users on a page" }
                select #limit name="limit" aria-invalid=[filled.invalid("limit")] aria-describedby=[filled.described_by("limit")] {
                    @for usual in &limits { option value=(usual) selected[usual == limit] { (usual) } }
                    (other(is_other.then_some(limit)))
                }
                (filled.hint("limit"))
            }
            div.field {
                label for="version" { "As version" }
                input #version type=(number_or_text(version)) name="version" min="0" step="1" inputmode="numeric"
                    placeholder=[filled.newest] value=(version)
                    aria-invalid=[filled.invalid("version")] aria-describedby=[filled.described_by("version")];
                (filled.hint("version"))
            }
            div.field {
                label for="as_of" { "Or as of (UTC)" }
                input #as_of type="text" name="as_of" autocomplete="off" placeholder=(filled.day.date()) value=(filled.value("as_of"))
                    aria-invalid=[filled.invalid("as_of")] aria-describedby=[filled.described_by("as_of")];
                (filled.hint("as_of"))
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
                        a href=(query.without_pair(*place).address(users::PATH)) {
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
        ("on", _) => html! { "ages on " time { (value) } },
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
            html! { (users::label(column)) " " (words(operator)) " " (value) }
        }
    })
}

/// An order in words.
fn ordered(value: &str) -> String {
    let key = |key: &str| {
        let (column, direction) = key.split_once('.').unwrap_or((key, ""));
        let column = match Column::named(column) {
            Some(named) => users::label(named),
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
        let names = Operator::ALL.map(Operator::name).into_iter();
        let own: Vec<_> = names.filter(|operator| words(operator) == *operator).collect();
        assert_eq!(own, ["contains"]);
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
