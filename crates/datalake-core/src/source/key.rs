//! The values in the key of a source, which are typed like those of its content.

use jiff::Timestamp;

use super::{
    layout::{Layout, SourceColumn},
    values::{self, Invalid, Text},
};
use crate::{
    dataset::{Column, Dataset, Value},
    reject::{Reason, Reject, RejectCode},
    text::quoted,
};

/// The reject of a key with another text than that of its value.
fn other_text(column: &Column, text: &str, own: &str) -> Invalid {
    let reason = Reason::new(
        format!("{} is {}, which is another text for {own}", column.name, quoted(text)),
        "one text for each value, so that each row has one key",
        format!("write {own} in the key, or declare the type string"),
    );
    Invalid::new(RejectCode::Type, reason)
}

/// Parses the values that identify a row.
#[derive(Debug)]
pub struct KeyParser<'d> {
    layout: Layout<'d>,
}

impl<'d> KeyParser<'d> {
    /// A parser for the keys of a dataset.
    pub fn new(dataset: &'d Dataset) -> Self {
        Self {
            layout: Layout::of_key(dataset),
        }
    }

    /// Parses the texts of the placeholders, in their order. Times are compared with `run_at`, the time of the run. The reject has no position, because
    /// the texts are not part of the content. A value has one text only: `007` is no integer in a key.
    pub fn parse(&self, texts: &[&str], run_at: Timestamp) -> Result<Vec<Value>, Reject> {
        let columns = self.layout.columns.iter().zip(texts);
        let value = |(SourceColumn { column, .. }, text): (&SourceColumn<'_>, &&str)| {
            let parsed = values::parse(&self.layout, column, Text { value: text, raw: text }, run_at, &mut Vec::new());
            let rejected = |invalid: Invalid| Reject {
                column_name: Some(column.name.as_str().into()),
                valid_from: invalid.valid_from,
                ..Reject::whole(invalid.code, invalid.reason)
            };
            // Columns of placeholders are required, so there is a value.
            let value = parsed.map_err(rejected).transpose()?;
            Some(value.and_then(|value| match column.key_text(value.as_ref()) {
                own if own == **text => Ok(value),
                own => Err(rejected(other_text(column, text, &own))),
            }))
        };
        columns.filter_map(value).collect()
    }
}
