//! Key patterns: match the keys of sources and files, and extract the ID of the row.
//!
//! A pattern is literal text with placeholders, whose values identify the row. A value cannot contain the first character
//! of the literal before the next placeholder (`key_pattern/rule.rs`), so each key parses in exactly one way: the positions of the literals
//! determine the values, and one regular expression decides whether they are valid.

mod compile;
mod overlap;
mod rule;

use std::cmp::Ordering;

use regex::Regex;
use regex_syntax::hir::Hir;

use super::name::Name;

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
    /// The literals before and after the only placeholder; all literals of other patterns.
    affixes: [Box<str>; 2],
    regex: Regex,
}

/// A placeholder of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The name of the column with its values.
    pub name: Name,
    /// What its values match.
    rule: Hir,
}

impl Placeholder {
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

    /// The regular expression that the only placeholder declares; none without one.
    pub(crate) fn declared_rule(&self) -> Option<&str> {
        let [before, after] = &self.affixes;
        let placeholder = self.text.strip_prefix(&**before)?.strip_suffix(&**after)?;
        let (_, rule) = placeholder.strip_prefix('{')?.strip_suffix('}')?.split_once(':')?;
        Some(rule)
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

    /// The key of a row with a valid ID, in parts, if the pattern has one placeholder.
    pub fn key_of_id<'a>(&'a self, id: &'a str) -> [&'a str; 3] {
        let [before, after] = &self.affixes;
        [before, id, after]
    }

    /// The keys that an object with a valid ID can have, if the pattern has one placeholder: its extension may be in upper case. If several
    /// exist, the first one counts.
    pub fn spellings(&self, id: &str) -> Vec<String> {
        let [before, id, after] = self.key_of_id(id);
        let end = self.segments.last().map(Segment::end);
        let upper = end.and_then(|end| Some((&*end.text, end.upper.as_deref()?)));
        let upper = upper.and_then(|(end, upper)| Some([before, id, after.strip_suffix(end)?, upper].concat()));
        [[before, id, after].concat()].into_iter().chain(upper).collect()
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
