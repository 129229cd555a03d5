//! The declared delimiter, and the detection of a first line whose columns have another one, for a precise reject.

use std::borrow::Cow;

use super::{decode::Source, layout::Layout};
use crate::{
    reject::{Reason, Reject, RejectCode},
    text::{self, quoted},
};

/// Characters that are delimiters wherever they occur in a header without the declared one, with their names.
const DELIMITERS: [(char, &str); 10] = [
    (',', "commas"),
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

/// The declared delimiter.
#[derive(Debug)]
pub(super) struct Delimiter {
    pub(super) byte: u8,
    /// Its name in the plural, for messages.
    plural: Cow<'static, str>,
}

impl Delimiter {
    /// The delimiter of this ASCII character.
    pub(super) fn new(byte: u8) -> Self {
        let known = DELIMITERS.into_iter().chain(WEAK_DELIMITERS);
        let plural = known
            .filter(|(delimiter, _)| *delimiter == char::from(byte))
            .map(|(_, name)| name.into())
            .next();
        Self {
            byte,
            plural: plural.unwrap_or_else(|| format!("{} characters", quoted(&char::from(byte).to_string())).into()),
        }
    }

    /// Its name in the plural: `commas`.
    pub(super) fn plural(&self) -> &str {
        &self.plural
    }

    /// Its name in the singular: `comma`.
    pub(super) fn singular(&self) -> &str {
        self.plural.strip_suffix('s').unwrap_or(&self.plural)
    }
}

/// Rejects another delimiter before quotes are checked: the quotes of `"a";"b"` are correct for its delimiter.
pub(super) fn check_first_line(source: &Source<'_>, layout: &Layout<'_>) -> Result<(), Reject> {
    let declared = char::from(layout.delimiter.byte);
    let Some(start) = source
        .text
        .find(|character| !text::is_blank(character) && !matches!(character, '\r' | '\n') && character != declared)
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
        let (code, found) = match delimiter == declared {
            true => (
                RejectCode::NoHeader,
                format!(
                    "the first line is {}, which only Excel understands",
                    quoted(&format!("sep={declared}"))
                ),
            ),
            false => (
                RejectCode::Delimiter,
                format!("the first line declares the delimiter {} for Excel", quoted(&delimiter.to_string())),
            ),
        };
        let remedy = format!("remove the line, and separate the columns by {}", layout.delimiter.plural);
        let reason = Reason::new(found, layout.expected_header(), remedy);
        return Err(source.reject(code, None, start, reason));
    }
    match detect_delimiter(rest, layout) {
        Some(delimiter) => Err(source.reject(RejectCode::Delimiter, None, start, reason(delimiter, layout))),
        None => Ok(()),
    }
}

/// The reason of a reject because of another delimiter.
pub(super) fn reason(delimiter: &str, layout: &Layout<'_>) -> Reason {
    let declared = &layout.delimiter;
    Reason::new(
        format!("the columns are separated by {delimiter}"),
        declared.plural(),
        format!(
            "separate the columns by {}; in a spreadsheet, choose the {} when exporting",
            declared.plural(),
            declared.singular()
        ),
    )
}

/// The delimiter of the first line of a text, if it is not the declared one. Characters between quotes are skipped; whether quotes are placed
/// correctly is not checked here.
pub(super) fn detect_delimiter(text: &str, layout: &Layout<'_>) -> Option<&'static str> {
    let declared = char::from(layout.delimiter.byte);
    let (mut is_quoted, mut visible) = (false, String::new());
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '\r' | '\n' => break,
            _ if character == declared => return None,
            _ => visible.push(character),
        }
    }
    let strong = DELIMITERS
        .into_iter()
        .filter_map(|(delimiter, name)| Some((visible.find(delimiter)?, name)))
        .min();
    strong.map(|(_, name)| name).or_else(|| weak(text, layout))
}

fn weak(text: &str, layout: &Layout<'_>) -> Option<&'static str> {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let is_column = |part: &&str| {
        let part = part.trim_matches(['"', '\'']);
        layout.columns.iter().any(|column| text::is_same_name(part, column.header))
    };
    let separates = |(delimiter, _): &(char, &str)| line.split(*delimiter).filter(is_column).count() > 1;
    let others = WEAK_DELIMITERS
        .into_iter()
        .filter(|(delimiter, _)| *delimiter != char::from(layout.delimiter.byte));
    others.into_iter().find(separates).map(|(_, name)| name)
}
