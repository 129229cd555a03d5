//! The header: the positions of the columns, and the reject if one is missing.

use std::ops::Range;

use super::{
    COLUMNS,
    decode::Source,
    delimiter,
    records::{Field, Records},
};
use crate::{
    reject::{Reason, Reject, RejectCode},
    text::{self, code_point, code_points, quoted},
};

/// Longest name, and most names, that are compared with the name of a missing column: the work for a header of thousands of columns is
/// bounded.
const COMPARED_BYTES_MAX: usize = 64;
const COMPARED_NAMES_MAX: usize = 100;

/// The least similarity of a name that is suggested as the nearest, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.7;

#[derive(Debug)]
pub(super) struct Header {
    /// The positions of the declared columns.
    pub(super) positions: [usize; 3],
    width: usize,
}

impl Header {
    /// Finds the columns in the fields of the first record.
    pub(super) fn read(source: &Source<'_>, records: &Records, header: Range<usize>) -> Result<Self, Reject> {
        let fields = records.fields(header);
        let names: Vec<String> = fields.iter().map(|field| name(source, field)).collect();
        let mut found = [None; 3];
        for (position, name) in names.iter().enumerate() {
            let Some(column) = COLUMNS.iter().position(|known| name.eq_ignore_ascii_case(known)) else {
                continue;
            };
            if let Some(first) = found[column].replace(position) {
                let reason = Reason::new(
                    format!(
                        "the header names {} twice, in columns {} and {}",
                        COLUMNS[column],
                        first + 1,
                        position + 1
                    ),
                    "each column once",
                    "remove or rename one of the two",
                );
                let at = fields[position].content.start;
                return Err(source.reject(RejectCode::DuplicateColumn, Some(COLUMNS[column]), at, reason));
            }
        }
        match found {
            [Some(first_name), Some(last_name), Some(birthts)] => Ok(Self {
                positions: [first_name, last_name, birthts],
                width: fields.len(),
            }),
            _ => Err(missing(source, fields, &names, found)),
        }
    }

    /// Rejects a row with another number of fields than the header has.
    pub(super) fn check_width(&self, source: &Source<'_>, row: &[Field]) -> Result<(), Reject> {
        let (expected, found) = (self.width, row.len());
        if expected == found {
            return Ok(());
        }
        let first = &row[0];
        let at = first.content.start - usize::from(first.is_quoted);
        let text = source.text.get(first.whole.start..row[found - 1].whole.end).unwrap_or_default();
        if let (1, Some(delimiter)) = (found, delimiter::of_line(text)) {
            return Err(source.reject(RejectCode::Delimiter, None, at, delimiter::reason(delimiter)));
        }
        let count = |count: usize| match count {
            1 => "1 field".to_owned(),
            _ => format!("{count} fields"),
        };
        let (found, remedy) = match found < expected {
            true => too_few(text, first, source, &count(found)),
            false => too_many(text, row, &count(found), expected),
        };
        let reason = Reason::new(found, format!("{}, as in the header", count(expected)), remedy);
        Err(source.reject(RejectCode::FieldCount, None, at, reason))
    }
}

