//! The records and fields of a CSV, as ranges of its text.

use std::{borrow::Cow, ops::Range};

use super::decode::Source;
use crate::{
    reject::{Reason, Reject, RejectCode},
    text,
};

/// One field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Everything between the delimiters.
    pub(super) whole: Range<usize>,
    /// Without quotes, and without white space around it.
    pub(super) content: Range<usize>,
    pub(super) is_quoted: bool,
    /// Whether white space other than spaces surrounds it.
    pub(super) has_blanks_around: bool,
}

impl Field {
    /// The text with doubled quotes replaced; white space within quotes is part of it.
    pub(super) fn content<'a>(&self, source: &Source<'a>) -> Cow<'a, str> {
        let content = source.text.get(self.content.clone()).unwrap_or_default();
        match self.is_quoted && content.contains("\"\"") {
            true => content.replace("\"\"", "\"").into(),
            false => content.into(),
        }
    }

    fn is_empty(&self) -> bool {
        !self.is_quoted && self.content.is_empty()
    }
}

/// The records that are not blank, in buffers that are reused for the next source.
#[derive(Debug, Default)]
pub(super) struct Records {
    fields: Vec<Field>,
    records: Vec<Range<usize>>,
}

impl Records {
    /// Splits a text. Lines that are blank or contain only delimiters are not records.
    pub(super) fn read(&mut self, source: &Source<'_>, delimiter: u8) -> Result<(), Reject> {
        self.fields.clear();
        self.records.clear();
        let mut at = 0;
        while at < source.text.len() {
            let first = self.fields.len();
            at = self.read_record(source, delimiter, at)?;
            if self.fields[first..].iter().all(Field::is_empty) {
                self.fields.truncate(first);
            } else {
                self.records.push(first..self.fields.len());
            }
        }
        Ok(())
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = Range<usize>> {
        self.records.iter().cloned()
    }

    pub(super) fn fields(&self, record: Range<usize>) -> &[Field] {
        &self.fields[record]
    }

    /// The offset of a record, after white space before it.
    pub(super) fn offset(&self, record: Range<usize>) -> usize {
        self.fields(record)
            .first()
            .map_or(0, |field| field.content.start - usize::from(field.is_quoted))
    }

    /// Reads one record, and returns the offset after the end of its line.
    fn read_record(&mut self, source: &Source<'_>, delimiter: u8, mut at: usize) -> Result<usize, Reject> {
        let bytes = source.text.as_bytes();
        loop {
            let field = read_field(source, delimiter, at)?;
            at = field.whole.end;
            self.fields.push(field);
            match bytes.get(at) {
                Some(byte) if *byte == delimiter => at += 1,
                Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => return Ok(at + 2),
                Some(_) => return Ok(at + 1),
                None => return Ok(at),
            }
        }
    }
}

fn is_end(byte: u8, delimiter: u8) -> bool {
    byte == delimiter || matches!(byte, b'\r' | b'\n')
}

/// The length of the white space at the start of a text, and whether any of it is not a space. Line breaks and
/// delimiters do not count.
fn blanks(text: &str, delimiter: u8) -> (usize, bool) {
    let is_end = |character: char| u8::try_from(character).is_ok_and(|byte| is_end(byte, delimiter));
    let rest = text.trim_start_matches(|character| text::is_blank(character) && !is_end(character));
    let length = text.len() - rest.len();
    (length, text.as_bytes()[..length].iter().any(|byte| *byte != b' '))
}

fn read_field(source: &Source<'_>, delimiter: u8, start: usize) -> Result<Field, Reject> {
    let (text, bytes) = (source.text, source.text.as_bytes());
    let (length, has_blanks_before) = blanks(&text[start..], delimiter);
    let opening = start + length;
    if bytes.get(opening) == Some(&b'"') {
        let closing = closing_quote(source, opening)?;
        let (length, has_blanks_after) = blanks(&text[closing + 1..], delimiter);
        let end = closing + 1 + length;
        if bytes.get(end).is_some_and(|byte| !is_end(*byte, delimiter)) {
            let found = match bytes.get(closing - 1) {
                Some(b'\\') => "there is text after a closing quote; the quote before it has a backslash, which does not escape it",
                _ => "there is text after a closing quote",
            };
            let reason = Reason::new(
                found,
                "a delimiter or the end of the line",
                "double each quote within a quoted value: \"\"",
            );
            return Err(source.reject(RejectCode::Quote, None, end, reason));
        }
        return Ok(Field {
            whole: start..end,
            content: opening + 1..closing,
            is_quoted: true,
            has_blanks_around: has_blanks_before || has_blanks_after,
        });
    }
    let end = bytes[opening..]
        .iter()
        .position(|byte| is_end(*byte, delimiter))
        .map_or(text.len(), |length| opening + length);
    let value = text[opening..end].trim_end_matches(text::is_blank);
    let after = &text[opening + value.len()..end];
    if let Some(at) = value.find('"') {
        let reason = Reason::new(
            "there is a quote within a value that is not quoted",
            "quotes around the whole value, or no quote in it",
            "quote the value and double the quotes within it: \"\"",
        );
        return Err(source.reject(RejectCode::Quote, None, opening + at, reason));
    }
    Ok(Field {
        whole: start..end,
        content: opening..opening + value.len(),
        is_quoted: false,
        has_blanks_around: has_blanks_before || after.bytes().any(|byte| byte != b' '),
    })
}

fn closing_quote(source: &Source<'_>, opening: usize) -> Result<usize, Reject> {
    let bytes = source.text.as_bytes();
    let mut at = opening + 1;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => {
                let reason = Reason::new(
                    "a quote is opened here and never closed",
                    "a closing quote",
                    "close the quote, or double it if it is part of the value; upload the file again if its end is missing",
                );
                return Err(source.reject(RejectCode::Quote, None, opening, reason));
            }
            (Some(b'"'), Some(b'"')) => at += 2,
            (Some(b'"'), _) => return Ok(at),
            _ => at += 1,
        }
    }
}
