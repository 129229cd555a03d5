//! Key patterns: match the keys of sources and files, and extract the ID of the row.
//!
//! A pattern is literal text with placeholders, whose values identify the row. A value cannot contain the first character
//! of the literal before the next placeholder (`key_pattern/rule.rs`), so each key parses in exactly one way: the positions of the literals
//! determine the values, and one regular expression decides whether they are valid.

mod compile;
mod overlap;
mod parts;
mod rule;

use std::cmp::Ordering;

use regex::Regex;
use regex_syntax::hir::Hir;

pub use self::parts::KeyParts;
use super::name::Name;
use crate::row_id::RowId;

/// A pattern of keys, which converts keys to the values that identify a row, and back.
#[derive(Clone, Debug)]
pub struct KeyPattern {
    text: Box<str>,
    /// In the order of the source's key, also in the patterns of files.
    placeholders: Box<[Placeholder]>,
    /// The segments of the path after the folder.
    segments: Box<[Segment]>,
    /// The segments before the first placeholder, with a slash at the end.
    folder: Box<str>,
    /// The literals around the placeholders, one more than these.
    literals: Box<[Box<str>]>,
    /// The indexes in `placeholders` of those between the literals.
    order: Box<[usize]>,
    regex: Regex,
}

/// A placeholder of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The name of the column with its values.
    pub name: Name,
    /// What its values match.
    rule: Hir,
    /// The regular expression as declared; none for the default.
    declared: Option<Box<str>>,
}

impl Placeholder {
    /// The regular expression that it declares; none if it has the default.
    pub(crate) fn declared(&self) -> Option<&str> {
        self.declared.as_deref()
    }

    /// Whether a text is a value. Compiles the regular expression: for messages.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        let regex = Regex::new(&format!("^(?:{})$", self.rule));
        RowId::of(&[text]).is_ok() && regex.is_ok_and(|regex| regex.is_match(text))
    }

    /// Whether the values have only the characters of the default rule.
    pub(super) fn has_default_characters(&self) -> bool {
        rule::has_default_characters(&self.rule)
    }

    /// Whether the declared lengths are at most this one, in bytes. A rule may declare no maximum.
    pub(super) fn fits(&self, length: usize) -> bool {
        let properties = self.rule.properties();
        properties
            .maximum_len()
            .or(properties.minimum_len())
            .is_none_or(|longest| longest <= length)
    }
}

/// A segment of a pattern's path.
#[derive(Clone, Debug)]
struct Segment {
    /// The literal before the first placeholder, or the whole segment.
    prefix: Literal,
    placeholders: Vec<PlaceholderUse>,
}

/// A placeholder within a segment.
#[derive(Clone, Debug)]
struct PlaceholderUse {
    /// Its index in [`KeyPattern::placeholders`].
    index: usize,
    /// The literal after it. Only that of the last placeholder of a segment can be empty.
    after: Literal,
}

/// A literal, with another spelling if it is the end of the pattern: an extension may be in upper case.
#[derive(Clone, Debug)]
struct Literal {
    text: Box<str>,
    upper: Option<Box<str>>,
}

/// The values of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMatch<'k> {
    /// One for each placeholder, in their order.
    pub values: Vec<&'k str>,
    /// Whether the extension is in upper case.
    pub has_upper_extension: bool,
}

/// Why a key does not match a pattern, from the least similar to the most similar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyMismatch {
    /// The key is not below the pattern's folder.
    OtherFolder,
    /// The key is in a folder below those of the pattern.
    Nested,
    /// The literals of the key are others, for example its extension.
    OtherName,
    /// The literals are those of the pattern, but a value between them is not valid.
    InvalidValue,
}

/// Why the text of a pattern is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    /// The byte of the text.
    pub(super) offset: usize,
    pub(super) found: String,
    pub(super) expected: String,
    /// An unknown placeholder, for which the nearest one is suggested.
    pub(super) unknown: Option<String>,
}

impl KeyPattern {
    /// Maximum length of a pattern, in bytes: object stores have keys of at most 1,024.
    pub const BYTES_MAX: usize = 1_024;

