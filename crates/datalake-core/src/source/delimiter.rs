//! Detection of a first line whose columns are not separated by commas, for a precise reject.

use super::{COLUMNS, decode::Source};
use crate::{
    reject::{Reason, Reject, RejectCode},
    text::{self, quoted},
};

/// Characters that are delimiters wherever they occur in a header without commas, with their names.
const DELIMITERS: [(char, &str); 9] = [
    (';', "semicolons"),
    ('\t', "tabs"),
    ('|', "vertical bars"),
    ('^', "carets"),
    ('，', "full-width commas (U+FF0C)"),
    ('；', "full-width semicolons (U+FF1B)"),
    ('،', "Arabic commas (U+060C)"),
    ('\u{1f}', "unit separators (U+001F)"),
    ('\u{1}', "control characters U+0001"),
];

/// Characters that may be part of names: they are delimiters only if the header has the expected names between them.
const WEAK_DELIMITERS: [(char, &str); 6] = [
    (' ', "spaces"),
    (':', "colons"),
    ('~', "tildes"),
    ('/', "slashes"),
    ('、', "ideographic commas (U+3001)"),
    ('·', "middle dots (U+00B7)"),
];

/// Rejects another delimiter before quotes are checked: the quotes of `"first_name";"last_name"` are correct for its delimiter.
pub(super) fn check_first_line(source: &Source<'_>) -> Result<(), Reject> {
    let Some(start) = source
        .text
        .find(|character| !text::is_blank(character) && !matches!(character, '\r' | '\n' | ','))
    else {
        return Ok(());
    };
    let rest = &source.text[start..];
    let line = rest.split(['\r', '\n']).next().unwrap_or_default();
    if let Some(delimiter) = line
        .get(..4)
        .filter(|head| head.eq_ignore_ascii_case("sep="))
        .and_then(|_| line[4..].chars().next())
    {
        let (code, found) = match delimiter {
            ',' => (
                RejectCode::NoHeader,
                "the first line is \"sep=,\", which only Excel understands".to_owned(),
            ),
            _ => (
                RejectCode::Delimiter,
                format!("the first line declares the delimiter {} for Excel", quoted(&delimiter.to_string())),
            ),
        };
        let remedy = "remove the line, and separate the columns by commas";
        let reason = Reason::new(found, "the header first_name,last_name,birthts", remedy);
        return Err(source.reject(code, None, start, reason));
    }
    match of_line(rest) {
        Some(delimiter) => Err(source.reject(RejectCode::Delimiter, None, start, reason(delimiter))),
        None => Ok(()),
    }
}

/// The reason of a reject because of another delimiter.
pub(super) fn reason(delimiter: &str) -> Reason {
    Reason::new(
        format!("the columns are separated by {delimiter}"),
        "commas",
        "separate the columns by commas; in a spreadsheet, choose the comma when exporting",
    )
}

/// The delimiter of the first line of a text, if it is not the comma. Characters between quotes are skipped; whether quotes are placed
/// correctly is not checked here.
pub(super) fn of_line(text: &str) -> Option<&'static str> {
    let (mut is_quoted, mut visible) = (false, String::new());
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '\r' | '\n' => break,
            ',' => return None,
            _ => visible.push(character),
        }
    }
    let strong = DELIMITERS
        .into_iter()
        .filter_map(|(delimiter, name)| Some((visible.find(delimiter)?, name)))
        .min();
    strong.map(|(_, name)| name).or_else(|| weak(text))
}

fn weak(text: &str) -> Option<&'static str> {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let is_column = |part: &&str| {
        COLUMNS
            .iter()
            .any(|column| part.trim_matches(['"', '\'']).eq_ignore_ascii_case(column))
    };
    let separates = |(delimiter, _): &(char, &str)| line.split(*delimiter).filter(is_column).count() > 1;
    WEAK_DELIMITERS.into_iter().find(separates).map(|(_, name)| name)
}
