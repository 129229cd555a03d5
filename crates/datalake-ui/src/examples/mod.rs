//! Example requests. Each has links that open its response and the corresponding page.

use axum::response::{IntoResponse, Response};
use datalake_core::{dataset::Dataset, text::capitalized};
use maud::{Markup, html};

use crate::{
    components::{self, labels},
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View, links},
};
use datalake_api::{
    request::parameters::NoParameters,
    routes::examples::{self, Example},
};

/// The page.
pub(crate) async fn show(context: PageContext, _: NoParameters) -> Response {
    let table = &context.lake.table;
    let (basic, further) = (examples::basic(table), examples::further(table));
    let frame = context
        .frame(View::Examples, "Examples")
        .api(ApiAddress::new("/"))
        .api_label("This list via the API:")
        .curl("curl -H 'Accept: application/json'");
    HtmlPage(frame.page(&markup(&context.dataset, &basic, &further, &context.origin))).into_response()
}

fn markup(dataset: &Dataset, basic: &[Example], further: &[Example], origin: &str) -> Markup {
    let subtitle = html! { "Example requests: " a href="#basic" { "basics" } ", " a href="#further" { "advanced" } "." };
    html! {
        (components::heading("Examples", &subtitle, &html! { a.button href="/docs/" { "API documentation" } }))
        h2 #basic { "Basics: filters and statistics" }
        @for example in basic { (card(example, origin)) }
        h2 #further { "Advanced: time travel, formats, single " (labels::rows(dataset)) " and runs" }
        @for example in further { (card(example, origin)) }
    }
}

fn card(example: &Example, origin: &str) -> Markup {
    let Example { href, title } = example;
    html! {
        section.card.example data-example=(href) {
            header {
                h3 { (capitalized(title)) }
                span.small {
                    a href=(href) { "Open" }
                    @if let Some(page) = rows_page(href) { " · " a href=(page) { "Open as page" } }
                }
            }
            (components::curl(origin, &ApiAddress::new(href)))
        }
    }
}

/// The list with the same rows; none for other requests than `/data`.
fn rows_page(href: &str) -> Option<String> {
    let rest = href.strip_prefix("/data")?;
    match rest.split_once('?') {
        None if rest.is_empty() => Some(links::ROWS.to_owned()),
        Some(("", _)) => Some(format!("{}{rest}", links::ROWS)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_rows_have_a_page() {
        assert_eq!(rows_page("/data").as_deref(), Some("/page/users"));
        assert_eq!(rows_page("/data?min_age&x=1").as_deref(), Some("/page/users?min_age&x=1"));
    }

    #[test]
    fn other_requests_have_no_page() {
        for href in ["/data.csv?limit=5", "/data/1000", "/stats", "/"] {
            assert_eq!(rows_page(href), None, "{href}");
        }
    }
}
