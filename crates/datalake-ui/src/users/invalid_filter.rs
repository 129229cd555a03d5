//! People who cannot be told because of what was asked: the form stays as it was filled, with what is wrong beside the field.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use datalake_core::user::Day;
use maud::{Markup, html};

use crate::{
    components::{self, Tone},
    page::{context::PageContext, csp::Page, layout::View},
    users::{
        self, Look,
        filter_form::{self, Filled, Wrong},
        form_query::{Query, VIEW},
    },
};
use datalake_api::{
    problem::{Problem, document::ProblemDocument},
    request::cursor::CURSOR,
};

/// The page, with the status that the API answers. A problem that does not come of what was asked is left to others.
pub(crate) fn page(visit: &PageContext, problem: Problem) -> Result<Response, Problem> {
    let query = Query::of_address(&visit.address);
    let Some(wrong) = wrong(&problem, &query) else {
        return Err(problem);
    };
    let filled = Filled {
        look: query.get(VIEW).and_then(|look| Look::parse(look).ok()).unwrap_or_default(),
        query: &query.without(&[CURSOR]),
        day: Day::of(visit.now),
        newest: users::newest(visit),
        wrong: Some(wrong),
    };
    let status = problem.status();
    let main = refused(&filled, &problem.document(users::PATH.to_owned()));
    let page = Page(visit.frame(View::People, "People").page(&main));
    Ok((status, [(header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// Which part of the question the problem comes of; none where it is no part of the form.
fn wrong(problem: &Problem, query: &Query) -> Option<Wrong> {
    let (parameter, words) = match problem {
        // Who is led on by a cursor has not typed it.
        Problem::Parameter(error) if error.parameter == CURSOR => return None,
        Problem::Parameter(error) => (error.parameter.clone(), error.reason.clone()),
        Problem::NoSuchVersion { .. } | Problem::BeforeFirstVersion | Problem::VersionGone => {
            let parameter = ["version", "as_of"].into_iter().find(|name| query.get(name).is_some())?;
            (parameter.to_owned(), problem.detail())
        }
        _ => return None,
    };
    Some(Wrong { parameter, words })
}

fn refused(filled: &Filled<'_>, problem: &ProblemDocument) -> Markup {
    let line = html! { "Nobody is shown: what was asked has no answer as it stands." };
    let words = html! {
        p.wrap { (components::prose(&problem.detail)) }
        @if let Some(nearest) = &problem.nearest { p { "The nearest known name is " code { (nearest) } "." } }
    };
    html! {
        (components::heading("People", &line, &html! {}))
        div #problem data-problem=(problem.kind) data-status=(problem.status) { (components::banner(Tone::Bad, "refused", problem.title, &words)) }
        (filter_form::form(filled))
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::query::error::QueryError;

    use super::*;

    #[track_caller]
    fn check(problem: &Problem, asked: &str, expected: Option<&str>) {
        let wrong = wrong(problem, &Query::of_address(asked));
        assert_eq!(
            wrong.as_ref().map(|wrong| wrong.parameter.as_str()),
            expected,
            "{problem:?}, {asked}"
        );
    }

    #[test]
    fn what_a_problem_comes_of() {
        check(
            &Problem::Parameter(QueryError::value("min_age", "no")),
            "/p?min_age=x",
            Some("min_age"),
        );
        check(&Problem::Parameter(QueryError::value("cursor", "no")), "/p?cursor=x", None);
        check(&Problem::NoSuchVersion { newest: 1 }, "/p?version=9", Some("version"));
        check(&Problem::BeforeFirstVersion, "/p?min_age&as_of=1999-01-01", Some("as_of"));
        // A cursor says which version it is of.
        check(&Problem::VersionGone, "/p?cursor=1~2", None);
        check(&Problem::StoreUnavailable, "/p?version=1", None);
    }
}
