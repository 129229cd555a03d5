//! Declarations of datasets: what a lake contains, as a value of type [`Dataset`].
//!
//! A declaration is a TOML text. Parsing checks all of it, so a [`Dataset`] is consistent: names are unique, patterns compile,
//! constraints apply to the types of their columns. The users are the default of a lake without declaration. Nothing here reads a source:
//! `source.rs` does, as a dataset declares it.

mod canonical;
mod column;
mod declaration;
mod derived;
mod document;
mod error;
mod file;
mod format;
pub(crate) mod instant;
mod key_pattern;
mod name;
mod regex_error;
mod supported;
mod value;

use std::sync::{Arc, LazyLock};

pub use self::{
    column::{Column, Constraints, Maximum, Origin, Pattern, TEXT_BYTES_MAX},
    derived::{DerivedColumn, DerivedFunction},
    error::DatasetError,
    file::{DECLARED_FILE_BYTES_MAX, FILE_BYTES_MAX, FileColumn, FileType},
    format::{Compression, CsvDialect, Encoding, ExtraColumns, SourceFormat},
    key_pattern::{KeyMatch, KeyMismatch, KeyParts, KeyPattern, Placeholder},
    name::Name,
    supported::UnsupportedDataset,
    value::{ColumnType, Value, ValueRef},
};

use crate::row_id::RowId;

/// The declaration of the users, the default of a lake.
const USERS: &str = include_str!("dataset/users.toml");

static USERS_DATASET: LazyLock<Arc<Dataset>> = LazyLock::new(|| Arc::new(Dataset::parse(USERS).expect("the tests parse the constant")));

/// What a lake contains: the keys, columns and files of its rows, and what is derived from them.
///
/// Two datasets are equal if rows of both have the same meaning; comments, white space and defaults that are written out do not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    title: Box<str>,
    entity: Box<str>,
    key: KeyPattern,
    format: SourceFormat,
    compression: Compression,
    csv: CsvDialect,
    columns: Box<[Column]>,
    /// For each placeholder, the index of its values among those that rows store; none for a text of the ID.
    stored: Box<[Option<usize>]>,
    /// The number of placeholders whose values rows store.
    stored_ids: usize,
    files: Box<[FileColumn]>,
    derived: Box<[DerivedColumn]>,
    stats: Box<[Name]>,
    missing_values: Box<[Box<str>]>,
}

// Its numbers are finite, and patterns are compared by their text.
impl Eq for Dataset {}

/// What an object of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// The source of a row.
    Source,
    /// A file of a row, by its index in [`Dataset::files`].
    File(usize),
}

/// A derived column of completed years, and the column of the days from which the years are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedYears {
    /// The index in [`Dataset::derived`].
    pub derived: usize,
    /// The index in [`Dataset::columns`].
    pub day: usize,
}

