//! The languages of placeholders, as regular expressions without the texts that would make keys ambiguous.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

use crate::dataset::regex_error;

/// What a placeholder matches that declares nothing else: 1 to 64 of these characters.
pub(super) const DEFAULT: &str = "[A-Za-z0-9._-]{1,64}";

/// Parses the regular expression of a placeholder, or returns the byte of the cause and the cause.
pub(super) fn parse(text: &str) -> Result<Hir, (usize, String)> {
    let hir = regex_syntax::parse(text).map_err(|error| regex_error::describe(&error))?;
    if !hir.properties().look_set().is_empty() {
        return Err((
            0,
            "a regular expression with an anchor or a word boundary; it always applies to the whole value".to_owned(),
        ));
    }
    let hir = without(&hir, &excluded_everywhere());
    match hir.properties().minimum_len() {
        Some(0) => Err((0, "a regular expression that matches the empty text".to_owned())),
        _ => Ok(hir),
    }
}

/// The expression without the values that contain a character.
pub(super) fn without_character(hir: &Hir, character: char) -> Hir {
    without(hir, &ClassUnicode::new([ClassUnicodeRange::new(character, character)]))
}

/// Whether no value matches, of an expression that this module returned: only a class without characters.
pub(super) fn is_void(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => class.ranges().is_empty(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().is_empty(),
        _ => false,
    }
}

/// Whether all values consist of the characters of the default rule.
pub(super) fn has_default_characters(hir: &Hir) -> bool {
    let range = ClassUnicodeRange::new;
    let allowed = [range('-', '.'), range('0', '9'), range('A', 'Z'), range('_', '_'), range('a', 'z')];
    let mut others = ClassUnicode::new(allowed);
    others.negate();
    without(hir, &others) == *hir
}

/// Maximum number of samples of an expression.
const SAMPLES_MAX: usize = 16;

/// Values that match an expression, with and without its optional parts.
pub(super) fn samples(hir: &Hir) -> Vec<String> {
    let all: Vec<String> = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        // Letters follow signs and digits, and are common in IDs.
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().rev().map(|range| range.start().into()).collect(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().rev().map(|range| char::from(range.start()).into()).collect(),
        HirKind::Repetition(repetition) => {
            let more = repetition.min.saturating_add(1);
            let counts = [repetition.min, more.min(repetition.max.unwrap_or(more))];
            let repeated = |count: u32| {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                samples(&repetition.sub).into_iter().map(move |sample| sample.repeat(count))
            };
            counts.into_iter().flat_map(repeated).collect()
        }
        HirKind::Capture(capture) => samples(&capture.sub),
        HirKind::Concat(subs) => subs.iter().map(samples).fold(vec![String::new()], |texts, next| {
            let pairs = texts.iter().flat_map(|text| next.iter().map(move |next| format!("{text}{next}")));
            pairs.take(SAMPLES_MAX).collect()
        }),
        HirKind::Alternation(subs) => subs.iter().flat_map(samples).collect(),
    };
    all.into_iter().take(SAMPLES_MAX).collect()
}

/// Slashes separate segments, and control characters cannot be shown.
fn excluded_everywhere() -> ClassUnicode {
    ClassUnicode::new([
        ClassUnicodeRange::new('/', '/'),
        ClassUnicodeRange::new('\0', '\u{1f}'),
        ClassUnicodeRange::new('\u{7f}', '\u{9f}'),
    ])
}

/// The expression without the values that contain one of the characters. Parts that cannot match are removed, up to the whole. Groups do not capture: each placeholder has one group.
fn without(hir: &Hir, excluded: &ClassUnicode) -> Hir {
    let all = |subs: &[Hir]| subs.iter().map(|sub| without(sub, excluded)).collect::<Vec<_>>();
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => hir.clone(),
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0);
            let is_excluded = |character| excluded.iter().any(|range| (range.start()..=range.end()).contains(&character));
            if text.chars().any(is_excluded) { Hir::fail() } else { hir.clone() }
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.difference(excluded);
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            let ascii = excluded.iter().filter_map(|range| {
                let end = u32::from(range.end()).min(0x7f);
                Some(ClassBytesRange::new(
                    u8::try_from(u32::from(range.start())).ok()?,
                    u8::try_from(end).ok()?,
                ))
            });
            class.difference(&ClassBytes::new(ascii.filter(|range| range.start().is_ascii())));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Repetition(repetition) => match without(&repetition.sub, excluded) {
            sub if is_void(&sub) && repetition.min == 0 => Hir::empty(),
            sub if is_void(&sub) => Hir::fail(),
            sub => Hir::repetition(Repetition {
                min: repetition.min,
                max: repetition.max,
                greedy: repetition.greedy,
                sub: Box::new(sub),
            }),
        },
        HirKind::Capture(capture) => without(&capture.sub, excluded),
        HirKind::Concat(subs) => match all(subs) {
            subs if subs.iter().any(is_void) => Hir::fail(),
            subs => Hir::concat(subs),
        },
        HirKind::Alternation(subs) => {
            let mut subs = all(subs);
            subs.retain(|sub| !is_void(sub));
            Hir::alternation(subs)
        }
    }
}
