//! The number of rows of a data file and the bounds of their IDs, from its entry in the log.
//!
//! The statistics of a file have the bounds of each column. If several columns identify a row, the bounds of the ID do not follow from them, so this
//! product records them in the tags of the file. Files of other engines have neither tags nor, perhaps, statistics: their IDs are read.

use datalake_core::row::Row;
use serde_json::json;

use crate::delta::{
    actions::{Add, Bounds, Stats, TextMap},
    schema::TableSchema,
};

/// The tags with the text of the least and of the greatest ID.
const MIN_ID: &str = "datalake.minId";
const MAX_ID: &str = "datalake.maxId";

/// The number of rows of a file and the bounds of their IDs, which are empty without rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowsAndBounds {
    pub(crate) rows: u64,
    pub(crate) min_id: Box<str>,
    pub(crate) max_id: Box<str>,
}

impl RowsAndBounds {
    /// What the log records of a file; none if it does not record all of it.
    pub(crate) fn of(add: &Add, schema: &TableSchema) -> Option<Self> {
        let stats: Stats = serde_json::from_str(add.stats.as_deref()?).ok()?;
        let rows = stats.num_records?;
        let (least, greatest) = match schema.only_id() {
            Some(id) => (stats.min_values.text(id), stats.max_values.text(id)),
            None => (tag(add, MIN_ID), tag(add, MAX_ID)),
        };
        match (least, greatest) {
            (Some(least), Some(greatest)) => Some(Self {
                rows,
                min_id: least.into(),
                max_id: greatest.into(),
            }),
            // An empty file has no bounds.
            (None, None) if rows == 0 => Some(Self {
                rows,
                min_id: Box::default(),
                max_id: Box::default(),
            }),
            _ => None,
        }
    }

    /// Whether a row of the file can have an ID.
    pub(crate) fn may_contain(&self, row_id: &str) -> bool {
        self.rows > 0 && *self.min_id <= *row_id && *row_id <= *self.max_id
    }
}

fn tag<'a>(add: &'a Add, name: &str) -> Option<&'a str> {
    add.tags.as_ref()?.get(name)?.as_deref()
}

/// Adds what was read from a file to its entry, which had no bounds.
pub(crate) fn complete(add: &mut Add, schema: &TableSchema, found: &RowsAndBounds) {
    let bounds = [&found.min_id, &found.max_id].map(|bound| (found.rows > 0).then(|| bound.to_string()));
    let stats = if let Some(id) = schema.only_id() {
        let [min_values, max_values] = bounds.map(|bound| Bounds(bound.map(|bound| (id.to_owned(), json!(bound))).into_iter().collect()));
        Stats {
            num_records: Some(found.rows),
            min_values,
            max_values,
            ..Stats::default()
        }
    } else {
        let tags = [MIN_ID, MAX_ID].into_iter().zip(bounds).filter(|(_, bound)| bound.is_some());
        add.tags
            .get_or_insert_default()
            .extend(tags.map(|(name, bound)| (name.to_owned(), bound)));
        let recorded: Option<Stats> = add.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok());
        Stats {
            num_records: Some(found.rows),
            ..recorded.unwrap_or_default()
        }
    };
    add.stats = serde_json::to_string(&stats).ok();
}

/// The tags of a file with these rows, which are sorted; none if its statistics contain the bounds.
pub(crate) fn tags(schema: &TableSchema, rows: &[Row]) -> Option<TextMap> {
    let bound = |name: &str, row: Option<&Row>| Some((name.to_owned(), Some(row?.row_id.as_str().to_owned())));
    match schema.only_id() {
        Some(_) => None,
        None => [bound(MIN_ID, rows.first()), bound(MAX_ID, rows.last())].into_iter().collect(),
    }
}
