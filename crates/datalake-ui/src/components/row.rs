//! A row of the table, whose values pages render by their type.

use datalake_core::{
    calendar::Ages,
    dataset::{Dataset, Value, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
    row_id::shown,
    text::capitalized,
};
use maud::{Markup, html};

use crate::components::{file_state::FileState, format::truncate, labels};

/// How many bytes of each text a title or a message shows. The page of the row shows the whole text.
pub(crate) const TEXT_BYTES_MAX: usize = 100;

/// The values of a row, with the derived ones on the requested day.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    values: Vec<Option<Value>>,
    derived: Vec<Option<Value>>,
    files: Vec<FileState>,
}

/// The value of a row in one column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowValue<'a> {
    None,
    Value(ValueRef<'a>),
    /// A file, by its index.
    File(usize, FileState),
}

impl Row {
    /// The row `view` of `version`.
    pub(crate) fn of(view: RowView<'_>, ages: Ages, version: u64, latest: u64) -> Self {
        let dataset = view.dataset();
        let value = |column| match view.cell(column, ages) {
            Some(Cell::Value(value)) => Some(value.to_value()),
            Some(Cell::Path(_)) | None => None,
        };
        let file = |file| FileState::of(view.has_file(file), version, latest);
        Self {
            id: shown(view.row_id).into_owned(),
            values: (0..dataset.columns().len()).map(Column::Value).map(value).collect(),
            derived: (0..dataset.derived().len()).map(Column::Derived).map(value).collect(),
            files: (0..dataset.files().len()).map(file).collect(),
        }
    }

    /// The value of a column.
    pub(crate) fn value(&self, column: Column) -> RowValue<'_> {
        let (values, index) = match column {
            Column::Value(index) => (&self.values, index),
            Column::Derived(index) => (&self.derived, index),
            Column::File(index) => return RowValue::File(index, self.file(index)),
        };
        let value = values.get(index).and_then(Option::as_ref);
        value.map_or(RowValue::None, |value| RowValue::Value(value.as_ref()))
    }

    /// The state of a file, by its index.
    pub(crate) fn file(&self, index: usize) -> FileState {
        self.files.get(index).copied().unwrap_or(FileState::None)
    }

    /// The title of the row.
    pub(crate) fn title(&self, dataset: &Dataset) -> String {
        let texts = labels::title_columns(dataset).filter_map(|index| match self.values.get(index)?.as_ref()? {
            Value::Text(text) => Some(&**text),
            _ => None,
        });
        joined(texts).unwrap_or_else(|| untitled(dataset, &self.id))
    }
}

/// The title of a row: its first texts, or what it is and its ID.
pub(crate) fn title(view: RowView<'_>) -> String {
    texts(view).unwrap_or_else(|| untitled(view.dataset(), &shown(view.row_id)))
}

/// The title of a row without texts, or of an ID without a row.
pub(crate) fn untitled(dataset: &Dataset, id: &str) -> String {
    format!("{} {id}", capitalized(dataset.entity()))
}

/// A row within a sentence: its first texts with the ID in parentheses, or the ID alone.
pub(crate) fn mention(view: RowView<'_>, text_bytes_max: usize) -> Markup {
    html! {
        @match texts(view) {
            Some(texts) => { bdi { (truncate(&texts, text_bytes_max)) } " (" bdi { (shown(view.row_id)) } ")" },
            None => bdi { (shown(view.row_id)) },
        }
    }
}

/// The first texts of a row; none if the dataset has none.
fn texts(view: RowView<'_>) -> Option<String> {
    joined(labels::title_columns(view.dataset()).filter_map(|index| match view.value(index)? {
        ValueRef::Text(text) => Some(text),
        _ => None,
    }))
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts: Vec<_> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}
