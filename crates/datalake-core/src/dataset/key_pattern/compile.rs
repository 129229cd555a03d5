//! The text of a pattern: literals and placeholders, and the regular expression that they compile to.

use regex::RegexBuilder;
use regex_syntax::hir::Hir;

use super::{KeyPattern, Literal, PatternError, Placeholder, PlaceholderUse, Segment, rule};
use crate::{
    dataset::name::Name,
    text::{code_point, quoted},
};

/// Maximum number of placeholders: each is a part of every path of the API.
const PLACEHOLDERS_MAX: usize = 8;

/// Maximum size of a compiled regular expression, in bytes. The default rule needs some 20 KiB.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A part of a pattern's text.
#[derive(Debug)]
enum Part<'t> {
    Literal {
        offset: usize,
        text: &'t str,
    },
    Placeholder {
        offset: usize,
        name: &'t str,
        rule: Option<&'t str>,
    },
}

impl PatternError {
    fn new(offset: usize, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            offset,
            found: found.into(),
            expected: expected.into(),
            unknown: None,
        }
    }
}

/// Compiles a pattern. `defined` are the placeholders of the sources, if the pattern is that of files.
pub(super) fn compile(text: &str, defined: Option<&[Placeholder]>) -> Result<KeyPattern, PatternError> {
    if text.len() > KeyPattern::BYTES_MAX {
        return Err(PatternError::new(
            0,
            format!("a key of {} bytes", text.len()),
            format!("at most {} bytes", KeyPattern::BYTES_MAX),
        ));
    }
    let parts = parts(text)?;
    check_literals(&skeleton(text, &parts))?;
    let mut placeholders = defined.map(<[_]>::to_vec).unwrap_or_default();
    let used = placeholders_of(&parts, defined, &mut placeholders)?;
    let mut segments = segments(&parts, &used);
    for (index, placeholder) in placeholders.iter_mut().enumerate() {
        restrict(placeholder, index, &segments, defined.is_some(), &parts)?;
    }
    let pattern = regex(&segments, &placeholders);
    let regex = RegexBuilder::new(&pattern).size_limit(REGEX_BYTES_MAX).build();
    let regex = regex.map_err(|_| {
        PatternError::new(
            0,
            "the compiled regular expression is too large",
            "shorter patterns or fewer repetitions",
        )
    })?;
    let first = segments.iter().position(|segment| !segment.placeholders.is_empty()).unwrap_or(0);
    let variable = segments.split_off(first);
    let literals = segments.iter().map(|segment| &*segment.prefix.text);
    // The last slash follows the last literal.
    let folder = literals.chain([""]).collect::<Vec<_>>().join("/");
    Ok(KeyPattern {
        literals: literals_of(&parts),
        order: used.into(),
        text: text.into(),
        placeholders: placeholders.into(),
        segments: variable.into(),
        folder: folder.into(),
        regex,
    })
}

/// The literals around the placeholders, which are never adjacent.
fn literals_of(parts: &[Part<'_>]) -> Box<[Box<str>]> {
    let mut literals = vec![""];
    for part in parts {
        match part {
            Part::Literal { text, .. } => *literals.last_mut().expect("there is a first literal") = text,
            Part::Placeholder { .. } => literals.push(""),
        }
    }
    literals.into_iter().map(Box::from).collect()
}

/// Splits a text into literals and placeholders.
fn parts(text: &str) -> Result<Vec<Part<'_>>, PatternError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let Some(content) = rest.strip_prefix('{') else {
            let literal = &rest[..rest.find('{').unwrap_or(rest.len())];
            if let Some(closing) = literal.find('}') {
                return Err(PatternError::new(
                    at + closing,
                    "a closing brace without an opening one",
                    "a placeholder like {id}",
                ));
            }
            parts.push(Part::Literal { offset: at, text: literal });
            at += literal.len();
            continue;
        };
        let Some(length) = closing_brace(content) else {
            return Err(PatternError::new(
                at,
                "an opening brace without a closing one",
                "a placeholder like {id}",
            ));
        };
        if matches!(parts.last(), Some(Part::Placeholder { .. })) {
            return Err(PatternError::new(
                at,
                "a placeholder next to another one",
                "literal text between placeholders, such as - or /",
            ));
        }
        let content = &content[..length];
        let (name, rule) = content.split_once(':').map_or((content, None), |(name, rule)| (name, Some(rule)));
        parts.push(Part::Placeholder {
            offset: at + 1,
            name,
            rule,
        });
        at += length + 2;
    }
    Ok(parts)
}

