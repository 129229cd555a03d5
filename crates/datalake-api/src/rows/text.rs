//! Encodes rows as JSON, NDJSON or CSV, chunk by chunk.

use std::io::Write as _;

use datalake_core::{
    calendar::Ages,
    csv::{self, Escape},
    dataset::{KeyParts, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
};
use datalake_table::memory::row_cursor::{CursorPosition, RowCursor};

/// The notation of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// `[{…},{…}]`
    Json,
    /// One `{…}` per line.
    Ndjson,
    /// A header, and one line of RFC 4180 per row.
    Csv(Escape),
}

/// Encodes rows row by row.
#[derive(Clone, Debug)]
pub struct RowsText {
    cursor: RowCursor,
    notation: Notation,
    columns: Box<[Column]>,
    /// The JSON before the value of each column, such as `,"name":`.
    names: Box<[String]>,
    ages: Ages,
    position: Position,
    /// The line of a CSV that is being written, for its memory.
    line: String,
}

/// The position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Start,
    AfterRow,
    End,
}

impl RowsText {
    /// Encodes these rows.
    pub fn new(cursor: RowCursor, notation: Notation, columns: &[Column], ages: Ages) -> Self {
        let name = |(index, column): (usize, &Column)| {
            let start = if index == 0 { "{" } else { "," };
            format!("{start}\"{}\":", column.name(cursor.dataset()))
        };
        Self {
            names: columns.iter().enumerate().map(name).collect(),
            cursor,
            notation,
            columns: columns.into(),
            ages,
            position: Position::Start,
            line: String::new(),
        }
    }

    /// Appends at least `bytes_min` bytes, or the rest.
    pub fn write(&mut self, text: &mut Vec<u8>, bytes_min: usize) {
        if self.position == Position::Start && matches!(self.notation, Notation::Csv(_)) {
            write_line(text, &mut self.line, |line| {
                csv::push_header(line, self.cursor.dataset(), &self.columns);
            });
        }
        let until = text.len() + bytes_min;
        while text.len() < until && self.position != Position::End {
            let Some(row) = self.cursor.next_row() else {
                if self.notation == Notation::Json {
                    text.extend_from_slice(if self.position == Position::Start { b"[]" } else { b"]" });
                }
                self.position = Position::End;
                return;
            };
            match self.notation {
                Notation::Json => {
                    text.push(if self.position == Position::Start { b'[' } else { b',' });
                    write_object(text, &row, &self.columns, &self.names, self.ages);
                }
                Notation::Ndjson => {
                    write_object(text, &row, &self.columns, &self.names, self.ages);
                    text.push(b'\n');
                }
                Notation::Csv(escape) => {
                    let push = |line: &mut String| csv::push_escaped_line(line, &row, &self.columns, self.ages, escape);
                    write_line(text, &mut self.line, push);
                }
            }
            self.position = Position::AfterRow;
        }
    }

    /// The position after the last row that was written.
    pub fn mark(&self) -> CursorPosition {
        self.cursor.position()
    }

    /// Continues at a position of an equal text.
    pub fn seek(&mut self, mark: CursorPosition) {
        self.cursor.seek(mark);
        self.position = Position::AfterRow;
    }

    /// Whether every row that is read is written.
    pub fn returns_every_row(&self) -> bool {
        self.cursor.returns_every_row()
    }

    /// Whether the whole text has been written.
    pub fn is_ended(&self) -> bool {
        self.position == Position::End
    }
}

fn write_line(text: &mut Vec<u8>, line: &mut String, push: impl FnOnce(&mut String)) {
    line.clear();
    push(line);
    text.extend_from_slice(line.as_bytes());
}

/// `names` are the JSON before the value of each column.
fn write_object(text: &mut Vec<u8>, row: &RowView<'_>, columns: &[Column], names: &[String], ages: Ages) {
    for (column, name) in columns.iter().zip(names) {
        text.extend_from_slice(name.as_bytes());
        write_value(text, row, *column, ages);
    }
    text.push(b'}');
}

/// Writes the value of a column as JSON. Days and times are strings in the format of RFC 3339.
pub fn write_value(text: &mut Vec<u8>, row: &RowView<'_>, column: Column, ages: Ages) {
    match column {
        // Without a cell, whose copy takes longer than writing most values.
        Column::Value(index) => write_optional(text, row.value(index)),
        Column::File(_) | Column::Derived(_) => match row.cell(column, ages) {
            Some(Cell::Path(parts)) => write_path(text, parts),
            Some(Cell::Value(value)) => write_optional(text, Some(value)),
            None => write_optional(text, None),
        },
    }
}

#[inline]
fn write_optional(text: &mut Vec<u8>, value: Option<ValueRef<'_>>) {
    match value {
        None => text.extend_from_slice(b"null"),
        Some(ValueRef::Text(value)) => write_text(text, value),
        Some(ValueRef::Integer(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number)) => write_number(text, number),
        // The shortest form of a number is valid JSON.
        Some(value @ ValueRef::Number(_)) => write!(text, "{value}").expect("writing to memory cannot fail"),
        Some(ValueRef::Boolean(value)) => text.extend_from_slice(if value { b"true" } else { b"false" }),
        Some(value @ (ValueRef::Date(_) | ValueRef::DateTime(_))) => {
            write!(text, "\"{value}\"").expect("writing to memory cannot fail");
        }
    }
}

fn write_number(text: &mut Vec<u8>, number: i64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_text(text: &mut Vec<u8>, value: &str) {
    if !is_plain(value) {
        serde_json::to_writer(text, value).expect("writing a string to memory cannot fail");
        return;
    }
    text.push(b'"');
    text.extend_from_slice(value.as_bytes());
    text.push(b'"');
}

fn write_path(text: &mut Vec<u8>, parts: KeyParts<'_>) {
    if !parts.iter().all(is_plain) {
        write_text(text, &parts.concat());
        return;
    }
    text.push(b'"');
    parts.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
    text.push(b'"');
}

/// Whether a text contains nothing that JSON escapes, like most. It is copied unchanged.
fn is_plain(text: &str) -> bool {
    // Without an early exit, the compiler vectorizes the loop.
    let escaped = |found: u8, byte: u8| found | u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.bytes().fold(0, escaped) == 0
}
