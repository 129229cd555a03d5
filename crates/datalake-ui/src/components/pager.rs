//! The links between the pages of a list.

use maud::{Markup, html};

/// The pager of a list. Each link has a label.
#[derive(Debug)]
pub(crate) struct Pager {
    /// Which rows the page shows.
    pub(crate) range: Markup,
    /// A form that leads to a page by its number. Empty if the list has none.
    pub(crate) jump: Markup,
    /// The link to the first page. None on the first page.
    pub(crate) first: Option<(String, &'static str)>,
    /// The link to the previous page. None on the first page.
    pub(crate) previous: Option<(String, &'static str)>,
    /// The link to the next page. None on the last page.
    pub(crate) next: Option<(String, &'static str)>,
}

impl Pager {
    /// Whether the list has more than one page.
    pub(crate) fn has_links(&self) -> bool {
        self.first.is_some() || self.previous.is_some() || self.next.is_some()
    }

    pub(crate) fn markup(&self) -> Markup {
        html! {
            nav.pager aria-label="Pagination" {
                span { (self.range) }
                (self.jump)
                span.actions {
                    @if let Some((href, label)) = &self.first { a.button #first-page href=(href) { (label) } }
                    @if let Some((href, label)) = &self.previous { a.button #previous-page rel="prev" href=(href) { (label) } }
                    @if let Some((href, label)) = &self.next { a.button #next-page rel="next" href=(href) { (label) } }
                }
            }
        }
    }
}
