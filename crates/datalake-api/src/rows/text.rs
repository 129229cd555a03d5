//! Rows as text, a chunk at a time: JSON, NDJSON, CSV.

use datalake_core::{
    keys,
    output::{self, Escape},
    query::column::Column,
    row::RowView,
    user::{Age, Ages},
};
use datalake_table::memory::row_cursor::{CursorPosition, RowCursor};

/// How rows become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// `[{…},{…}]`
    Json,
    /// `{…}`, a line each.
    Ndjson,
    /// Lines of RFC 4180 behind a header.
    Csv(Escape),
}

/// The text of the rows of a walk, from where it stands.
#[derive(Clone, Debug)]
pub struct RowsText {
    walk: RowCursor,
    notation: Notation,
    columns: Box<[Column]>,
    /// What each member begins with in JSON, in the order of the columns.
    names: Box<[String]>,
    ages: Ages,
    place: Place,
}

/// Where in the text it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    AfterRow,
    End,
}

impl RowsText {
    /// Writes the rows of the cursor, row by row.
    pub fn new(walk: RowCursor, notation: Notation, columns: &[Column], ages: Ages) -> Self {
        let name = |(index, column): (usize, &Column)| format!("{}\"{column}\":", if index == 0 { "{" } else { "," });
        Self {
            walk,
            notation,
            names: columns.iter().enumerate().map(name).collect(),
            columns: columns.into(),
            ages,
            place: Place::Start,
        }
    }

    /// Appends at least so many bytes, or what is left.
    pub fn write(&mut self, text: &mut Vec<u8>, bytes_min: usize) {
        if self.place == Place::Start && matches!(self.notation, Notation::Csv(_)) {
            write_csv(text, |line| output::push_header(line, &self.columns));
        }
        let until = text.len() + bytes_min;
        while text.len() < until && self.place != Place::End {
            let Some(row) = self.walk.next_row() else {
                if self.notation == Notation::Json {
                    text.extend_from_slice(if self.place == Place::Start { b"[]" } else { b"]" });
                }
                self.place = Place::End;
                return;
            };
            match self.notation {
                Notation::Json => {
                    text.push(if self.place == Place::Start { b'[' } else { b',' });
                    write_object(text, &row, &self.columns, &self.names, self.ages);
                }
                Notation::Ndjson => {
                    write_object(text, &row, &self.columns, &self.names, self.ages);
                    text.push(b'\n');
                }
                Notation::Csv(escape) => {
                    write_csv(text, |line| output::push_escaped_line(line, &row, &self.columns, self.ages, escape));
                }
            }
            self.place = Place::AfterRow;
        }
    }

    /// Where it is, after a row.
    pub fn mark(&self) -> CursorPosition {
        self.walk.position()
    }

    /// Goes on behind a row of the same text.
    pub fn move_to(&mut self, mark: CursorPosition) {
        self.walk.seek(mark);
        self.place = Place::AfterRow;
    }

    /// Whether no row is looked at that is not written.
    pub fn returns_every_row(&self) -> bool {
        self.walk.returns_every_row()
    }

    /// Whether all of it has been written.
    pub fn is_ended(&self) -> bool {
        self.place == Place::End
    }
}

fn write_csv(text: &mut Vec<u8>, push: impl FnOnce(&mut String)) {
    let mut line = String::with_capacity(128);
    push(&mut line);
    text.extend_from_slice(line.as_bytes());
}

/// `names` are what each member begins with.
fn write_object(text: &mut Vec<u8>, row: &RowView<'_>, columns: &[Column], names: &[String], ages: Ages) {
    for (column, name) in columns.iter().zip(names) {
        text.extend_from_slice(name.as_bytes());
        write_value(text, row, *column, ages);
    }
    text.push(b'}');
}

/// A row's value in a column as JSON.
pub fn write_value(text: &mut Vec<u8>, row: &RowView<'_>, column: Column, ages: Ages) {
    match column {
        Column::UserId => write_text(text, row.user_id),
        Column::FirstName => write_text(text, row.first_name),
        Column::LastName => write_text(text, row.last_name),
        Column::Birthts => write_number(text, row.birth.as_ms()),
        Column::ImgPath if row.has_image => write_texts(text, keys::image_parts(row.user_id)),
        Column::Age => match ages.of(row.birth.day()).map(Age::years) {
            Some(years) => write_number(text, years.into()),
            None => text.extend_from_slice(b"null"),
        },
        Column::ImgPath => text.extend_from_slice(b"null"),
    }
}

fn write_number(text: &mut Vec<u8>, number: i64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_text(text: &mut Vec<u8>, value: &str) {
    write_texts(text, [value]);
}

/// The parts of one text. Most texts hold nothing that JSON escapes: those are copied as they are.
fn write_texts<const PARTS: usize>(text: &mut Vec<u8>, parts: [&str; PARTS]) {
    // Without an early end, several bytes are looked at at once.
    let escaped = |found: u8, byte: u8| found | u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if parts.iter().any(|part| part.bytes().fold(0, escaped) != 0) {
        serde_json::to_writer(text, &parts.concat()).expect("a text becomes JSON in memory");
        return;
    }
    text.push(b'"');
    for part in parts {
        text.extend_from_slice(part.as_bytes());
    }
    text.push(b'"');
}
