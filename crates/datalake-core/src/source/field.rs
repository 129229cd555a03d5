//! The values of a row as texts, with their positions.

use std::{borrow::Cow, ops::Range};

use jiff::Timestamp;

use super::{
    decode::Source,
    layout::{Layout, SourceColumn},
    records::Field,
    values::{self, Text, is_forbidden_control},
};
use crate::{
    dataset::Value,
    reject::{Notice, Reject, RejectCode},
    text,
};

/// The value of one field, without quotes and without white space around it.
#[derive(Debug)]
pub(super) struct FieldValue<'a> {
    pub(super) text: Cow<'a, str>,
    /// The bytes of the source's text that the value was read from.
    raw: Range<usize>,
    /// Whether white space was removed around it.
    pub(super) is_trimmed: bool,
}

impl<'a> FieldValue<'a> {
    pub(super) fn read(source: &Source<'a>, field: &Field) -> Self {
        let (text, is_trimmed) = match field.content(source) {
            Cow::Borrowed(content) => (Cow::Borrowed(text::trim(content)), text::trim(content).len() != content.len()),
            Cow::Owned(content) => (
                Cow::Owned(text::trim(&content).to_owned()),
                text::trim(&content).len() != content.len(),
            ),
        };
        Self {
            text,
            raw: field.content.clone(),
            is_trimmed: is_trimmed || field.has_blanks_around,
        }
    }

    /// The typed value of a column.
    pub(super) fn parse(
        &self,
        source: &Source<'_>,
        layout: &Layout<'_>,
        column: &SourceColumn<'_>,
        run_at: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<Value>, Reject> {
        let raw = source.text.get(self.raw.clone()).unwrap_or_default();
        let text = Text { value: &self.text, raw };
        values::parse(layout, column.column, text, run_at, notices).map_err(|invalid| {
            let within = match invalid.code {
                RejectCode::ControlCharacter => raw.find(is_forbidden_control).unwrap_or_default(),
                _ => 0,
            };
            Reject {
                valid_from: invalid.valid_from,
                ..source.reject(invalid.code, Some(&column.column.name), self.raw.start + within, invalid.reason)
            }
        })
    }
}
