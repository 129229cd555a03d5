//! Queries to start with. Each has a link that opens its response.

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::{
    components,
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    users,
};
use datalake_api::{
    request::parameters::NoParameters,
    routes::examples::{self, Example},
};

/// The page.
pub(crate) async fn show(visit: PageContext, _: NoParameters) -> Response {
    let further = examples::further(&visit.known.table.state);
    let frame = visit.frame(View::Examples, "Examples").api(ApiAddress::new("/"));
    let frame = frame.words("This list from the API:").command("curl -H 'Accept: application/json'");
    Page(frame.page(&page(&examples::basic(), &further, &visit.origin))).into_response()
}

fn page(basic: &[Example], further: &[Example], origin: &str) -> Markup {
    let line =
        html! { "Queries to start with: " a href="#basic" { "filters and statistics" } " and " a href="#further" { "other requests" } "." };
    html! {
        (components::heading("Examples", &line, &html! { a.button href="/docs/" { "API documentation" } }))
        h2 #basic { "Filters and statistics" }
        @for example in basic { (one(example, origin)) }
        h2 #further { "Time travel, formats, one user, runs and this server" }
        @for example in further { (one(example, origin)) }
    }
}

fn one(example: &Example, origin: &str) -> Markup {
    let Example { href, title } = example;
    html! {
        section.card.example data-example=(href) {
            header {
                h3 { (capitalized(title)) }
                span.small {
                    a href=(href) { "Open" }
                    @if let Some(people) = as_people(href) { " · " a href=(people) { "As a page" } }
                }
            }
            (components::curl(origin, &ApiAddress::new(href)))
        }
    }
}

/// The page that shows the same rows, where there is one.
fn as_people(href: &str) -> Option<String> {
    let rest = href.strip_prefix("/data")?;
    match rest.split_once('?') {
        None if rest.is_empty() => Some(users::PATH.to_owned()),
        Some(("", _)) => Some(format!("{}{rest}", users::PATH)),
        _ => None,
    }
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_examples() {
        assert_eq!(as_people("/data").as_deref(), Some("/page/people"));
        assert_eq!(as_people("/data?min_age&x=1").as_deref(), Some("/page/people?min_age&x=1"));
        for href in ["/data.csv?limit=5", "/data/1000", "/stats", "/"] {
            assert_eq!(as_people(href), None, "{href}");
        }
        assert_eq!(capitalized("every user"), "Every user");
    }
}
