//! The fields of the filter form, except column filters.

use datalake_core::{dataset::ColumnType, query::column::Column};
use maud::{Markup, html};

use crate::{
    components::{
        format::number,
        labels::{self, ValueType},
    },
    rows::{
        filter_form::{
            choice_of,
            state::{FormState, invalid_option, number_input_type},
        },
        form_fields,
        range_mode::RangeMode,
        request::{LIMIT, LIMITS},
    },
};

/// How many characters of a label fit after "Any" in a choice on a phone.
const ANY_LABEL_CHARS_MAX: usize = 9;

/// An option of a choice: its value, its label, and the number of its rows.
type ChoiceOption = (String, String, Option<u64>);

/// A choice of the rows with or without a file.
pub(crate) fn file(state: &FormState<'_>, index: usize) -> Markup {
    let file = &state.dataset.files()[index];
    let name = labels::file_in_sentence(file);
    let counts = state.facets.and_then(|facets| facets.with_file).filter(|_| index == 0);
    let options = [
        (String::new(), "With or without".to_owned(), None),
        ("True".to_owned(), format!("With {name}"), counts.map(|[with, _]| with)),
        ("False".to_owned(), format!("Without {name}"), counts.map(|[_, without]| without)),
    ];
    let parameter = form_fields::file_parameter(file);
    select(state, &parameter, &parameter, &labels::file(file), &options)
}

/// A choice of the rows with one of few values.
pub(crate) fn choice(state: &FormState<'_>, column: Column) -> Markup {
    let dataset = state.dataset;
    let count_of = |value| state.facets.and_then(|facets| facets.of_value(column, value));
    let values = column.categories(dataset).unwrap_or_default();
    let options = values.iter().map(|value| (value.to_string(), value.to_string(), count_of(value)));
    let options: Vec<ChoiceOption> = std::iter::once((String::new(), "Any".to_owned(), None)).chain(options).collect();
    let parameter = state
        .query
        .iter()
        .map(|(name, _)| name)
        .find(|name| choice_of(state, name) == Some(column));
    let field = form_fields::choice_field(dataset, column);
    select(
        state,
        &field,
        parameter.unwrap_or(&field),
        &labels::column(dataset, column),
        &options,
    )
}

/// A `select` of this name that shows the value of a parameter.
fn select(state: &FormState<'_>, name: &str, parameter: &str, label: &str, options: &[ChoiceOption]) -> Markup {
    let value = state.value(parameter);
    let is_value = |option: &str| option.eq_ignore_ascii_case(value);
    let is_invalid = !options.iter().any(|(option, ..)| is_value(option));
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) aria-invalid=[state.aria_invalid(parameter)] aria-describedby=[state.aria_describedby(parameter)] {
                @for (option, label, rows) in options {
                    option value=(option) selected[is_value(option)] { (label) @if let Some(rows) = rows { " (" (number(rows)) ")" } }
                }
                (invalid_option(is_invalid.then_some(value)))
            }
            (state.error_hint(parameter))
        }
    }
}

/// A range of a column: a choice of the bounds, and their values. The style hides a value that the choice does not use.
pub(crate) fn range(state: &FormState<'_>, column: Column) -> Markup {
    let dataset = state.dataset;
    let [min, max] = form_fields::bounds(dataset, column);
    let mode = RangeMode::of(state.query.get(&min), state.query.get(&max));
    let (field, label) = (
        form_fields::mode_field(dataset, column),
        labels::column_in_sentence(dataset, column),
    );
    let is_short = label.chars().count() <= ANY_LABEL_CHARS_MAX;
    html! {
        div.field.range {
            label for=(field) { (labels::column(dataset, column)) }
            div.controls {
                select id=(field) name=(field) {
                    @for option in RangeMode::ALL {
                        option value=(option.as_str()) selected[option == mode] { (option.label()) @if option == RangeMode::Any && is_short { " " (label) } }
                    }
                }
                (bound(state, column, &min, "min", &format!("Minimum {label}")))
                (bound(state, column, &max, "max", &format!("Maximum {label}")))
            }
            (state.error_hint(&min))
            (state.error_hint(&max))
        }
    }
}

