//! The header: the positions of the columns, and the reject if one is missing.

use std::{borrow::Cow, ops::Range};

use super::{
    decode::Source,
    delimiter,
    layout::Layout,
    records::{Field, Records},
};
use crate::{
    dataset::ExtraColumns,
    reject::{Reason, Reject, RejectCode},
    text::{self, code_point, code_points, is_same_name, quoted},
};

/// Maximum length and maximum number of the names that are compared with the name of a missing column: the work for a header of thousands of
/// columns is bounded.
const COMPARED_BYTES_MAX: usize = 64;
const COMPARED_NAMES_MAX: usize = 100;

/// Minimum length of a name in which one other letter is a typing error.
const TYPED_LENGTH_MIN: usize = 4;

/// Minimum similarity of a name that is suggested as the nearest, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.7;

#[derive(Debug)]
pub(super) struct Header<'l, 'd> {
    layout: &'l Layout<'d>,
    /// The positions of the declared columns; none for an optional column that the header does not have.
    pub(super) positions: Vec<Option<usize>>,
    width: usize,
}

impl<'l, 'd> Header<'l, 'd> {
    /// Finds the columns in the fields of the first record.
    pub(super) fn read(source: &Source<'_>, layout: &'l Layout<'d>, records: &Records, header: Range<usize>) -> Result<Self, Reject> {
        let fields = records.fields(header);
        let names: Vec<Cow<'_, str>> = fields.iter().map(|field| name(source, field)).collect();
        let mut found = vec![None; layout.columns.len()];
        let mut extra = None;
        for (position, name) in names.iter().enumerate() {
            let Some(index) = layout.columns.iter().position(|column| is_same_name(name, column.header)) else {
                extra = extra.or(Some(position));
                continue;
            };
            if let Some(first) = found[index].replace(position) {
                let column = &layout.columns[index];
                let reason = Reason::new(
                    format!(
                        "the header names {} twice, in columns {} and {}",
                        column.header,
                        first + 1,
                        position + 1
                    ),
                    "each column once",
                    "remove or rename one of the two",
                );
                let at = fields[position].content.start;
                return Err(source.reject(RejectCode::DuplicateColumn, Some(&column.column.name), at, reason));
            }
        }
        if is_incomplete(layout, &names, &found) {
            return Err(missing(source, layout, fields, &names, &found));
        }
        if let (ExtraColumns::Reject, Some(position)) = (layout.dialect.extra_columns, extra) {
            let reason = Reason::new(
                format!(
                    "the header has the column {}, which violates extra_columns",
                    quoted(&names[position])
                ),
                layout.expected_header(),
                "remove the column, or declare it",
            );
            let at = fields[position].content.start;
            return Err(source.reject(RejectCode::Constraint, None, at, reason));
        }
        Ok(Self {
            layout,
            positions: found,
            width: fields.len(),
        })
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
        if let (1, Some(delimiter)) = (found, delimiter::detect_delimiter(text, self.layout)) {
            return Err(source.reject(RejectCode::Delimiter, None, at, delimiter::reason(delimiter, self.layout)));
        }
        let count = |count: usize| match count {
            1 => "1 field".to_owned(),
            _ => format!("{count} fields"),
        };
        let (found, remedy) = match found < expected {
            true => {
                let (found, remedy) = too_few(text, first, source, &count(found));
                (found, remedy.to_owned())
            }
            false => self.too_many(text, row, &count(found)),
        };
        let reason = Reason::new(found, format!("{}, as in the header", count(expected)), remedy);
        Err(source.reject(RejectCode::FieldCount, None, at, reason))
    }

    fn too_many(&self, text: &str, row: &[Field], count: &str) -> (String, String) {
        let delimiter = &self.layout.delimiter;
        if row[self.width..].iter().all(|field| field.content.is_empty()) {
            return (
                format!("this row has {count}, and those after field {} are empty", self.width),
                format!("remove the {} at its end", delimiter.plural()),
            );
        }
        let marks = text
            .chars()
            .filter(|character| matches!(character, '“' | '”' | '„' | '«' | '»' | '‘' | '’' | '\''));
        let remedy = format!(
            "quote values that contain a {}: \"Lee{} Jr\"",
            delimiter.singular(),
            char::from(delimiter.byte)
        );
        match code_points(marks) {
            marks if marks.is_empty() => (format!("this row has {count}"), remedy),
            marks => (
                format!("this row has {count}; it contains {marks}, which do not quote a value"),
                remedy,
            ),
        }
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

/// A name without spaces around it. Other white space remains, so that messages can name it.
fn name<'a>(source: &Source<'a>, field: &Field) -> Cow<'a, str> {
    let text = match field.is_quoted {
        true => field.content(source),
        false => source.text.get(field.whole.clone()).unwrap_or_default().into(),
    };
    match text {
        Cow::Borrowed(text) => text.trim_matches(' ').into(),
        Cow::Owned(text) => text.trim_matches(' ').to_owned().into(),
    }
}

/// Whether a required column is missing, or an optional one with a typing error in its name, or all of them.
fn is_incomplete(layout: &Layout<'_>, names: &[Cow<'_, str>], found: &[Option<usize>]) -> bool {
    let missing = || layout.columns.iter().zip(found).filter(|(_, found)| found.is_none());
    let has_none = !found.is_empty() && found.iter().all(Option::is_none);
    if has_none || missing().any(|(column, _)| column.column.constraints.is_required) {
        return true;
    }
    if missing().next().is_none() {
        return false;
    }
    // Which skeleton is compared depends on the column.
    let others: Vec<[String; 2]> = others(names, found)
        .map(|(_, name)| [false, true].map(|is_ascii| skeleton(name, is_ascii)))
        .collect();
    missing().any(|(column, _)| {
        let is_ascii = column.header.is_ascii();
        let expected = skeleton(column.header, is_ascii);
        others
            .iter()
            .any(|skeletons| is_typing_error(&skeletons[usize::from(is_ascii)], &expected))
    })
}

