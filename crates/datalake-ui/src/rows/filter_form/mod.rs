//! The filter form. Its fields are those that [`form_query::to_api_query`](crate::rows::form_query::to_api_query) understands.

mod column_filters;
mod fields;
pub(crate) mod state;

use datalake_core::{
    dataset::Dataset,
    query::{column::Column, search::SEARCH},
};
use jiff::civil::Date;
use maud::{Markup, html};

use crate::{
    components::labels,
    page::links,
    rows::{
        filter_form::state::FormState,
        filter_labels,
        form_fields::{self, column_filter, row_filter},
        form_query::{FORM, VIEW},
        request::ViewMode,
    },
};

/// The ID of the form. The search box in the header belongs to it.
pub(crate) const ID: &str = "user-filters";

pub(crate) fn form(state: &FormState<'_>) -> Markup {
    let (dataset, query) = (state.dataset, state.query);
    let has_column_error = query
        .iter()
        .any(|(name, _)| column_filters::is_line(state, name) && state.is_invalid(name));
    let has_hidden_error = ["order", "select", "limit", "version", "as_of"]
        .iter()
        .any(|name| state.is_invalid(name));
    html! {
        section.card aria-label="Filters" {
            form.filters id=(ID) method="get" action=(links::ROWS) data-apply {
                input type="hidden" name=(FORM) value="users";
                @if state.view_mode == ViewMode::Gallery { input type="hidden" name=(VIEW) value=(ViewMode::Gallery.as_str()); }
                @for index in 0..dataset.files().len() { (fields::file(state, index)) }
                @for column in form_fields::choices(dataset) { (fields::choice(state, column)) }
                @for column in form_fields::shown_ranges(dataset, query) { (fields::range(state, column)) }
                (day(state))
                div.actions.submit {
                    button.primary type="submit" { "Apply" }
                    a.button href=(filter_labels::cleared(dataset, query).address(links::ROWS)) { "Clear" }
                }
                (state.error_hint(SEARCH))
                div.chips.whole {
                    @if state.error.is_none() { (filter_labels::active_filters(dataset, query)) }
                    @if let Some(facets) = state.facets { (facets.years(dataset, query)) }
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
pub(crate) fn has_field(dataset: &Dataset, parameter: &str) -> bool {
    const FIELDS: [&str; 7] = [SEARCH, "on", "order", "select", "limit", "version", "as_of"];
    FIELDS.contains(&parameter) || row_filter(dataset, parameter).is_some()
}

/// The column of a choice whose value is this parameter: its first condition of equality.
pub(crate) fn choice_of(state: &FormState<'_>, parameter: &str) -> Option<Column> {
    let is_exact = |name: &str, column| column_filter(state.dataset, name) == Some((column, "exact"));
    form_fields::choices(state.dataset).find(|column| {
        let first = state.query.iter().find(|(name, _)| is_exact(name, *column));
        first.is_some_and(|(name, _)| name == parameter)
    })
}

fn day(state: &FormState<'_>) -> Markup {
    let value = state.value("on");
    let computed = labels::computed_on_a_day(state.dataset);
    // A date field would not show an invalid value.
    let is_date = value.is_empty() || value.parse::<Date>().is_ok();
    html! {
        @if computed.is_some() || !value.is_empty() {
            div.field {
                label for="on" { "Compute " (computed.as_deref().unwrap_or("values")) " as of" }
                input #on type=(if is_date { "date" } else { "text" }) name="on" value=(value)
                    aria-invalid=[state.aria_invalid("on")] aria-describedby=[state.aria_describedby("on")];
                (state.error_hint("on"))
            }
        }
    }
}