/// The position of the brace that closes a placeholder. Braces of repetitions are balanced; those in classes and after a backslash do not count.
fn closing_brace(content: &str) -> Option<usize> {
    let (mut braces, mut classes, mut is_escaped) = (0_usize, 0_usize, false);
    for (at, byte) in content.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'[' => classes += 1,
            b']' => classes = classes.saturating_sub(1),
            b'{' if classes == 0 => braces += 1,
            b'}' if classes == 0 && braces == 0 => return Some(at),
            b'}' if classes == 0 => braces -= 1,
            _ => {}
        }
    }
    None
}

/// The text, of the same length, without the slashes of regular expressions: they never match, and separate no segments.
fn skeleton(text: &str, parts: &[Part<'_>]) -> String {
    let mut skeleton = String::new();
    for part in parts {
        match part {
            Part::Literal { text, .. } => skeleton.push_str(text),
            Part::Placeholder { offset, .. } => {
                let end = parts.iter().find_map(|next| match next {
                    Part::Literal { offset: next, .. } if next > offset => Some(*next),
                    Part::Literal { .. } | Part::Placeholder { .. } => None,
                });
                skeleton.push_str(&text[offset - 1..end.unwrap_or(text.len())].replace('/', "_"));
            }
        }
    }
    skeleton
}

/// Rejects paths that stores or file systems would change.
fn check_literals(text: &str) -> Result<(), PatternError> {
    const EXPECTED: &str = "segments of visible characters, separated by single slashes";
    if text.is_empty() {
        return Err(PatternError::new(
            0,
            "an empty key",
            "a key with placeholders, like src-data/{id}.csv",
        ));
    }
    if let Some((at, character)) = text.char_indices().find(|(_, character)| character.is_control()) {
        return Err(PatternError::new(
            at,
            format!("the control character {}", code_point(character)),
            EXPECTED,
        ));
    }
    let mut at = 0;
    for segment in text.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err(PatternError::new(at, format!("the segment {}", quoted(segment)), EXPECTED));
        }
        at += segment.len() + 1;
    }
    Ok(())
}

