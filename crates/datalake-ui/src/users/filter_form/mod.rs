//! The filter form. Its fields are those that [`form_query::to_api_query`](crate::users::form_query::to_api_query) understands.

mod column_filters;
mod fields;
pub(crate) mod state;

use datalake_core::query::search::SEARCH;
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

/// The ID of the form. The search box in the header belongs to it.
pub(crate) const ID: &str = "user-filters";

pub(crate) fn form(state: &FormState<'_>) -> Markup {
    let query = state.query;
    let has_column_error = query
        .iter()
        .any(|(name, _)| filter_labels::column_filter(name).is_some() && state.is_invalid(name));
    let has_hidden_error = ["order", "select", "limit", "version", "as_of"]
        .iter()
        .any(|name| state.is_invalid(name));
    html! {
        section.card aria-label="Filters" {
            form.filters id=(ID) method="get" action=(links::USERS) data-apply {
                input type="hidden" name=(FORM) value="users";
                @if state.view_mode == ViewMode::Gallery { input type="hidden" name=(VIEW) value=(ViewMode::Gallery.as_str()); }
                (fields::image(state))
                (fields::age(state))
                (day(state))
                div.actions.submit {
                    button.primary type="submit" { "Apply" }
                    a.button href=(filter_labels::cleared(query).address(links::USERS)) { "Clear" }
                }
                (state.error_hint(SEARCH))
                div.chips.whole {
                    @if state.error.is_none() { (filter_labels::active_filters(query)) }
                    @if let Some(facets) = state.facets { (facets.ages(query)) }
                    details.chip #add-filter open[has_column_error] {
                        summary { "Add filter" }
                        (column_filters::fieldset(state))
                    }
                    details.chip #more-filters open[has_hidden_error] {
                        summary { "Sorting, columns and version" }
                        div.fieldsets {
                            (fields::order(state))
                            (fields::columns(state))
                            (fields::page_and_version(state))
                        }
                    }
                }
            }
        }
    }
}

/// Whether the form shows the error of a parameter next to a field.
pub(crate) fn has_field(parameter: &str) -> bool {
    const FIELDS: [&str; 10] = [
        SEARCH,
        "is_image_exists",
        "min_age",
        "max_age",
        "on",
        "order",
        "select",
        "limit",
        "version",
        "as_of",
    ];
    FIELDS.contains(&parameter) || filter_labels::column_filter(parameter).is_some()
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
