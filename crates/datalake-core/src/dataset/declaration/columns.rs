//! The section `[columns]`, and the names of all columns.

use std::borrow::Cow;

use super::{Rules, constraints};
use crate::{
    dataset::{
        column::{Column, Constraints, Origin},
        document::{Entry, Node, Table},
        error::DatasetError,
        file::FileColumn,
        format::SourceFormat,
        key_pattern::KeyPattern,
        name::Name,
        value::ColumnType,
    },
    text::{code_point, is_same_name, quoted},
};

/// Maximum number of columns, files and derived columns together: each row has a value for each.
const NAMES_MAX: usize = 256;

/// Maximum length of the name of a header, or of a JSON pointer, in bytes.
const SOURCE_BYTES_MAX: usize = 1_000;

/// Longest title of a column in characters: the width of a heading in a table.
const TITLE_CHARS_MAX: usize = 80;

/// The names that the columns have so far, each with the entry that declares it.
#[derive(Debug)]
pub(super) struct Names<'n> {
    pub(super) rules: Rules,
    names: Vec<(Name, Option<Entry<'n>>)>,
}

impl<'n> Names<'n> {
    /// No names yet.
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, names: Vec::new() }
    }

    /// Parses a name, or returns what is wrong with it and what is expected.
    pub(super) fn parse(&self, text: &str) -> Result<Name, (String, &'static str)> {
        let name = Name::parse(text)?;
        if self.rules == Rules::All {
            name.check_not_reserved()?;
        }
        Ok(name)
    }

    /// Adds a name, unless another column has it. `entry` is where the column is declared; `at` makes the error.
    pub(super) fn add(
        &mut self,
        name: &Name,
        entry: Option<&Entry<'n>>,
        at: impl Fn(String, String) -> DatasetError,
    ) -> Result<(), DatasetError> {
        if self.names.iter().any(|(other, _)| other == name) {
            return Err(at(
                format!("duplicate name {name}"),
                "a name that no other column, file or placeholder has".to_owned(),
            ));
        }
        if self.names.len() == NAMES_MAX {
            return Err(at(format!("more than {NAMES_MAX} columns"), format!("at most {NAMES_MAX} columns")));
        }
        self.names.push((name.clone(), entry.cloned()));
        Ok(())
    }

    /// Rejects columns whose names are those of parameters or of columns with the provenance of rows. `key` is where placeholders are declared.
    pub(super) fn check(&self, files: &[FileColumn], key: &Node<'_>) -> Result<(), DatasetError> {
        for (name, entry) in &self.names {
            let is_bound = || {
                ["min_", "max_"].iter().any(|prefix| {
                    name.strip_prefix(prefix)
                        .is_some_and(|rest| self.names.iter().any(|(other, _)| **other == *rest))
                })
            };
            let is_existence = || files.iter().any(|file| **name == format!("is_{}_exists", file.name));
            let is_parameter = || is_bound() || is_existence();
            let is_provenance = |file: &FileColumn| {
                ["etag", "size", "modified"]
                    .iter()
                    .any(|suffix| **name == format!("{}_{suffix}", file.name))
            };
            if files.iter().any(is_provenance) || self.rules == Rules::All && is_parameter() {
                let found = format!("the reserved name {name}, which follows from another column or file");
                return Err(match entry {
                    Some(entry) => entry.error(found, "another name"),
                    None => key.error(found, "another name"),
                });
            }
        }
        Ok(())
    }
}

/// Parses the section. The columns of placeholders come first, whether or not the section has their types.
pub(super) fn parse<'n>(
    node: Option<&Node<'n>>,
    key: &KeyPattern,
    format: SourceFormat,
    missing_values: &[Box<str>],
    names: &mut Names<'n>,
) -> Result<Box<[Column]>, DatasetError> {
    let table = node.map(|node| node.table("[columns] with a type for each name")).transpose()?;
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    let mut columns = Vec::new();
    for (index, placeholder) in key.placeholders().iter().enumerate() {
        let entry = entries.iter().find(|entry| *entry.key == *placeholder.name);
        columns.push(match entry {
            Some(entry) => column(entry, placeholder.name.clone(), Origin::Key(index), format, missing_values)?,
            None => Column {
                name: placeholder.name.clone(),
                title: None,
                origin: Origin::Key(index),
                column_type: ColumnType::String,
                constraints: Constraints::default(),
                date_format: None,
            },
        });
        names.add(&placeholder.name, entry, |found, expected| match entry {
            Some(entry) => entry.error(found, expected),
            None => DatasetError::at("", 0, found, expected),
        })?;
    }
    for entry in entries {
        if key.placeholders().iter().any(|placeholder| *placeholder.name == *entry.key) {
            continue;
        }
        let name = names.parse(entry.key).map_err(|(found, expected)| entry.error(found, expected))?;
        if format == SourceFormat::KeyOnly {
            let placeholders: Vec<_> = key.placeholders().iter().map(|placeholder| placeholder.name.as_str()).collect();
            let expected = format!(
                "a placeholder of source.key, because the format none reads no content: {}",
                placeholders.join(", ")
            );
            return Err(entry
                .error(format!("the column {name}, which is not in the key"), expected)
                .with_nearest(&name, placeholders));
        }
        names.add(&name, Some(entry), |found, expected| entry.error(found, expected))?;
        let column = column(entry, name.clone(), Origin::Content(name.as_str().into()), format, missing_values)?;
        check_source(entry, &column, &columns, format)?;
        columns.push(column);
    }
    Ok(columns.into())
}