fn too_few(text: &str, first: &Field, source: &Source<'_>, count: &str) -> (String, &'static str) {
    let text = text.trim();
    let is_row_count = || {
        let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or_default();
        let (number, unit) = inner.split_once(' ').unwrap_or_default();
        matches!(unit, "row" | "rows") && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !text.is_empty() && text.chars().all(char::is_control) {
        let character = text.chars().next().map(code_point).unwrap_or_default();
        return (format!("this line has only the control character {character}"), "remove the line");
    }
    if text.starts_with('#') || text.starts_with("//") || text.starts_with("--") {
        return (
            format!("this line is a comment, {}, and a CSV has none", quoted(text)),
            "remove the line",
        );
    }
    if is_row_count() {
        return (
            format!("this line is the row count of a database client, {}", quoted(text)),
            "remove the line",
        );
    }
    let remedy = match first.whole.start > 0 && !source.text.ends_with(['\n', '\r']) {
        true => "add the missing fields; upload the file again if its end is missing, as the last line has no line break",
        false => "add the missing fields; write a field without a value as an empty one",
    };
    (format!("this row has {count}"), remedy)
}

fn too_many(text: &str, row: &[Field], count: &str, expected: usize) -> (String, &'static str) {
    if row[expected..].iter().all(|field| field.content.is_empty()) {
        return (
            format!("this row has {count}, and those after field {expected} are empty"),
            "remove the commas at its end",
        );
    }
    let marks = text
        .chars()
        .filter(|character| matches!(character, '“' | '”' | '„' | '«' | '»' | '‘' | '’' | '\''));
    let remedy = "quote values that contain a comma: \"Lee, Jr\"";
    match code_points(marks) {
        marks if marks.is_empty() => (format!("this row has {count}"), remedy),
        marks => (
            format!("this row has {count}; it contains {marks}, which do not quote a value"),
            remedy,
        ),
    }
}

/// A name without spaces around it. Other white space remains, so that messages can name it.
fn name(source: &Source<'_>, field: &Field) -> String {
    let text = match field.is_quoted {
        true => field.content(source),
        false => source.text.get(field.whole.clone()).unwrap_or_default().into(),
    };
    text.trim_matches(' ').to_owned()
}

fn missing(source: &Source<'_>, fields: &[Field], names: &[String], found: [Option<usize>; 3]) -> Reject {
    const EXPECTED: &str = "the header first_name,last_name,birthts";
    let start = fields[0].content.start - usize::from(fields[0].is_quoted);
    let is_missing = |column: &usize| found[*column].is_none();
    let missing: Vec<usize> = (0..COLUMNS.len()).filter(is_missing).collect();
    let nearest = missing
        .iter()
        .find_map(|column| Some((*column, nearest(names, &found, COLUMNS[*column])?)));
    // A whole line in quotes, as some programs write it.
    if let ([only], true) = (names, fields[0].is_quoted) {
        if let Some(delimiter) = delimiter::of_line(only) {
            return source.reject(RejectCode::Delimiter, None, start, delimiter::reason(delimiter));
        }
        if only.split(',').filter(|part| COLUMNS.contains(&part.trim())).count() > 1 {
            let reason = Reason::new("the whole line is in quotes", EXPECTED, "remove the quotes around each line");
            return source.reject(RejectCode::Quote, None, start, reason);
        }
    }
    if let Some((column, position)) = nearest {
        let (column, name) = (COLUMNS[column], &names[position]);
        let is_unexpected = |character: &char| (text::is_invisible(*character) && *character != ' ') || !character.is_ascii();
        let unexpected = match code_points(name.chars().filter(is_unexpected)) {
            characters if characters.is_empty() => String::new(),
            characters => format!(", which contains {characters}"),
        };
        let found = format!("the header has no column {column}; the nearest is {}{unexpected}", quoted(name));
        let reason = Reason::new(found, EXPECTED, format!("rename that column to {column}"));
        return source.reject(RejectCode::MissingColumn, Some(column), fields[position].content.start, reason);
    }
    if found == [None; 3] {
        let line = source
            .text
            .get(fields[0].whole.start..fields[fields.len() - 1].whole.end)
            .unwrap_or_default();
        let reason = Reason::new(
            format!("the first line, {}, names none of the columns", quoted(line.trim())),
            EXPECTED,
            "add the header as the first line",
        );
        return source.reject(RejectCode::NoHeader, None, start, reason);
    }
    let columns: Vec<_> = missing.iter().map(|column| COLUMNS[*column]).collect();
    let reason = Reason::new(
        format!("the header has no column {}", columns.join(" and no column ")),
        EXPECTED,
        "add the column, with the user's value in the row",
    );
    source.reject(RejectCode::MissingColumn, Some(columns[0]), start, reason)
}

/// The position of the name that is most similar to that of a column, among names that are not columns.
fn nearest(names: &[String], found: &[Option<usize>; 3], column: &str) -> Option<usize> {
    let expected = skeleton(column);
    let is_other = |(position, name): &(usize, &String)| !found.contains(&Some(*position)) && name.len() <= COMPARED_BYTES_MAX;
    let similarity = |name: &str| strsim::normalized_damerau_levenshtein(&skeleton(name), &expected);
    let others = names.iter().enumerate().take(COMPARED_NAMES_MAX).filter(is_other);
    let near = others
        .map(|(position, name)| (position, similarity(name)))
        .filter(|(_, similarity)| *similarity >= SIMILARITY_MIN);
    near.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        .map(|(position, _)| position)
}

/// The ASCII letters and digits of a name in lower case, with similar letters of other scripts replaced: names with the same skeleton look
/// alike.
fn skeleton(name: &str) -> String {
    let plain = |character: char| match character {
        'а' | 'α' => 'a',
        'е' | 'ε' => 'e',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'х' => 'x',
        'у' => 'y',
        'і' | 'ı' | 'ι' => 'i',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'м' => 'm',
        'п' => 'n',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        _ => character,
    };
    let letters = name.chars().map(plain).filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}
