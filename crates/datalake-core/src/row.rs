//! One row of the table: its values, and the versions of the objects that they were read from.

use std::fmt;

use jiff::Timestamp;

use crate::{
    calendar::{Age, Ages, Day},
    dataset::{Dataset, DerivedFunction, KeyParts, Value, ValueRef},
    query::column::Column,
    row_id::RowId,
    run::RunId,
};

/// The version of the source object that a value was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The ETag of the bytes that were read, without quotes.
    pub etag: Box<str>,
    /// The size of the object in bytes.
    pub size: u64,
    /// When the store received the object.
    pub modified: Timestamp,
}

impl Provenance {
    /// Whether the ETag and size of a listing are those of the bytes that were read.
    pub fn matches(&self, etag: &str, size: u64) -> bool {
        *self.etag == *etag && self.size == size
    }
}

/// A row of the table. The keys of files are not fields: they follow from the ID and from whether there is a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The values of the placeholders in the key of the source, which identify the row.
    pub row_id: RowId,
    /// The values of the last valid source, in the order of [`Dataset::stored_columns`]; none where there is no value.
    pub values: Box<[Option<Value>]>,
    /// The source that `values` were read from.
    pub csv: Provenance,
    /// The linked files, in the order of the declaration; none if there has never been a valid one or it was removed.
    pub files: Box<[Option<Provenance>]>,
    /// The last run that changed the row.
    pub run_id: RunId,
}

impl Row {
    /// Whether readers see the same in both rows: the same values, and a file or none in both. Provenance is not compared.
    pub fn is_visibly_equal(&self, other: &Self) -> bool {
        let has_files = |row: &Self| row.files.iter().map(Option::is_some).collect::<Vec<_>>();
        self.row_id == other.row_id && self.values == other.values && has_files(self) == has_files(other)
    }

    /// The linked file of this index in the declaration.
    pub fn file(&self, index: usize) -> Option<&Provenance> {
        self.files.get(index)?.as_ref()
    }

    /// The values that readers see. `dataset` is the declaration by which the row was read.
    pub fn view<'a>(&'a self, dataset: &'a Dataset) -> RowView<'a> {
        RowView::new(self.row_id.as_str(), dataset, self, 0)
    }
}

/// Rows in memory, from which views read values. Implemented by packed columns, and by a single [`Row`].
pub trait RowValues: fmt::Debug + Send + Sync {
    /// The value of a row, by its index in [`Dataset::stored_columns`].
    fn value(&self, row: usize, column: usize) -> Option<ValueRef<'_>>;

    /// Whether a row has a file, by its index in [`Dataset::files`].
    fn has_file(&self, row: usize, file: usize) -> bool;
}

impl RowValues for Row {
    fn value(&self, _: usize, column: usize) -> Option<ValueRef<'_>> {
        self.values.get(column).and_then(Option::as_ref).map(Value::as_ref)
    }

    fn has_file(&self, _: usize, file: usize) -> bool {
        self.files.get(file).is_some_and(Option::is_some)
    }
}

/// The values of a row that readers see. Nothing is read before it is requested.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    /// The text of the ID ([`RowId::as_str`]), which identifies the row.
    pub row_id: &'a str,
    dataset: &'a Dataset,
    rows: &'a dyn RowValues,
    row: usize,
}

/// The value of a row in one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// A value of the source, or a derived one.
    Value(ValueRef<'a>),
    /// The key of a file, in parts, for writers that append a million keys to a buffer.
    Path(KeyParts<'a>),
}

impl<'a> RowView<'a> {
    /// The row at an index of rows in memory.
    #[inline]
    pub fn new(row_id: &'a str, dataset: &'a Dataset, rows: &'a dyn RowValues, row: usize) -> Self {
        Self {
            row_id,
            dataset,
            rows,
            row,
        }
    }

    /// The text of the ID.
    #[inline]
    pub fn row_id(&self) -> &'a str {
        self.row_id
    }

    /// The declaration by which the row was read.
    #[inline]
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// The value of a column, by its index in [`Dataset::columns`].
    #[inline]
    pub fn value(&self, column: usize) -> Option<ValueRef<'a>> {
        match (self.dataset.stored_index(column), self.dataset.id_columns()) {
            (Some(index), _) => self.rows.value(self.row, index),
            (None, 1) => Some(ValueRef::Text(self.row_id)),
            (None, _) => self.row_id.split(RowId::SEPARATOR).nth(column).map(ValueRef::Text),
        }
    }

    /// Whether the row has a file, by its index in [`Dataset::files`].
    #[inline]
    pub fn has_file(&self, file: usize) -> bool {
        self.rows.has_file(self.row, file)
    }

    /// The key of a file or of its copy, in parts; none if the row does not have the file.
    #[inline]
    pub fn path(&self, file: usize) -> Option<KeyParts<'a>> {
        self.has_file(file).then(|| self.dataset.files()[file].path(self.row_id))
    }

    /// The value of any column. `ages` has the day of the query.
    #[inline]
    pub fn cell(&self, column: Column, ages: Ages) -> Option<Cell<'a>> {
        match column {
            Column::Value(index) => self.value(index).map(Cell::Value),
            Column::File(index) => self.path(index).map(Cell::Path),
            Column::Derived(index) => self.derived(index, ages).map(Cell::Value),
        }
    }

    fn derived(&self, index: usize, ages: Ages) -> Option<ValueRef<'a>> {
        let derived = &self.dataset.derived()[index];
        let argument = derived.argument_index;
        match derived.function {
            DerivedFunction::Years => ages.of(self.day(argument)?).map(|age| ValueRef::Integer(Age::years(age).into())),
            DerivedFunction::Year => Some(ValueRef::Integer(self.day(argument)?.date().year().into())),
            DerivedFunction::Length => match self.value(argument)? {
                ValueRef::Text(text) => i64::try_from(text.chars().count()).ok().map(ValueRef::Integer),
                _ => None,
            },
            DerivedFunction::Has => Some(ValueRef::Boolean(self.has_file(argument))),
        }
    }

    /// The day of a column of days or instants, by its index in [`Dataset::columns`].
    pub fn day(&self, column: usize) -> Option<Day> {
        self.value(column)?.day()
    }
}

impl PartialEq for RowView<'_> {
    fn eq(&self, other: &Self) -> bool {
        let has_equal_value = |column| self.rows.value(self.row, column) == other.rows.value(other.row, column);
        self.row_id == other.row_id
            && (0..self.dataset.stored_columns().count()).all(has_equal_value)
            && (0..self.dataset.files().len()).all(|file| self.has_file(file) == other.has_file(file))
    }
}

impl Eq for RowView<'_> {}

/// Omits the values, which must not be logged.
impl fmt::Debug for RowView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowView").field("row_id", &self.row_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod test_rows {
    use super::*;

    /// The row of a user with two names and a birth time.
    pub(crate) fn user(row_id: &str, names: [&str; 2], birth_ms: i64, has_image: bool) -> Row {
        let provenance = Provenance {
            etag: "tag".into(),
            size: 1,
            modified: Timestamp::UNIX_EPOCH,
        };
        let [first, last] = names.map(|name| Some(Value::Text(name.into())));
        Row {
            row_id: RowId::parse(row_id).expect("the ID is valid"),
            values: [first, last, Some(Value::EpochMs(birth_ms))].into(),
            files: [has_image.then(|| provenance.clone())].into(),
            csv: provenance,
            run_id: RunId::parse("run-1").expect("the ID is valid"),
        }
    }
}
