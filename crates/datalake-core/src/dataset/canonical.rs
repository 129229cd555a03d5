//! The canonical text of a dataset: the declaration without comments and white space of its own, and without what is the default.
//!
//! The text stays the same if a later version of the product knows more keys, so an update causes no run over all sources.

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::{
    Dataset,
    column::{Column, Constraints, Maximum, Origin, TEXT_BYTES_MAX},
    file::{FILE_BYTES_MAX, FileColumn},
    format::{CsvDialect, Encoding, ExtraColumns, SourceFormat},
    value::{ColumnType, Value},
};

/// Writes the canonical text.
pub(super) fn write(dataset: &Dataset) -> String {
    let mut text = String::new();
    entry(&mut text, "title", &string(&dataset.title));
    entry(&mut text, "entity", &string(&dataset.entity));
    if dataset.stats != Dataset::default_stats(&dataset.columns, &dataset.derived) {
        entry(&mut text, "stats", &array(dataset.stats.iter().map(|name| string(name))));
    }
    if !matches!(&*dataset.missing_values, [only] if only.is_empty()) {
        entry(
            &mut text,
            "missingValues",
            &array(dataset.missing_values.iter().map(|text| string(text))),
        );
    }
    text.push_str("[source]\n");
    entry(&mut text, "key", &string(dataset.key.as_str()));
    if SourceFormat::of_key(dataset.key.as_str()) != Some(dataset.format) {
        entry(&mut text, "format", &string(dataset.format.as_str()));
    }
    write_dialect(&mut text, &dataset.csv, CsvDialect::of_key(dataset.key.as_str()));
    // The columns of placeholders exist without an entry.
    let columns = dataset.columns.iter().map(|column| (column, declaration(column)));
    let declared: Vec<_> = columns
        .filter(|(column, declaration)| !matches!(column.origin, Origin::Key(_)) || declaration != "\"string\"")
        .collect();
    if !declared.is_empty() {
        text.push_str("[columns]\n");
    }
    for (column, declaration) in declared {
        entry(&mut text, &column.name, &declaration);
    }
    for file in &dataset.files {
        write_file(&mut text, file);
    }
    if !dataset.derived.is_empty() {
        text.push_str("[derived]\n");
    }
    for derived in &dataset.derived {
        entry(&mut text, &derived.name, &string(&derived.to_string()));
    }
    text
}

fn entry(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {value}");
}

/// A basic string of TOML.
fn string(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ if character.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn write_dialect(text: &mut String, dialect: &CsvDialect, default: CsvDialect) {
    if *dialect == default {
        return;
    }
    text.push_str("[csv]\n");
    if dialect.delimiter != default.delimiter {
        entry(text, "delimiter", &string(&char::from(dialect.delimiter).to_string()));
    }
    if dialect.encoding != Encoding::default() {
        entry(text, "encoding", &string(dialect.encoding.as_str()));
    }
    if dialect.decimal != default.decimal {
        entry(text, "decimalChar", &string(&dialect.decimal.to_string()));
    }
    if let Some(group) = dialect.group {
        entry(text, "groupChar", &string(&group.to_string()));
    }
    if dialect.extra_columns != ExtraColumns::default() {
        entry(text, "extra_columns", &string(dialect.extra_columns.as_str()));
    }
}

/// The value of a column's entry: its type, or a table if it has more.
fn declaration(column: &Column) -> String {
    let mut keys = vec![("type", string(column.column_type.as_str()))];
    keys.extend(column.title.as_ref().map(|title| ("title", string(title))));
    let Constraints {
        is_required,
        minimum,
        maximum,
        length_min,
        length_max,
        pattern,
        allowed,
        bytes_max,
    } = &column.constraints;
    if !is_required {
        keys.push(("required", "false".to_owned()));
    }
    if let Some(minimum) = minimum {
        keys.push(("minimum", constant(minimum)));
    }
    match maximum {
        Some(Maximum::Value(maximum)) => keys.push(("maximum", constant(maximum))),
        Some(Maximum::FromRun(duration)) => keys.push(("maximum", string(&from_run(*duration)))),
        None => {}
    }
    keys.extend(length_min.map(|length| ("minLength", length.to_string())));
    keys.extend(length_max.map(|length| ("maxLength", length.to_string())));
    keys.extend(pattern.as_ref().map(|pattern| ("pattern", string(pattern.as_str()))));
    keys.extend(allowed.as_ref().map(|values| ("enum", array(values.iter().map(constant)))));
    if *bytes_max != TEXT_BYTES_MAX {
        keys.push(("maxBytes", bytes_max.to_string()));
    }
    keys.extend(column.date_format.as_ref().map(|format| ("format", string(format))));
    if let Origin::Content(source) = &column.origin
        && **source != *column.name
    {
        keys.push(("source", string(source)));
    }
    match keys.as_slice() {
        [(_, column_type)] => column_type.clone(),
        keys => {
            let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("{{ {} }}", keys.join(", "))
        }
    }
}

/// A constant of a column's type.
fn constant(value: &Value) -> String {
    match value.column_type() {
        ColumnType::Integer | ColumnType::Number | ColumnType::Boolean | ColumnType::EpochMs | ColumnType::EpochS => value.to_string(),
        ColumnType::String | ColumnType::Date | ColumnType::DateTime => string(&value.to_string()),
    }
}

/// A maximum relative to the run, in the greatest unit up to hours that gives an integer.
fn from_run(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (number, unit) = match seconds {
        0 => return "run".to_owned(),
        _ if seconds % 3_600 == 0 => (seconds / 3_600, 'h'),
        _ if seconds % 60 == 0 => (seconds / 60, 'm'),
        _ => (seconds, 's'),
    };
    format!("run{number:+}{unit}")
}

fn write_file(text: &mut String, file: &FileColumn) {
    let _ = writeln!(text, "[files.{}]", file.name);
    entry(text, "key", &string(file.key.as_str()));
    entry(text, "types", &array(file.types.iter().map(|file_type| string(file_type.as_str()))));
    if file.bytes_max != FILE_BYTES_MAX {
        entry(text, "max_bytes", &file.bytes_max.to_string());
    }
    if *file.column != *format!("{}_path", file.name) {
        entry(text, "column", &string(&file.column));
    }
    if let Some(copy_to) = &file.copy_to {
        entry(text, "copy_to", &string(copy_to.as_str()));
    }
}
