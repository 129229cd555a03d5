//! The section `[csv]`.

use crate::{
    dataset::{
        document::Node,
        error::DatasetError,
        format::{CsvDialect, Encoding, ExtraColumns},
    },
    text::quoted,
};

const KEYS: &[&str] = &["delimiter", "encoding", "decimalChar", "groupChar", "extra_columns"];

/// Parses the section. `default` is the dialect of a declaration without it.
pub(super) fn parse(node: &Node<'_>, default: CsvDialect) -> Result<CsvDialect, DatasetError> {
    let table = node.table("[csv] with the dialect")?;
    table.check_keys("[csv]", KEYS)?;
    let mut dialect = default;
    if let Some(node) = table.get("delimiter") {
        dialect.delimiter = delimiter(node)?;
    }
    if let Some(node) = table.get("encoding") {
        let names = Encoding::ALL.map(Encoding::as_str);
        dialect.encoding = choice(node, "encoding", &names, Encoding::parse)?;
    }
    if let Some(node) = table.get("decimalChar") {
        dialect.decimal = separator(node)?;
    }
    if let Some(node) = table.get("groupChar") {
        let group = separator(node)?;
        if group == dialect.decimal {
            return Err(node.error(
                format!("groupChar and decimalChar are both {}", quoted(&group.to_string())),
                "different characters",
            ));
        }
        dialect.group = Some(group);
    }
    if let Some(node) = table.get("extra_columns") {
        let names = ExtraColumns::ALL.map(ExtraColumns::as_str);
        dialect.extra_columns = choice(node, "value", &names, ExtraColumns::parse)?;
    }
    Ok(dialect)
}

/// A word of a closed list.
fn choice<T>(node: &Node<'_>, kind: &str, names: &[&str], parse: impl Fn(&str) -> Option<T>) -> Result<T, DatasetError> {
    let expected = format!("one of {}", names.join(", "));
    let name = node.string(&expected)?;
    let unknown = || {
        node.error(format!("the unknown {kind} {}", quoted(name)), expected)
            .with_nearest(name, names.iter().copied())
    };
    parse(name).ok_or_else(unknown)
}

fn delimiter(node: &Node<'_>) -> Result<u8, DatasetError> {
    const EXPECTED: &str =
        "one ASCII character, like \";\" or \"\\t\", except a letter, digit, quote, sign, period, underscore, space or line break";
    let text = node.string(EXPECTED)?;
    let is_allowed = |byte: u8| byte == b'\t' || (byte.is_ascii_punctuation() && !matches!(byte, b'"' | b'\'' | b'+' | b'-' | b'.' | b'_'));
    match text.as_bytes() {
        [byte] if is_allowed(*byte) => Ok(*byte),
        _ => Err(node.error(format!("the delimiter {}", quoted(text)), EXPECTED)),
    }
}

/// A character within numbers.
fn separator(node: &Node<'_>) -> Result<char, DatasetError> {
    const EXPECTED: &str = "one character, like \",\", except a digit, letter, sign, quote or line break";
    let text = node.string(EXPECTED)?;
    let mut characters = text.chars();
    let is_allowed = |character: char| !character.is_alphanumeric() && !character.is_control() && !matches!(character, '+' | '-' | '"');
    match (characters.next(), characters.next()) {
        (Some(character), None) if is_allowed(character) => Ok(character),
        _ => Err(node.error(format!("the character {}", quoted(text)), EXPECTED)),
    }
}
