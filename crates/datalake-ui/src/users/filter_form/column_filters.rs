//! The fields of column filters: one line for each filter, and an empty one. The type of a column decides its operators and its input.

use datalake_core::query::{column::Column, condition::Operator};
use maud::{Markup, html};

use crate::{
    components::labels::{self, ValueType},
    users::{
        day_filter,
        filter_form::state::{FormState, invalid_option},
        filter_labels::{column_filter, operator_label},
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

pub(crate) fn fieldset(state: &FormState<'_>) -> Markup {
    let active = { state.query.iter() }.filter_map(|(name, value)| {
        let (column, operator) = column_filter(name)?;
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
    html! {
        fieldset {
            legend { "Column filters (all must match)" }
            @for (index, line) in active.chain([empty]).enumerate() { (line_of_fields(state, &line, index + 1)) }
            p.hint { "Times accept a day, such as 1990-01-01, or milliseconds since 1970-01-01 UTC." }
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
    let kind = column.map(labels::value_type);
    let day = (kind == Some(ValueType::Day))
        .then(|| day_filter::day_of(operator, value))
        .flatten();
    html! {
        div.condition data-draft[column.is_none()] {
            select name="column" aria-label={ "Column of filter " (number) } {
                option value="" { @if column.is_none() { "Choose a column" } @else { "Remove this filter" } }
                @for option in labels::ALL {
                    option value=(labels::name(option)) selected[Some(option) == column] data-type=(type_name(labels::value_type(option))) { (labels::column(option)) }
                }
            }
            select name="operator" aria-label={ "Operator of filter " (number) } {
                @for option in Operator::ALL {
                    @if kind.is_none_or(|kind| has_operator(kind, option) || option.name() == operator) {
                        option value=(option.name()) selected[option.name() == operator] data-types=(types(option)) {
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

/// The types for which an operator is offered, for the script.
fn types(operator: Operator) -> String {
    let kinds = [ValueType::Id, ValueType::Text, ValueType::Day, ValueType::Number, ValueType::Image];
    let names = kinds.into_iter().filter(|kind| has_operator(*kind, operator)).map(type_name);
    names.collect::<Vec<_>>().join(" ")
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Id => "id",
        ValueType::Text => "text",
        ValueType::Day => "day",
        ValueType::Number => "number",
        ValueType::Image => "image",
    }
}

/// Whether an operator is offered for a type.
fn has_operator(kind: ValueType, operator: Operator) -> bool {
    match kind {
        ValueType::Day => day_filter::OPERATORS.contains(&operator.name()),
        ValueType::Number => !matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith),
        ValueType::Id | ValueType::Text | ValueType::Image => true,
    }
}