impl Dataset {
    /// Maximum size of a declaration, in bytes, as written and in canonical form: 256 columns of 250 bytes.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// The users: the dataset of a lake without declaration.
    pub fn users() -> &'static Self {
        &USERS_DATASET
    }

    /// The users, for owners of a dataset.
    pub fn shared_users() -> Arc<Self> {
        Arc::clone(&USERS_DATASET)
    }

    /// Parses a declaration. The error is the first one of the text.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        declaration::parse(text)
    }

    /// Parses the declaration that a commit stores. Its size, reserved names and keys of several patterns are not checked: the table could not be
    /// loaded after a change of these rules.
    pub fn parse_stored(text: &str) -> Result<Self, DatasetError> {
        declaration::parse_stored(text)
    }

    /// The canonical text of the declaration: parsing it returns an equal dataset, and equal datasets have the same text.
    pub fn canonical(&self) -> String {
        canonical::write(self)
    }

    /// The name of the rows in the plural, for titles.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The rows in the plural within a sentence: `users`. Abbreviations keep their capitals: `PCR plates`.
    pub fn rows_in_sentence(&self) -> String {
        let mut characters = self.title.chars();
        match (characters.next(), characters.clone().next()) {
            (Some(first), second) if !second.is_some_and(char::is_uppercase) => first.to_lowercase().chain(characters).collect(),
            _ => self.title.to_string(),
        }
    }

    /// What one row is, in the singular: `user`.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// The keys of the sources. The placeholders identify a row, and rows are ordered by them.
    pub fn key(&self) -> &KeyPattern {
        &self.key
    }

    /// The source or the file that a key is of, with the values that identify the row. If the key has several meanings, the source comes first,
    /// then the files as declared; if it has none, the mismatch is that of the most similar pattern.
    pub fn match_key<'k>(&self, key: &'k str) -> Result<(KeyRole, KeyMatch<'k>), KeyMismatch> {
        let files = self.files.iter().enumerate().map(|(index, file)| (KeyRole::File(index), &file.key));
        let mut nearest = KeyMismatch::OtherFolder;
        for (role, pattern) in [(KeyRole::Source, &self.key)].into_iter().chain(files) {
            match pattern.match_key(key) {
                Ok(found) => return Ok((role, found)),
                Err(mismatch) => nearest = nearest.max(mismatch),
            }
        }
        Err(nearest)
    }

    /// The format of the sources.
    pub fn format(&self) -> SourceFormat {
        self.format
    }

    /// How sources are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The dialect of the sources; it has a meaning only if they are CSVs.
    pub fn csv(&self) -> &CsvDialect {
        &self.csv
    }

    /// The number of values that identify a row: those of the first columns.
    #[inline]
    pub fn id_columns(&self) -> usize {
        self.key.placeholders().len()
    }

    /// Whether an ID has as many values as those of this dataset. One of an earlier declaration may have others.
    pub fn has_ids_like(&self, row_id: &RowId) -> bool {
        row_id.values().count() == self.id_columns()
    }

    /// The columns whose values rows store, with their indexes in [`Dataset::columns`]: all but the placeholders of the type string, whose values are those
    /// of the ID.
    pub fn stored_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(index, _)| self.stored_index(*index).is_some())
    }

    /// The index of the values of a column among those that rows store; none for a text of the ID.
    #[inline]
    pub fn stored_index(&self, column: usize) -> Option<usize> {
        // The columns after the placeholders are all stored.
        match column.checked_sub(self.id_columns()) {
            Some(after) => Some(self.stored_ids + after),
            None => self.stored[column],
        }
    }

    /// The columns with values of the sources: those of the placeholders, then the others as declared.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The files of a row, as declared.
    pub fn files(&self) -> &[FileColumn] {
        &self.files
    }

    /// The files that runs copy, with their indexes in [`Dataset::files`].
    pub fn copied_files(&self) -> impl Iterator<Item = (usize, &FileColumn)> {
        self.files.iter().enumerate().filter(|(_, file)| file.copy_to.is_some())
    }

    /// The derived columns, as declared.
    pub fn derived(&self) -> &[DerivedColumn] {
        &self.derived
    }

    /// The completed years that readers keep counts of, so that their bounds and statistics need no scan: those of the first derived column.
    pub fn counted_years(&self) -> Option<CountedYears> {
        let derived = self.derived.iter().position(|derived| derived.function == DerivedFunction::Years)?;
        Some(CountedYears {
            derived,
            day: self.derived[derived].argument_index,
        })
    }

    /// The columns and derived columns with statistics.
    pub fn stats(&self) -> &[Name] {
        &self.stats
    }

    /// The texts that mean that there is no value.
    pub fn missing_values(&self) -> &[Box<str>] {
        &self.missing_values
    }

    /// The names of all columns in the order of responses: placeholders, columns, files, derived columns.
    pub fn column_names(&self) -> impl Iterator<Item = &Name> {
        let columns = self.columns.iter().map(|column| &column.name);
        let files = self.files.iter().map(|file| &file.column);
        columns.chain(files).chain(self.derived.iter().map(|derived| &derived.name))
    }

    /// Whether rows of both datasets have the same columns and files, so that they can be compared: the names, types and order of all columns, the
    /// names and paths of files, and how columns are derived. Titles, constraints and where values are read from may differ.
    pub fn has_same_columns(&self, other: &Self) -> bool {
        let are_same_columns = self
            .columns
            .iter()
            .map(|column| (&column.name, column.column_type))
            .eq(other.columns.iter().map(|column| (&column.name, column.column_type)));
        let are_same_files = self
            .files
            .iter()
            .map(FileColumn::shown)
            .eq(other.files.iter().map(FileColumn::shown));
        are_same_columns && are_same_files && self.derived == other.derived
    }

    fn stored_indexes(columns: &[Column]) -> Box<[Option<usize>]> {
        let mut next = 0;
        let index = |column: &Column| {
            let is_text_of_id = matches!(column.origin, Origin::Key(_)) && column.column_type == ColumnType::String;
            (!is_text_of_id).then(|| {
                next += 1;
                next - 1
            })
        };
        let is_in_key = |column: &&Column| matches!(column.origin, Origin::Key(_));
        columns.iter().take_while(is_in_key).map(index).collect()
    }

    /// The columns with statistics if a declaration lists none: numbers, then derived numbers.
    fn default_stats(columns: &[Column], derived: &[DerivedColumn]) -> Box<[Name]> {
        let numbers = columns
            .iter()
            .filter(|column| column.column_type.is_numeric())
            .map(|column| &column.name);
        let derived = derived
            .iter()
            .filter(|derived| derived.function.is_numeric())
            .map(|derived| &derived.name);
        numbers.chain(derived).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
