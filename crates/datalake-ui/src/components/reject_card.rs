//! A rejected or ignored source: its title, location, excerpt, and how to fix it.

use std::borrow::Cow;

use datalake_core::{
    dataset::Dataset,
    query::column::Column,
    reject::{ExcludedSource, Exclusion, Position, Reason},
};
use maud::{Markup, html};

use crate::{
    components::{
        excerpt::excerpt,
        format::{number, sentence},
        reject_titles,
    },
    page::links,
};

/// The data of a card. Reports of runs contain less than the table: then the missing parts are not shown.
#[derive(Debug)]
pub(crate) struct RejectCard<'a> {
    /// The declaration of the rows, for the names of its columns.
    pub(crate) dataset: &'a Dataset,
    pub(crate) key: &'a str,
    pub(crate) code: &'a str,
    pub(crate) position: Option<Position>,
    pub(crate) excerpt: Option<&'a str>,
    /// The position of the cause in the excerpt, in bytes.
    pub(crate) excerpt_offset: Option<u8>,
    pub(crate) reason: Option<Cow<'a, Reason>>,
}

impl<'a> RejectCard<'a> {
    /// The card of a source of this dataset that the table excludes.
    pub(crate) fn of(dataset: &'a Dataset, source: &'a ExcludedSource) -> Self {
        let reject = match &source.exclusion {
            Exclusion::Rejected(reject) => Some(reject),
            Exclusion::Ignored(_) => None,
        };
        Self {
            dataset,
            key: &source.key,
            code: source.exclusion.code(),
            position: reject.and_then(|reject| reject.position),
            excerpt: reject.and_then(|reject| reject.excerpt.as_deref()),
            excerpt_offset: reject.and_then(|reject| reject.excerpt_offset),
            reason: Some(source.reason(dataset)),
        }
    }

    /// An item of `ol.rejects`. `note` follows the advice; it may be empty.
    pub(crate) fn item(&self, note: &Markup) -> Markup {
        html! {
            li data-key=(self.key) data-code=(self.code) {
                header {
                    h3 { (reject_titles::title_of_code(self.code)) }
                    a href=(links::reject_code(self.code)) { code { (self.code) } }
                }
                p.where {
                    code.wrap { bdi { (self.key) } }
                    button.copy type="button" data-copy=(self.key) aria-label={ "Copy path " (self.key) } hidden { "Copy path" }
                    @if let Some(position) = self.position { span.muted { (place(position)) } }
                }
                @if let Some(text) = self.excerpt { (excerpt(char::from(self.dataset.csv().delimiter), self.code, text, self.excerpt_offset)) }
                @if let Some(reason) = &self.reason {
                    dl.properties {
                        dt { "Found" } dd { (reason_sentence(self.dataset, &reason.found)) }
                        dt { "Expected" } dd { (reason_sentence(self.dataset, &reason.expected)) }
                        dt { "Fix" } dd data-remedy { (reason_sentence(self.dataset, &reason.remedy)) }
                    }
                }
                @if !note.0.is_empty() { p.small.muted { (note) } }
            }
        }
    }
}

fn place(position: Position) -> String {
    let byte = format!("byte {}", number(position.byte_offset));
    match (position.line, position.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}, {byte}"),
        _ => byte,
    }
}

/// A message as a sentence. A name of a column at its beginning keeps its spelling.
fn reason_sentence(dataset: &Dataset, message: &str) -> String {
    let first_word = message.split_whitespace().next().unwrap_or_default();
    match Column::named(dataset, first_word).is_some() {
        true => format!("{message}."),
        false => sentence(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_name_keeps_its_spelling() {
        assert_eq!(reason_sentence(Dataset::users(), "there is a quote"), "There is a quote.");
        assert_eq!(
            reason_sentence(Dataset::users(), "birthts is before 1850"),
            "birthts is before 1850."
        );
    }

    #[test]
    fn card_without_details_has_title_and_key() {
        let card = RejectCard {
            dataset: Dataset::users(),
            key: "src-data/<1>.csv",
            code: "quote",
            position: None,
            excerpt: None,
            excerpt_offset: None,
            reason: None,
        };
        let text = card.item(&html! {}).into_string();
        assert!(
            text.contains("Misplaced quote") && text.contains("src-data/&lt;1&gt;.csv"),
            "{text}"
        );
        assert!(!text.contains("data-remedy") && !text.contains("class=\"excerpt\""), "{text}");
    }
}
