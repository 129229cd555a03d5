//! The references of reject codes and of problems: chapters of the documentation, which the executable serves without a connection to other
//! servers. Errors and rejects link to their headings.

mod markdown;

use std::sync::LazyLock;

use maud::{Markup, html};

use crate::{
    components,
    page::{context::PageContext, html_page::HtmlPage, layout::View},
    reference::markdown::Chapter,
};
use datalake_api::request::parameters::NoParameters;

static REJECTS: LazyLock<Chapter> = LazyLock::new(|| Chapter::parse(include_str!("../../../../docs/src/rejects.md")));
static PROBLEMS: LazyLock<Chapter> = LazyLock::new(|| Chapter::parse(include_str!("../../../../docs/src/problems.md")));

/// The reference of reject codes.
pub(crate) async fn rejects(context: PageContext, _: NoParameters) -> HtmlPage {
    page(&context, &REJECTS)
}

/// The reference of problems.
pub(crate) async fn problems(context: PageContext, _: NoParameters) -> HtmlPage {
    page(&context, &PROBLEMS)
}

fn page(context: &PageContext, chapter: &Chapter) -> HtmlPage {
    let main = main(chapter);
    HtmlPage(context.frame(View::Reference, &chapter.title).page(&main))
}

fn main(chapter: &Chapter) -> Markup {
    html! {
        (components::heading(&chapter.title, &html! {}, &html! {}))
        nav.card aria-label="On this page" {
            ul.codes { @for id in &chapter.ids { li { a href={ "#" (id) } { code { (id) } } } } }
        }
        section.card.chapter aria-label=(chapter.title) { (chapter.content) }
    }
}