fn bound(state: &FormState<'_>, column: Column, name: &str, kind: &str, label: &str) -> Markup {
    let value = state.value(name);
    let is_number = labels::value_type(state.dataset, column) == ValueType::Number;
    let is_integer = column.column_type(state.dataset) == ColumnType::Integer;
    let is_counted = labels::day_of_years(state.dataset, column).is_some();
    let input_type = if is_number { number_input_type(value) } else { "text" };
    html! {
        input id=(name) class=(kind) type=(input_type) name=(name) value=(value) min=[is_counted.then_some("0")]
            max=[is_counted.then_some("65535")] step=[is_number.then_some(if is_integer { "1" } else { "any" })]
            inputmode=[is_number.then_some(if is_integer { "numeric" } else { "decimal" })]
            aria-label=(label) placeholder=(kind)
            aria-invalid=[state.aria_invalid(name)] aria-describedby=[state.aria_describedby(name)];
    }
}

pub(crate) fn order(state: &FormState<'_>) -> Markup {
    let (dataset, id) = (state.dataset, labels::id_in_sentence(state.dataset));
    let keys = state.value("order").split(',').filter(|key| !key.is_empty());
    let lines = keys.map(|key| key.split_once('.').unwrap_or((key, "")));
    html! {
        fieldset {
            legend { "Sorting" }
            @for (index, (column, direction)) in lines.chain([("", "")]).enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="order_by" aria-label={ "Sort column " (number) } {
                        option value="" { @if index == 0 { "by " (id) } @else { "then by " (id) } }
                        @for option in Column::all(dataset) {
                            @let name = labels::name(dataset, option);
                            option value=(name) selected[name == column] { (labels::column(dataset, option)) }
                        }
                        (invalid_option((!column.is_empty() && Column::named(dataset, column).is_none()).then_some(column)))
                    }
                    select name="direction" aria-label={ "Sort direction " (number) } {
                        option value="asc" { "ascending" }
                        option value="desc" selected[direction == "desc"] { "descending" }
                        (invalid_option((!["", "asc", "desc"].contains(&direction)).then_some(direction)))
                    }
                }
            }
            (state.error_hint("order"))
        }
    }
}

/// The columns of the table. Selected ones come first, so that submitting the form keeps their order.
pub(crate) fn columns(state: &FormState<'_>) -> Markup {
    let dataset = state.dataset;
    let requested = state.value("select").split(',').filter(|name| !name.is_empty());
    let mut selected: Vec<&str> = requested.collect();
    if selected.is_empty() {
        selected = labels::default_columns(dataset)
            .map(|column| labels::name(dataset, column))
            .collect();
    }
    let others = Column::all(dataset).map(|column| labels::name(dataset, column));
    let others = others.filter(|column| !selected.contains(column));
    let columns: Vec<&str> = selected.iter().copied().chain(others).collect();
    html! {
        fieldset {
            legend { "Columns" }
            div.choices {
                @for column in columns {
                    label {
                        input type="checkbox" name="select" value=(column) checked[selected.contains(&column)];
                        @match Column::named(dataset, column) { Some(named) => (labels::column(dataset, named)), None => (column) }
                    }
                }
            }
            (state.error_hint("select"))
        }
    }
}

pub(crate) fn page_and_version(state: &FormState<'_>) -> Markup {
    let default = LIMIT.to_string();
    let limit = state.query.get("limit").unwrap_or(&default);
    let options = LIMITS.map(|limit| limit.to_string());
    let is_invalid = !options.iter().any(|option| option == limit);
    let version = state.value("version");
    html! {
        fieldset.rest {
            legend.visually-hidden { "Page and version" }
            div.field {
                label for="limit" { (state.dataset.title()) " per page" }
                select #limit name="limit" aria-invalid=[state.aria_invalid("limit")] aria-describedby=[state.aria_describedby("limit")] {
                    @for option in &options { option value=(option) selected[option == limit] { (option) } }
                    (invalid_option(is_invalid.then_some(limit)))
                }
                (state.error_hint("limit"))
            }
            div.field {
                label for="version" { "Version" }
                input #version type=(number_input_type(version)) name="version" min="0" step="1" inputmode="numeric"
                    placeholder=[state.latest] value=(version)
                    aria-invalid=[state.aria_invalid("version")] aria-describedby=[state.aria_describedby("version")];
                (state.error_hint("version"))
            }
            div.field {
                label for="as_of" { "Point in time (UTC)" }
                input #as_of type="text" name="as_of" autocomplete="off" placeholder=(state.day.date()) value=(state.value("as_of"))
                    aria-invalid=[state.aria_invalid("as_of")] aria-describedby=[state.aria_describedby("as_of")];
                (state.error_hint("as_of"))
            }
        }
    }
}
