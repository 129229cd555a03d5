//! Parsed HTML: elements are found by CSS selectors, so that tests do not depend on the order of attributes or on white space.

use scraper::{ElementRef, Html, Selector};

/// A parsed page, or an element of one.
pub(crate) struct Document(Html);

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The text of an element, with single spaces between words.
fn text_of(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Document {
    pub(crate) fn parse(html: &str) -> Self {
        Self(Html::parse_document(html))
    }

    /// All elements that match a selector, in document order.
    pub(crate) fn select(&self, css: &str) -> Vec<ElementRef<'_>> {
        self.0.select(&selector(css)).collect()
    }

    pub(crate) fn count(&self, css: &str) -> usize {
        self.select(css).len()
    }

    pub(crate) fn has(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    /// The only element that matches.
    #[track_caller]
    pub(crate) fn one(&self, css: &str) -> ElementRef<'_> {
        match self.select(css)[..] {
            [element] => element,
            ref elements => panic!("{} elements match {css} in {}", elements.len(), self.0.html()),
        }
    }

    /// The text of each element that matches.
    pub(crate) fn texts(&self, css: &str) -> Vec<String> {
        self.select(css).into_iter().map(text_of).collect()
    }

    /// The text of the only element that matches.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        text_of(self.one(css))
    }

    /// The values of an attribute of the elements that match.
    pub(crate) fn attributes(&self, css: &str, name: &str) -> Vec<&str> {
        { self.select(css).into_iter() }.filter_map(|element| element.attr(name)).collect()
    }

    /// The values of an attribute in the whole document.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.attributes(&format!("[{name}]"), name)
    }

    /// The value of an attribute of the only element that matches.
    #[track_caller]
    pub(crate) fn attribute(&self, css: &str, name: &str) -> &str {
        self.one(css).attr(name).unwrap_or_else(|| panic!("{css} has no attribute {name}"))
    }

    /// Where all links lead.
    pub(crate) fn links(&self) -> Vec<&str> {
        self.attributes("a", "href")
    }

    #[track_caller]
    pub(crate) fn check_link(&self, href: &str) {
        assert!(self.links().contains(&href), "no link to {href}: {:?}", self.links());
    }

    /// Where the link with this ID leads, if it exists.
    pub(crate) fn link(&self, id: &str) -> Option<&str> {
        self.attributes(&format!("a#{id}"), "href").first().copied()
    }

    /// The API request in the footer.
    #[track_caller]
    pub(crate) fn api(&self) -> &str {
        self.attribute("footer code[data-api]", "data-api")
    }
}
