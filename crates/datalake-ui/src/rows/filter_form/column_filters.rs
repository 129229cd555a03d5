//! The fields of column filters: one line for each filter, and an empty one. The type of a column decides its operators and its input.

use datalake_core::query::{column::Column, condition::Operator};
use maud::{Markup, html};

use crate::{
    components::labels::{self, ValueType},
    rows::{
        day_filter,
        filter_form::{
            choice_of,
            state::{FormState, invalid_option},
        },
        filter_labels::operator_label,
        form_fields::column_filter,
    },
};

/// A filter as a line of the form; the last line has no column.
struct Line<'a> {
    column: Option<Column>,
    operator: &'a str,
    value: &'a str,
    /// The parameter.
    name: &'a str,
}

/// Whether a parameter is a column filter without a choice of its own.
pub(crate) fn is_line(state: &FormState<'_>, name: &str) -> bool {
    column_filter(state.dataset, name).is_some() && choice_of(state, name).is_none()
}

pub(crate) fn fieldset(state: &FormState<'_>) -> Markup {
    let filters = state.query.iter().filter(|(name, _)| is_line(state, name));
    let active = filters.filter_map(|(name, value)| {
        let (column, operator) = column_filter(state.dataset, name)?;
        Some(Line {
            column: Some(column),
            operator,
            value,
            name,
        })
    });
    let empty = Line {
        column: None,
        operator: "exact",
        value: "",
        name: "",
    };
    let has_instants = Column::all(state.dataset).any(|column| day_filter::is_instant(column.column_type(state.dataset)));
    html! {
        fieldset {
            legend { "Column filters (all must match)" }
            @for (index, line) in active.chain([empty]).enumerate() { (line_of_fields(state, &line, index + 1)) }
            @if has_instants { p.hint { "Times accept a day, such as 1990-01-01, or the value as the API returns it." } }
        }
    }
}

fn line_of_fields(state: &FormState<'_>, line: &Line<'_>, number: usize) -> Markup {
    let Line {
        column,
        operator,
        value,
        name,
    } = *line;
    let dataset = state.dataset;
    let kind = column.map(|column| labels::value_type(dataset, column));
    let day = column.and_then(|column| day_filter::day_of(column.column_type(dataset), operator, value));
    html! {
        div.condition data-draft[column.is_none()] {
            select name="column" aria-label={ "Column of filter " (number) } {
                option value="" { @if column.is_none() { "Choose a column" } @else { "Remove this filter" } }
                @for option in Column::all(dataset) {
                    option value=(labels::name(dataset, option)) selected[Some(option) == column] data-type=(type_name(labels::value_type(dataset, option))) {
                        (labels::column(dataset, option))
                    }
                }
            }
            select name="operator" aria-label={ "Operator of filter " (number) } {
                @for option in Operator::ALL {
                    @if kind.is_none_or(|kind| has_operator(kind, option) || option.name() == operator) {
                        option value=(option.name()) selected[option.name() == operator] data-types=[types(option)] {
                            (operator_label(option.name(), kind))
                        }
                    }
                }
                (invalid_option(Operator::named(operator).is_none().then_some(operator)))
            }
            @match day {
                Some(day) => input type="date" name="value" aria-label={ "Value of filter " (number) } value=(day);,
                None => input type="text" name="value" dir="auto" autocomplete="off" aria-label={ "Value of filter " (number) } value=(value)
                    aria-invalid=[state.aria_invalid(name)] aria-describedby=[state.aria_describedby(name)];,
            }
        }
        (state.error_hint(name))
    }
}

/// The types for which an operator is offered, for the script; none for all types.
fn types(operator: Operator) -> Option<String> {
    let types = ValueType::ALL.into_iter().filter(|kind| has_operator(*kind, operator));
    let names: Vec<_> = types.map(type_name).collect();
    (names.len() < ValueType::ALL.len()).then(|| names.join(" "))
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Id => "id",
        ValueType::Text => "text",
        ValueType::Number => "number",
        ValueType::Boolean => "boolean",
        ValueType::Day => "day",
        ValueType::File => "file",
    }
}

/// Whether an operator is offered for a type.
fn has_operator(kind: ValueType, operator: Operator) -> bool {
    match kind {
        ValueType::Day => day_filter::OPERATORS.contains(&operator.name()),
        ValueType::Number => !matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith),
        ValueType::Boolean => matches!(operator, Operator::Exact | Operator::Not | Operator::IsNull | Operator::NotNull),
        ValueType::Id | ValueType::Text | ValueType::File => true,
    }
}
