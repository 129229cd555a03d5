//! A chapter of the documentation as HTML.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A chapter. Its source is part of the executable, so its HTML is trusted.
#[derive(Debug)]
pub(crate) struct Chapter {
    /// The heading of the first level.
    pub(crate) title: String,
    /// The IDs of the headings of the second level, in order.
    pub(crate) ids: Vec<String>,
    pub(crate) content: Markup,
}

impl Chapter {
    /// Parses Markdown. The ID of a heading is its text. Links to other chapters, which the executable does not contain, become text.
    pub(crate) fn parse(source: &str) -> Self {
        let (mut title, mut ids) = (String::new(), Vec::new());
        let mut parser = Parser::new_ext(source, Options::ENABLE_TABLES);
        let mut events = Vec::new();
        let mut is_link_kept = Vec::new();
        while let Some(event) = parser.next() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let inner: Vec<_> = parser
                        .by_ref()
                        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
                        .collect();
                    let text = text_of(&inner);
                    if level == HeadingLevel::H1 {
                        title = text;
                        continue;
                    }
                    if level == HeadingLevel::H2 {
                        ids.push(text.clone());
                    }
                    events.push(Event::Start(Tag::Heading {
                        level,
                        id: Some(CowStr::from(text)),
                        classes: Vec::new(),
                        attrs: Vec::new(),
                    }));
                    events.extend(inner);
                    events.push(Event::End(TagEnd::Heading(level)));
                }
                Event::Start(Tag::Link { ref dest_url, .. }) => {
                    let is_kept = dest_url.starts_with('#');
                    is_link_kept.push(is_kept);
                    events.extend(is_kept.then_some(event));
                }
                Event::End(TagEnd::Link) => events.extend(is_link_kept.pop().unwrap_or(true).then_some(event)),
                event => events.push(event),
            }
        }
        let mut content = String::new();
        html::push_html(&mut content, events.into_iter());
        Self {
            title,
            ids,
            content: PreEscaped(content),
        }
    }
}

fn text_of(events: &[Event<'_>]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_ids_and_links_to_other_chapters_are_text() {
        let chapter = Chapter::parse("# Codes\n\nSee [api](api.md) and [type](#type).\n\n## `type`\n\n```csv\na<b\n```\n\n## `quote`\n");
        assert_eq!(
            (chapter.title.as_str(), chapter.ids),
            ("Codes", vec!["type".to_owned(), "quote".to_owned()])
        );
        assert_eq!(
            chapter.content.into_string(),
            "<p>See api and <a href=\"#type\">type</a>.</p>\n<h2 id=\"type\"><code>type</code></h2>\n\
             <pre><code class=\"language-csv\">a&lt;b\n</code></pre>\n<h2 id=\"quote\"><code>quote</code></h2>\n"
        );
    }
}
