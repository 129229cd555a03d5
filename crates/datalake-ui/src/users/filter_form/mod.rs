//! The filter form. Its fields are those that [`form_query::to_api_query`](crate::users::form_query::to_api_query) understands.

mod column_filters;
mod fields;
pub(crate) mod state;

use jiff::civil::Date;
use maud::{Markup, html};

use crate::{
    page::links,
    users::{
        filter_form::state::FormState,
        filter_labels,
        form_query::{FORM, VIEW},
        request::ViewMode,
    },
};

pub(crate) fn form(state: &FormState<'_>) -> Markup {
    let query = state.query;
    let has_column_filters = query.iter().any(|(name, _)| filter_labels::column_filter(name).is_some());
    let has_hidden_error = ["order", "select", "limit", "version", "as_of"]
        .iter()
        .any(|name| state.is_invalid(name));
    html! {
        section.card aria-label="Filters" {
            @if state.error.is_none() { (filter_labels::active_filters(query)) }
            form.filters #user-filters method="get" action=(links::USERS) {
                input type="hidden" name=(FORM) value="users";
                @if state.view_mode == ViewMode::Gallery { input type="hidden" name=(VIEW) value=(ViewMode::Gallery.as_str()); }
                (fields::image(state))
                (fields::age(state, "min_age", "Minimum age", "youngest", "Youngest only"))
                (fields::age(state, "max_age", "Maximum age", "oldest", "Oldest only"))
                (day(state))
                details.whole #more-filters open[has_column_filters || has_hidden_error] {
                    summary { "More filters, sorting and columns" }
                    div.fieldsets {
                        (column_filters::fieldset(state))
                        (fields::order(state))
                        (fields::columns(state))
                        (fields::page_and_version(state))
                    }
                }
                div.actions.whole {
                    button.primary type="submit" { "Apply" }
                    a.button href=(filter_labels::cleared(query).address(links::USERS)) { "Clear" }
                }
            }
        }
    }
}

fn day(state: &FormState<'_>) -> Markup {
    let value = state.value("on");
    // A date field would not show an invalid value.
    let is_date = value.is_empty() || value.parse::<Date>().is_ok();
    html! {
        div.field {
            label for="on" { "Compute ages as of" }
            input #on type=(if is_date { "date" } else { "text" }) name="on" value=(value)
                aria-invalid=[state.aria_invalid("on")] aria-describedby=[state.aria_describedby("on")];
            (state.error_hint("on"))
        }
    }
}