/// Rejects a column that is read from where another one is.
fn check_source(entry: &Entry<'_>, column: &Column, others: &[Column], format: SourceFormat) -> Result<(), DatasetError> {
    let is_same = |other: &Column| match (&other.origin, &column.origin) {
        // The names of a header are compared without their case.
        (Origin::Content(other), Origin::Content(own)) if format == SourceFormat::Csv => is_same_name(other, own),
        (Origin::Content(other), Origin::Content(own)) => pointer(other) == pointer(own),
        (other, own) => other == own,
    };
    match others.iter().find(|other| is_same(other)) {
        Some(other) => Err(entry.error(
            format!("the column {}, which is read from where {} is", column.name, other.name),
            "another source for each column",
        )),
        None => Ok(()),
    }
}

/// The JSON pointer of a source: the name of a member is one without its slash.
fn pointer(source: &str) -> Cow<'_, str> {
    match source.starts_with('/') {
        true => source.into(),
        false => format!("/{}", source.replace('~', "~0").replace('/', "~1")).into(),
    }
}

fn column(
    entry: &Entry<'_>,
    name: Name,
    origin: Origin,
    format: SourceFormat,
    missing_values: &[Box<str>],
) -> Result<Column, DatasetError> {
    let node = &entry.node;
    if !node.is_table() {
        let column_type = parse_type(node)?;
        return Ok(Column {
            name,
            title: None,
            origin,
            column_type,
            constraints: Constraints::default(),
            date_format: None,
        });
    }
    let table = node.table("a type")?;
    table.check_keys(&format!("the column {name}"), constraints::KEYS)?;
    let Some(type_node) = table.get("type") else {
        return Err(entry.error(format!("the column {name} without type"), "a type, like { type = \"string\" }"));
    };
    let column_type = parse_type(type_node)?;
    let origin = match (table.get("source"), origin) {
        (Some(node), Origin::Content(_)) => Origin::Content(source(node, format)?),
        (_, origin) => origin,
    };
    let is_in_key = matches!(origin, Origin::Key(_));
    let (constraints, date_format) = constraints::parse(&table, column_type, is_in_key, missing_values)?;
    Ok(Column {
        name,
        title: table.get("title").map(title).transpose()?,
        origin,
        column_type,
        constraints,
        date_format,
    })
}

fn title(node: &Node<'_>) -> Result<Box<str>, DatasetError> {
    let expected = format!("a text of 1 to {TITLE_CHARS_MAX} characters");
    let text = node.string(&expected)?;
    if let Some((at, character)) = text.char_indices().find(|(_, character)| character.is_control()) {
        return Err(node.error_within(at, format!("the control character {}", code_point(character)), expected));
    }
    let length = text.chars().count();
    if text.trim() != text || !(1..=TITLE_CHARS_MAX).contains(&length) {
        return Err(node.error(
            format!("the title {} of {length} characters", quoted(text)),
            format!("{expected} without spaces around it"),
        ));
    }
    Ok(text.into())
}

fn parse_type(node: &Node<'_>) -> Result<ColumnType, DatasetError> {
    let names = ColumnType::ALL.map(ColumnType::as_str);
    let expected = format!("one of the types {}", names.join(", "));
    let name = node.string(&expected)?;
    ColumnType::parse(name).ok_or_else(|| {
        node.error(format!("the unknown type {}", quoted(name)), expected)
            .with_nearest(name, names)
    })
}

/// The name of a header, or a JSON pointer (RFC 6901).
fn source(node: &Node<'_>, format: SourceFormat) -> Result<Box<str>, DatasetError> {
    let expected = match format {
        SourceFormat::Json => "the name of a member, or a JSON pointer like \"/address/city\"",
        SourceFormat::Csv | SourceFormat::KeyOnly => "the name of a header",
    };
    let text = node.string(expected)?;
    if let Some((at, character)) = text.char_indices().find(|(_, character)| character.is_control()) {
        return Err(node.error_within(at, format!("the control character {}", code_point(character)), expected));
    }
    let has_invalid_escape = || {
        text.match_indices('~')
            .any(|(at, _)| !matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')))
    };
    if format == SourceFormat::Json && text.starts_with('/') && has_invalid_escape() {
        return Err(node.error(
            format!("the pointer {}", quoted(text)),
            "~0 for a tilde and ~1 for a slash in a name",
        ));
    }
    if text.is_empty() || text.trim() != text || text.len() > SOURCE_BYTES_MAX {
        return Err(node.error(
            format!("the source {}", quoted(text)),
            format!("{expected}, without spaces around it"),
        ));
    }
    Ok(text.into())
}