/// Defines the placeholders, or finds those that are defined. Returns the indices of those that the parts use, in their order.
fn placeholders_of(
    parts: &[Part<'_>],
    defined: Option<&[Placeholder]>,
    placeholders: &mut Vec<Placeholder>,
) -> Result<Vec<usize>, PatternError> {
    let mut used: Vec<usize> = Vec::new();
    for part in parts {
        let Part::Placeholder { offset, name, rule } = *part else {
            continue;
        };
        let index = match defined {
            None => {
                define(offset, name, rule, placeholders)?;
                placeholders.len() - 1
            }
            Some(defined) => find(offset, name, rule, defined)?,
        };
        if used.contains(&index) {
            return Err(PatternError::new(
                offset,
                format!("duplicate placeholder {{{name}}}"),
                "unique placeholders",
            ));
        }
        used.push(index);
    }
    let missing = (0..placeholders.len()).find(|index| !used.contains(index));
    match (missing, used.len()) {
        (Some(index), _) => {
            let found = format!("a key without the placeholder {{{}}}", placeholders[index].name);
            Err(PatternError::new(0, found, "each placeholder of source.key"))
        }
        (None, 0) => Err(PatternError::new(
            0,
            "a key without placeholders",
            "a key with placeholders, like src-data/{id}.csv",
        )),
        (None, 1..=PLACEHOLDERS_MAX) => Ok(used),
        (None, count) => Err(PatternError::new(
            0,
            format!("a key with {count} placeholders"),
            format!("at most {PLACEHOLDERS_MAX}"),
        )),
    }
}

fn define(offset: usize, name: &str, rule: Option<&str>, placeholders: &mut Vec<Placeholder>) -> Result<(), PatternError> {
    let name_length = name.len();
    let name = Name::parse(name).map_err(|(found, expected)| PatternError::new(offset, found, expected))?;
    if placeholders.iter().any(|other| other.name == name) {
        return Err(PatternError::new(
            offset,
            format!("duplicate placeholder {{{name}}}"),
            "unique placeholders",
        ));
    }
    let declared = rule.map(Box::from);
    let rule = rule::parse(rule.unwrap_or(rule::DEFAULT)).map_err(|(at, found)| {
        PatternError::new(
            offset + name_length + 1 + at,
            found,
            "a regular expression for the values, like {id:[0-9]+}",
        )
    })?;
    placeholders.push(Placeholder { name, rule, declared });
    Ok(())
}

fn find(offset: usize, name: &str, rule: Option<&str>, defined: &[Placeholder]) -> Result<usize, PatternError> {
    let names = || {
        defined
            .iter()
            .map(|other| format!("{{{}}}", other.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let index = defined.iter().position(|other| *other.name == *name).ok_or_else(|| PatternError {
        unknown: Some(name.to_owned()),
        ..PatternError::new(
            offset,
            format!("the unknown placeholder {}", quoted(name)),
            format!("the placeholders of source.key: {}", names()),
        )
    })?;
    match rule {
        None => Ok(index),
        Some(_) => Err(PatternError::new(
            offset + name.len(),
            format!("a regular expression for {{{name}}}, which source.key defines"),
            format!("{{{name}}}"),
        )),
    }
}

/// The segments of a path. Each part of a pattern belongs to one of them, apart from literals with slashes.
fn segments(parts: &[Part<'_>], used: &[usize]) -> Vec<Segment> {
    let literal = |text: &str| Literal {
        text: text.into(),
        upper: None,
    };
    let mut segments = vec![Segment {
        prefix: literal(""),
        placeholders: Vec::new(),
    }];
    let mut used = used.iter();
    for part in parts {
        let segment = segments.last_mut().expect("there is a first segment");
        let Part::Literal { text, .. } = part else {
            segment.placeholders.extend(used.next().map(|index| PlaceholderUse {
                index: *index,
                after: literal(""),
            }));
            continue;
        };
        let (first, others) = text.split_once('/').map_or((*text, None), |(first, others)| (first, Some(others)));
        match segment.placeholders.last_mut() {
            Some(last) => last.after = literal(first),
            None => segment.prefix = literal(first),
        }
        let others = others.into_iter().flat_map(|others| others.split('/'));
        segments.extend(others.map(|prefix| Segment {
            prefix: literal(prefix),
            placeholders: Vec::new(),
        }));
    }
    let end = segments.last_mut().expect("there is a first segment");
    let end = end.placeholders.last_mut().map_or(&mut end.prefix, |last| &mut last.after);
    let extension = extension(&end.text);
    if extension.bytes().any(|byte| byte.is_ascii_lowercase()) {
        end.upper = Some(
            format!(
                "{}{}",
                &end.text[..end.text.len() - extension.len()],
                extension.to_ascii_uppercase()
            )
            .into(),
        );
    }
    segments
}

/// The extension of a name: `.csv`, `.json.gz`. Empty if there is none, or if it is not in lower case.
fn extension(name: &str) -> &str {
    let of = |name: &str| name.rfind('.').map_or(0, |at| name.len() - at);
    let length = match name.strip_suffix(".gz") {
        Some(name) => 3 + of(name),
        None => of(name),
    };
    let extension = &name[name.len() - length..];
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
    if extension.bytes().all(is_lower) { extension } else { "" }
}

/// Removes the first character of the literal after a placeholder from its values, if another placeholder follows in the segment: otherwise a
/// key could have several sets of values.
fn restrict(
    placeholder: &mut Placeholder,
    index: usize,
    segments: &[Segment],
    is_file: bool,
    parts: &[Part<'_>],
) -> Result<(), PatternError> {
    let name = placeholder.name.clone();
    let is_own = |part: &&Part<'_>| matches!(part, Part::Placeholder { name: other, .. } if **other == *name);
    let offset = parts.iter().find(is_own).map_or(0, |part| match part {
        Part::Placeholder { offset, .. } | Part::Literal { offset, .. } => *offset,
    });
    let followed = segments
        .iter()
        .flat_map(|segment| segment.placeholders.split_last().map_or(&[][..], |(_, others)| others));
    let next = followed
        .filter(|placeholder| placeholder.index == index)
        .find_map(|placeholder| placeholder.after.text.chars().next());
    if let Some(next) = next {
        let rule = rule::without_character(&placeholder.rule, next);
        if is_file && rule != placeholder.rule {
            let found = format!(
                "ambiguous key: values of {{{name}}} may contain {}, which separates it from the next placeholder",
                quoted(&next.to_string())
            );
            return Err(PatternError::new(
                offset,
                found,
                "another character between the placeholders, such as /",
            ));
        }
        placeholder.rule = rule;
    }
    match rule::is_void(&placeholder.rule) {
        true => Err(PatternError::new(
            offset,
            format!("the placeholder {{{name}}}, which no value matches"),
            "a regular expression that matches texts without slashes and without the character that follows",
        )),
        false => Ok(()),
    }
}

/// The regular expression of a pattern: its literals, and a group with the name of each placeholder.
fn regex(segments: &[Segment], placeholders: &[Placeholder]) -> String {
    let literal = |literal: &Literal| match &literal.upper {
        None => regex::escape(&literal.text),
        Some(upper) => format!("(?:{}|{})", regex::escape(&literal.text), regex::escape(upper)),
    };
    let value = |rule: &Hir, name: &Name| format!("(?<{name}>{rule})");
    let segment = |segment: &Segment| {
        let mut text = literal(&segment.prefix);
        for placeholder in &segment.placeholders {
            let Placeholder { name, rule, .. } = &placeholders[placeholder.index];
            text.push_str(&value(rule, name));
            text.push_str(&literal(&placeholder.after));
        }
        text
    };
    format!("^{}$", segments.iter().map(segment).collect::<Vec<_>>().join("/"))
}