    /// Parses the pattern of the sources, which defines the placeholders.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        compile::compile(text, None)
    }

    /// Parses the pattern of files or copies, which uses each placeholder of the sources once.
    pub(super) fn parse_file(text: &str, source: &Self) -> Result<Self, PatternError> {
        compile::compile(text, Some(&source.placeholders))
    }

    /// The pattern as declared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The placeholders, in the order in which they identify a row.
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// The literals around the placeholders, in the order of keys: one more than there are placeholders.
    pub(crate) fn literals(&self) -> &[Box<str>] {
        &self.literals
    }

    /// The pattern without regular expressions: `src-data/{plate}/{well}.csv`.
    pub(crate) fn template(&self) -> String {
        let (first, others) = self.literals.split_at(1);
        let mut text = first.concat();
        for (index, literal) in self.order.iter().zip(others) {
            text.extend(["{", self.placeholders[*index].name.as_str(), "}", literal]);
        }
        text
    }

    /// The template below the folder: `{plate}/{well}.csv`.
    pub fn name_template(&self) -> String {
        self.template().split_off(self.folder.len())
    }

    /// The number of folders between that of the pattern and its keys.
    pub fn depth_below_folder(&self) -> usize {
        self.segments.len() - 1
    }

    /// What follows the last placeholder, in its spellings: `.csv` and `.CSV`.
    pub(crate) fn ends(&self) -> Vec<String> {
        let last = self.literals.last().map_or("", |literal| literal);
        let end = self.segments.last().map(Segment::end);
        let upper = end.and_then(|end| Some([last.strip_suffix(&*end.text)?, end.upper.as_deref()?].concat()));
        [last.to_owned()].into_iter().chain(upper).collect()
    }

    /// Whether the keys of both patterns for one row differ only in their folders and after the last placeholder.
    pub(super) fn differs_only_at_ends(&self, other: &Self) -> bool {
        let before_end = |pattern: &Self| {
            let literals = pattern.literals[..pattern.literals.len() - 1].concat();
            literals.strip_prefix(&*pattern.folder).map(str::to_owned)
        };
        let are_equal = self.literals.len() == other.literals.len()
            && self.literals[1..].iter().rev().skip(1).eq(other.literals[1..].iter().rev().skip(1));
        self.order == other.order && are_equal && before_end(self) == before_end(other)
    }

    /// The folder that contains all keys of the pattern: a prefix that ends with a slash, or nothing.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The number of folders above each key.
    pub fn depth(&self) -> usize {
        slashes(&self.folder) + self.segments.len() - 1
    }

    /// The regular expression that the keys match; the group of each placeholder has its name.
    pub fn regex(&self) -> &str {
        self.regex.as_str()
    }

    /// The values of a key, or why the key does not match.
    pub fn match_key<'k>(&self, key: &'k str) -> Result<KeyMatch<'k>, KeyMismatch> {
        let rest = key.strip_prefix(&*self.folder).ok_or(KeyMismatch::OtherFolder)?;
        match slashes(rest).cmp(&(self.segments.len() - 1)) {
            Ordering::Greater => return Err(KeyMismatch::Nested),
            Ordering::Less => return Err(KeyMismatch::OtherName),
            Ordering::Equal => {}
        }
        // Most keys of another pattern have another extension.
        if !self.segments.last().is_some_and(|segment| segment.end().is_end_of(rest)) {
            return Err(KeyMismatch::OtherName);
        }
        let mut values = vec![""; self.placeholders.len()];
        let mut has_upper_extension = false;
        for (segment, text) in self.segments.iter().zip(rest.split('/')) {
            has_upper_extension = segment.split(text, &mut values).ok_or(KeyMismatch::OtherName)?;
        }
        // Paths of URLs cannot contain segments of dots.
        if values.iter().any(|value| matches!(*value, "." | "..")) || !self.regex.is_match(key) {
            return Err(KeyMismatch::InvalidValue);
        }
        Ok(KeyMatch {
            values,
            has_upper_extension,
        })
    }

    /// The key of a row with the text of a valid ID, in parts.
    pub fn parts<'a>(&'a self, id: &'a str) -> KeyParts<'a> {
        KeyParts::new(self, id)
    }

    /// The key of a row.
    pub fn key_of(&self, row_id: &RowId) -> String {
        self.parts(row_id.as_str()).concat()
    }

    /// The keys that an object of a row can have: its extension may be in upper case. If several exist, the first one counts.
    pub fn spellings(&self, row_id: &RowId) -> Vec<String> {
        let key = self.key_of(row_id);
        let end = self.segments.last().map(Segment::end);
        let upper = end.and_then(|end| Some([key.strip_suffix(&*end.text)?, end.upper.as_deref()?].concat()));
        [key].into_iter().chain(upper).collect()
    }

    /// The texts between the literals of a key, whether they are valid values or not, in the order of the placeholders; none if the literals of the
    /// key are others.
    pub(crate) fn texts<'k>(&self, key: &'k str) -> Option<Vec<&'k str>> {
        let rest = key.strip_prefix(&*self.folder)?;
        if slashes(rest) != self.segments.len() - 1 {
            return None;
        }
        let mut values = vec![""; self.placeholders.len()];
        for (segment, text) in self.segments.iter().zip(rest.split('/')) {
            segment.split(text, &mut values)?;
        }
        Some(values)
    }

    /// The key of a row; none if no key has these values.
    pub fn key(&self, values: &[&str]) -> Option<String> {
        let mut key = String::from(&*self.folder);
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                key.push('/');
            }
            key.push_str(&segment.prefix.text);
            for placeholder in &segment.placeholders {
                key.push_str(values.get(placeholder.index)?);
                key.push_str(&placeholder.after.text);
            }
        }
        let is_found = self.match_key(&key).is_ok_and(|found| found.values == values);
        is_found.then_some(key)
    }
}

impl PartialEq for KeyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.placeholders == other.placeholders
    }
}

fn slashes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'/').count()
}

impl Literal {
    /// Whether a text ends with the literal, in one of its spellings.
    fn is_end_of(&self, text: &str) -> bool {
        text.ends_with(&*self.text) || self.upper.as_deref().is_some_and(|upper| text.ends_with(upper))
    }
}

impl Segment {
    /// The literal at its end.
    fn end(&self) -> &Literal {
        self.placeholders.last().map_or(&self.prefix, |last| &last.after)
    }

    /// Sets the values of a segment of a key, and returns whether its end is in upper case; none if the literals are others.
    fn split<'k>(&self, text: &'k str, values: &mut [&'k str]) -> Option<bool> {
        let Some((last, others)) = self.placeholders.split_last() else {
            return match text == &*self.prefix.text {
                true => Some(false),
                false => (Some(text) == self.prefix.upper.as_deref()).then_some(true),
            };
        };
        let mut rest = text.strip_prefix(&*self.prefix.text)?;
        for placeholder in others {
            let after = &*placeholder.after.text;
            // The value cannot contain the first character of the literal.
            let (value, _) = rest.split_at(rest.find(after.chars().next()?)?);
            values[placeholder.index] = value;
            rest = rest[value.len()..].strip_prefix(after)?;
        }
        let plain = rest.strip_suffix(&*last.after.text);
        let upper = || rest.strip_suffix(last.after.upper.as_deref()?);
        values[last.index] = plain.or_else(upper)?;
        Some(plain.is_none())
    }
}

#[cfg(test)]
mod tests;
