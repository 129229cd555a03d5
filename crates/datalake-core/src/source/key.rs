//! The values in the key of a source, which are typed like those of its content.

use jiff::Timestamp;

use super::{
    layout::{Layout, SourceColumn},
    values::{self, Text},
};
use crate::{
    dataset::{Dataset, Value},
    reject::Reject,
};

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
    /// the texts are not part of the content.
    pub fn parse(&self, texts: &[&str], run_at: Timestamp) -> Result<Vec<Value>, Reject> {
        let columns = self.layout.columns.iter().zip(texts);
        let value = |(column, text): (&SourceColumn<'_>, &&str)| {
            let text = Text { value: text, raw: text };
            let parsed = values::parse(&self.layout, column.column, text, run_at, &mut Vec::new());
            // Columns of placeholders are required, so there is a value.
            parsed.transpose().map(|parsed| {
                parsed.map_err(|invalid| Reject {
                    column_name: Some(column.column.name.as_str().into()),
                    valid_from: invalid.valid_from,
                    ..Reject::whole(invalid.code, invalid.reason)
                })
            })
        };
        columns.filter_map(value).collect()
    }
}
