//! The values of the filter form, and its validation error.

use datalake_core::{calendar::Day, dataset::Dataset};
use maud::{Markup, html};

use crate::{
    components,
    page::query::Query,
    rows::{facets::Facets, request::ViewMode},
};

/// The state of the form.
#[derive(Debug)]
pub(crate) struct FormState<'a> {
    pub(crate) dataset: &'a Dataset,
    /// The request's parameters, valid or not.
    pub(crate) query: &'a Query,
    pub(crate) view_mode: ViewMode,
    /// The day on which columns are computed.
    pub(crate) day: Day,
    /// The latest version; none without a table.
    pub(crate) latest: Option<u64>,
    /// The numbers of rows that further filters would select; none for an invalid request.
    pub(crate) facets: Option<&'a Facets>,
    pub(crate) error: Option<ValidationError>,
}

/// Why a parameter is invalid.
#[derive(Debug)]
pub(crate) struct ValidationError {
    /// The parameter's name as the client sent it.
    pub(crate) parameter: String,
    pub(crate) message: String,
    /// The known names, if a name is unknown.
    pub(crate) known: Option<String>,
}

impl FormState<'_> {
    /// The value of a field; empty without the parameter.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.query.get(name).unwrap_or_default()
    }

    fn error_of(&self, name: &str) -> Option<&ValidationError> {
        self.error.as_ref().filter(|error| error.parameter == name)
    }

    pub(crate) fn is_invalid(&self, name: &str) -> bool {
        self.error_of(name).is_some()
    }

    /// The value of `aria-invalid`.
    pub(crate) fn aria_invalid(&self, name: &str) -> Option<&'static str> {
        self.is_invalid(name).then_some("true")
    }

    /// The value of `aria-describedby`: the ID of [`FormState::error_hint`].
    pub(crate) fn aria_describedby(&self, name: &str) -> Option<&'static str> {
        self.is_invalid(name).then_some("filter-error")
    }

    /// The validation error next to its field.
    pub(crate) fn error_hint(&self, name: &str) -> Markup {
        html! {
            @if let Some(error) = self.error_of(name) {
                div.hint.error #filter-error {
                    p { (components::prose(&error.message)) }
                    @if let Some(known) = &error.known { details #known-names { summary { "Known names" } p.wrap { (known) } } }
                }
            }
        }
    }
}

/// The option for an invalid value of a `select`, so that the user can see and correct it.
pub(crate) fn invalid_option(value: Option<&str>) -> Markup {
    html! { @if let Some(value) = value { option value=(value) selected { (value) } } }
}

/// The type of an input for a number. An input of type `number` would not show an invalid value.
pub(crate) fn number_input_type(value: &str) -> &'static str {
    let is_number = value.is_empty() || value.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number { "number" } else { "text" }
}