/// Whether a name is probably meant to be that of a column: they look alike, or differ by one letter of at least four. `phone2` is not meant to be
/// `phone3`. Both are skeletons.
fn is_typing_error(found: &str, expected: &str) -> bool {
    let [found_length, expected_length] = [found, expected].map(|text| text.chars().count());
    let digits = |text| str::chars(text).filter(char::is_ascii_digit);
    // The distance is computed last, because it costs the most.
    let differs_by_one_letter = || {
        expected_length >= TYPED_LENGTH_MIN
            && found_length.abs_diff(expected_length) <= 1
            && digits(found).eq(digits(expected))
            && strsim::damerau_levenshtein(found, expected) <= 1
    };
    !found.is_empty() && (found == expected || differs_by_one_letter())
}

/// The names that are not those of columns, with their positions.
fn others<'n, 's>(names: &'n [Cow<'s, str>], found: &'n [Option<usize>]) -> impl Iterator<Item = (usize, &'n Cow<'s, str>)> {
    let is_other = |(position, name): &(usize, &Cow<'_, str>)| !found.contains(&Some(*position)) && name.len() <= COMPARED_BYTES_MAX;
    names.iter().enumerate().take(COMPARED_NAMES_MAX).filter(is_other)
}

fn missing(source: &Source<'_>, layout: &Layout<'_>, fields: &[Field], names: &[Cow<'_, str>], found: &[Option<usize>]) -> Reject {
    let expected = layout.expected_header();
    let start = fields[0].content.start - usize::from(fields[0].is_quoted);
    let missing = || {
        layout
            .columns
            .iter()
            .zip(found)
            .filter(|(_, found)| found.is_none())
            .map(|(column, _)| column)
    };
    let nearest = missing().find_map(|column| Some((column, nearest(names, found, column.header)?)));
    // A whole line in quotes, as some programs write it.
    if let ([only], true) = (names, fields[0].is_quoted) {
        if let Some(delimiter) = delimiter::detect_delimiter(only, layout) {
            return source.reject(RejectCode::Delimiter, None, start, delimiter::reason(delimiter, layout));
        }
        let is_column = |part: &&str| layout.columns.iter().any(|column| column.header == part.trim());
        if only.split(char::from(layout.delimiter.byte)).filter(is_column).count() > 1 {
            let reason = Reason::new("the whole line is in quotes", expected, "remove the quotes around each line");
            return source.reject(RejectCode::Quote, None, start, reason);
        }
    }
    if let Some((column, position)) = nearest {
        let name = &names[position];
        let is_declared = |character: char| column.header.chars().any(|own| own.to_lowercase().eq(character.to_lowercase()));
        let is_strange = |character: char| (text::is_invisible(character) && character != ' ') || !character.is_ascii();
        let is_unexpected = |character: &char| is_strange(*character) && !is_declared(*character);
        let unexpected = match code_points(name.chars().filter(is_unexpected)) {
            characters if characters.is_empty() => String::new(),
            characters => format!(", which contains {characters}"),
        };
        let found = format!(
            "the header has no column {}; the nearest is {}{unexpected}",
            column.header,
            quoted(name)
        );
        let reason = Reason::new(found, expected, format!("rename that column to {}", column.header));
        let at = fields[position].content.start;
        return source.reject(RejectCode::MissingColumn, Some(&column.column.name), at, reason);
    }
    if found.iter().all(Option::is_none) {
        let line = source
            .text
            .get(fields[0].whole.start..fields[fields.len() - 1].whole.end)
            .unwrap_or_default();
        let reason = Reason::new(
            format!("the first line, {}, names none of the columns", quoted(line.trim())),
            expected,
            "add the header as the first line",
        );
        return source.reject(RejectCode::NoHeader, None, start, reason);
    }
    let required = || missing().filter(|column| column.column.constraints.is_required);
    let headers: Vec<_> = required().map(|column| column.header).collect();
    let reason = Reason::new(
        format!("the header has no column {}", headers.join(" and no column ")),
        expected,
        format!("add the column, with the {}'s value in the row", layout.entity),
    );
    let first = required().next().map(|column| column.column.name.as_str());
    source.reject(RejectCode::MissingColumn, first, start, reason)
}

/// The position of the name that is most similar to that of a column, among names that are not columns.
fn nearest(names: &[Cow<'_, str>], found: &[Option<usize>], column: &str) -> Option<usize> {
    let is_ascii = column.is_ascii();
    let expected = skeleton(column, is_ascii);
    let similarity = |name: &str| strsim::normalized_damerau_levenshtein(&skeleton(name, is_ascii), &expected);
    let near = others(names, found)
        .map(|(position, name)| (position, similarity(name)))
        .filter(|(_, similarity)| *similarity >= SIMILARITY_MIN);
    near.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        .map(|(position, _)| position)
}

/// The letters and digits of a name in lower case, only those of ASCII if `is_ascii`, with letters of other scripts replaced that are similar to
/// those of ASCII: names with the same skeleton look alike.
fn skeleton(name: &str, is_ascii: bool) -> String {
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
    let is_letter = |character: &char| character.is_ascii_alphanumeric() || (!is_ascii && character.is_alphanumeric());
    let letters = name.chars().map(plain).filter(is_letter);
    letters.flat_map(char::to_lowercase).collect()
}
