//! The list of rows for an invalid request: the form keeps its values and shows the error next to the field.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use datalake_core::{calendar::Day, dataset::Dataset, query::error::QueryError};
use maud::{Markup, html};

use crate::{
    components::{
        self, Severity,
        labels::{self, ValueType},
    },
    page::{context::PageContext, html_page::HtmlPage, layout::View, links, problem::problem_message, query::Query},
    rows::{
        filter_form::{
            self,
            state::{FormState, ValidationError},
        },
        form_fields::column_filter,
        form_query::VIEW,
        request::ViewMode,
    },
};
use datalake_api::{
    problem::{Problem, document::ProblemDocument},
    request::cursor::CURSOR,
};

/// The page with the status of the API's response. A problem that no field of the form causes is returned. `dataset` is the declaration of the requested
/// version.
pub(crate) fn page(context: &PageContext, dataset: &Dataset, problem: Problem) -> Result<Response, Problem> {
    let query = Query::of_address(&context.address);
    let Some(error) = validation_error(dataset, &problem, &query) else {
        return Err(problem);
    };
    let state = FormState {
        dataset,
        view_mode: query.get(VIEW).and_then(|view| ViewMode::parse(view).ok()).unwrap_or_default(),
        query: &query.without(&[CURSOR]),
        day: Day::of(context.now),
        latest: context.latest_version(),
        facets: None,
        error: Some(error),
    };
    let status = problem.status();
    let main = main(&state, &problem.document(links::ROWS.to_owned()));
    let page = HtmlPage(context.frame(View::Rows, dataset.title()).page(&main));
    Ok((status, [(header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// The parameter that caused the problem; none if it has no field in the form.
fn validation_error(dataset: &Dataset, problem: &Problem, query: &Query) -> Option<ValidationError> {
    let (parameter, message, known) = match problem {
        // Clients do not type cursors.
        Problem::Parameter(error) if error.parameter == CURSOR => return None,
        Problem::Parameter(error) => (error.parameter.clone(), reason(dataset, error), error.known.clone()),
        Problem::NoSuchVersion { .. } | Problem::BeforeFirstVersion | Problem::VersionGone => {
            let parameter = ["version", "as_of"].into_iter().find(|name| query.get(name).is_some())?;
            (parameter.to_owned(), problem.detail(), None)
        }
        _ => return None,
    };
    Some(ValidationError { parameter, message, known })
}

/// Why the value of a parameter is invalid. A form takes days where the API has milliseconds or seconds.
fn reason(dataset: &Dataset, error: &QueryError) -> String {
    let is_day = column_filter(dataset, &error.parameter).is_some_and(|(column, _)| labels::value_type(dataset, column) == ValueType::Day);
    match is_day && error.reason.starts_with("must be a whole number") {
        true => "enter a date such as 1990-01-01, or the value as the API returns it".to_owned(),
        false => error.reason.clone(),
    }
}

fn main(state: &FormState<'_>, problem: &ProblemDocument) -> Markup {
    let has_field = state
        .error
        .as_ref()
        .is_some_and(|error| filter_form::has_field(state.dataset, &error.parameter));
    let subtitle = html! {
        @if has_field { "No results: fix the highlighted filter." } @else { "No results: the address has an invalid filter." }
    };
    // The form shows the cause next to its field.
    let message = html! { @if !has_field { (problem_message(problem, links::ROWS, state.query)) } };
    html! {
        (components::heading(state.dataset.title(), &subtitle, &html! {}))
        div #problem data-problem=(problem.kind) data-status=(problem.status) {
            (components::banner(Severity::Error, "invalid-filter", &problem.title, &message))
        }
        (filter_form::form(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(problem: &Problem, address: &str, expected: Option<&str>) {
        let error = validation_error(Dataset::users(), problem, &Query::of_address(address));
        let parameter = error.as_ref().map(|error| error.parameter.as_str());
        assert_eq!(parameter, expected, "{problem:?}, {address}");
    }

    #[test]
    fn invalid_parameter_is_a_validation_error() {
        let problem = Problem::Parameter(QueryError::value("min_age", "no"));
        check(&problem, "/p?min_age=x", Some("min_age"));
        check(&Problem::NoSuchVersion { newest: 1 }, "/p?version=9", Some("version"));
        check(&Problem::BeforeFirstVersion, "/p?min_age&as_of=1999-01-01", Some("as_of"));
    }

    #[test]
    fn text_for_a_day_asks_for_a_date() {
        let error = QueryError::value("birthts__gte", "must be a whole number between -2^63 and 2^63 - 1");
        assert!(reason(Dataset::users(), &error).starts_with("enter a date such as 1990-01-01"));
        let age = QueryError::value("age", "must be a whole number between -2^63 and 2^63 - 1");
        assert_eq!(reason(Dataset::users(), &age), age.reason);
    }

    #[test]
    fn invalid_cursor_is_no_validation_error() {
        check(&Problem::Parameter(QueryError::value("cursor", "no")), "/p?cursor=x", None);
        check(&Problem::VersionGone, "/p?cursor=1~2", None);
    }

    #[test]
    fn unreachable_store_is_no_validation_error() {
        check(&Problem::StoreUnavailable, "/p?version=1", None);
    }
}
