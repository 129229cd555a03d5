//! The fields of column filters: one line for each filter, and an empty one.

use datalake_core::query::{column::Column, condition::Operator};
use maud::{Markup, html};

use crate::{
    components::labels,
    users::{
        filter_form::state::{FormState, invalid_option},
        filter_labels::{column_filter, operator_label},
    },
};

pub(crate) fn fieldset(state: &FormState<'_>) -> Markup {
    let active = { state.query.iter() }
        .filter_map(|(name, value)| column_filter(name).map(|(column, operator)| (Some(column), operator, value, name)));
    let lines = active.chain([(None, "exact", "", "")]);
    html! {
        fieldset {
            legend { "Column filters (all must match)" }
            @for (index, (column, operator, value, name)) in lines.enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="column" aria-label={ "Column of filter " (number) } {
                        option value="" { "Choose a column" }
                        @for option in Column::ALL {
                            option value=(option) selected[Some(option) == column] { (labels::column(option)) }
                        }
                    }
                    select name="operator" aria-label={ "Operator of filter " (number) } {
                        @for option in Operator::ALL.map(Operator::name) {
                            option value=(option) selected[option == operator] { (operator_label(option)) }
                        }
                        (invalid_option(Operator::named(operator).is_none().then_some(operator)))
                    }
                    input type="text" name="value" dir="auto" autocomplete="off" aria-label={ "Value of filter " (number) } value=(value)
                        aria-invalid=[state.aria_invalid(name)] aria-describedby=[state.aria_describedby(name)];
                }
                (state.error_hint(name))
            }
            p.hint { "Apply the filters to add another one. Born is in milliseconds since 1970-01-01 UTC." }
        }
    }
}
