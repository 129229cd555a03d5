//! From the TOML text of a declaration to a dataset: the sections, and what must hold between them.

mod bounds;
mod columns;
mod constraints;
mod derived;
mod dialect;
mod files;

use super::{
    Dataset,
    document::{self, Node, Table},
    error::DatasetError,
    format::{Compression, CsvDialect, SourceFormat},
    key_pattern::{KeyPattern, PatternError, Placeholder},
};
use crate::{
    keys,
    text::{capitalized, code_point, quoted},
};

/// Maximum length of a title, in bytes: a line of a page.
const TITLE_BYTES_MAX: usize = 200;

/// Maximum length of the name of an entity, in bytes: it is a part of messages.
const ENTITY_BYTES_MAX: usize = 64;

/// Maximum number of texts that mean that there is no value: each is compared with each value.
const MISSING_VALUES_MAX: usize = 16;

const KEYS: &[&str] = &[
    "title",
    "entity",
    "source",
    "csv",
    "columns",
    "files",
    "derived",
    "stats",
    "missingValues",
];

/// The rules that a declaration obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// All rules, for the declaration of an owner.
    All,
    /// The rules without which rows have no meaning, for a declaration that a commit stores.
    Stored,
}

/// Parses the declaration of an owner, and checks its size as written and in canonical form, in which commits store it.
pub(super) fn parse(text: &str) -> Result<Dataset, DatasetError> {
    let expected = || format!("at most {} bytes", Dataset::BYTES_MAX);
    if text.len() > Dataset::BYTES_MAX {
        let found = format!("a declaration of {} bytes", text.len());
        return Err(DatasetError::at(text, Dataset::BYTES_MAX, found, expected()));
    }
    let dataset = parse_by(text, Rules::All)?;
    let canonical = dataset.canonical().len();
    match canonical > Dataset::BYTES_MAX {
        true => {
            let found = format!(
                "a declaration of {} bytes, whose canonical form with escaped backslashes has {canonical} bytes",
                text.len()
            );
            Err(DatasetError::at(text, 0, found, expected()))
        }
        false => Ok(dataset),
    }
}

/// Parses a declaration that a commit stores.
pub(super) fn parse_stored(text: &str) -> Result<Dataset, DatasetError> {
    parse_by(text, Rules::Stored)
}

fn parse_by(text: &str, rules: Rules) -> Result<Dataset, DatasetError> {
    let parsed = document::parse(text)?;
    let root = Table::new(text, parsed.get_ref());
    root.check_keys("the declaration", KEYS)?;
    let entity = label(root.get("entity"), "row", ENTITY_BYTES_MAX)?;
    let title = label(root.get("title"), &format!("{}s", capitalized(&entity)), TITLE_BYTES_MAX)?;
    let Some(node) = root.get("source") else {
        return Err(DatasetError::at(
            text,
            0,
            "no [source]",
            "[source] with the key of the sources, like key = 'src-data/{id}.csv'",
        ));
    };
    let source = node.table("[source] with key and format")?;
    source.check_keys("[source]", &["key", "format"])?;
    let Some(key_node) = source.get("key") else {
        return Err(node.error("[source] without key", "the key of the sources, like key = 'src-data/{id}.csv'"));
    };
    let key = source_key(key_node, rules)?;
    let format = format(source.get("format"), key_node, &key)?;
    let compression = Compression::of_key(key.as_str());
    let csv = match root.get("csv") {
        None => CsvDialect::of_key(key.as_str()),
        Some(node) if format == SourceFormat::Csv => dialect::parse(node, CsvDialect::of_key(key.as_str()))?,
        Some(node) => {
            let found = format!("[csv], and the format of the sources is {}", format.as_str());
            return Err(node.error(found, "[csv] only with the format csv"));
        }
    };
    let missing_values = missing_values(root.get("missingValues"))?;
    let mut names = columns::Names::new(rules);
    let columns = columns::parse(root.get("columns"), &key, format, &missing_values, &mut names)?;
    let files = files::parse(root.get("files"), &key, &mut names)?;
    let derived = derived::parse(root.get("derived"), &columns, &files, &mut names)?;
    names.check(&files, key_node)?;
    let stats = match root.get("stats") {
        None => Dataset::default_stats(&columns, &derived),
        Some(node) => derived::stats(node, &columns, &derived)?,
    };
    let stored = Dataset::stored_indexes(&columns);
    Ok(Dataset {
        title,
        entity,
        key,
        format,
        compression,
        csv,
        stored_ids: stored.iter().flatten().count(),
        stored,
        columns,
        files,
        derived,
        stats,
        missing_values,
    })
}

/// A short text for pages and messages.
fn label(node: Option<&Node<'_>>, default: &str, bytes_max: usize) -> Result<Box<str>, DatasetError> {
    let Some(node) = node else {
        return Ok(default.into());
    };
    let expected = format!("a text of 1 to {bytes_max} bytes");
    let text = node.string(&expected)?;
    if let Some((at, character)) = text.char_indices().find(|(_, character)| character.is_control()) {
        return Err(node.error_within(at, format!("the control character {}", code_point(character)), expected));
    }
    if text.trim() != text || text.is_empty() || text.len() > bytes_max {
        return Err(node.error(
            format!("the text {} of {} bytes", quoted(text), text.len()),
            format!("{expected} without spaces around it"),
        ));
    }
    Ok(text.into())
}

/// The error of a pattern, at the value that has its text.
fn pattern_error(node: &Node<'_>, error: PatternError, placeholders: &[&str]) -> DatasetError {
    let at = node.error_within(error.offset, error.found, error.expected);
    match error.unknown {
        Some(unknown) => at.with_nearest(&unknown, placeholders.iter().copied()),
        None => at,
    }
}

fn source_key(node: &Node<'_>, rules: Rules) -> Result<KeyPattern, DatasetError> {
    let text = node.string("the key of the sources, like 'src-data/{id}.csv'")?;
    let key = KeyPattern::parse(text).map_err(|error| pattern_error(node, error, &[]))?;
    if rules == Rules::All {
        for Placeholder { name, .. } in key.placeholders() {
            let at = || {
                [format!("{{{name}}}"), format!("{{{name}:")]
                    .iter()
                    .find_map(|start| text.find(start))
            };
            name.check_not_reserved()
                .map_err(|(found, expected)| node.error_within(at().map_or(0, |brace| brace + 1), found, expected))?;
        }
    }
    check_not_published(node, &key)?;
    Ok(key)
}

/// Rejects sources where runs write, and where a lake in a folder has its private files.
fn check_not_published(node: &Node<'_>, key: &KeyPattern) -> Result<(), DatasetError> {
    let literal = key.as_str().split('{').next().unwrap_or_default();
    // A key without folders is not below one.
    let may_be_below = |folder: &&str| literal.starts_with(folder) || key.depth() > 0 && folder.starts_with(literal);
    let private = format!("{}/", keys::PRIVATE);
    match [keys::PUBLISHED, &private].into_iter().find(may_be_below) {
        Some(folder) => Err(node.error(
            format!("the key {}, which may be below {folder}", quoted(key.as_str())),
            format!("a key in a folder of its own, like src-data/{{id}}.csv; the product writes below {folder}"),
        )),
        None => Ok(()),
    }
}

fn format(node: Option<&Node<'_>>, key_node: &Node<'_>, key: &KeyPattern) -> Result<SourceFormat, DatasetError> {
    let names = SourceFormat::ALL.map(SourceFormat::as_str);
    let expected = format!("one of {}", names.join(", "));
    let Some(node) = node else {
        return SourceFormat::of_key(key.as_str()).ok_or_else(|| {
            let found = format!("cannot infer the format from the key {}", quoted(key.as_str()));
            key_node.error(found, "a key that ends with .csv, .tsv or .json, or `format` in [source]")
        });
    };
    let name = node.string(&expected)?;
    SourceFormat::parse(name).ok_or_else(|| {
        node.error(format!("the unknown format {}", quoted(name)), expected)
            .with_nearest(name, names)
    })
}

fn missing_values(node: Option<&Node<'_>>) -> Result<Box<[Box<str>]>, DatasetError> {
    const EXPECTED: &str = "an array of texts, like [\"\", \"NA\"]";
    let Some(node) = node else {
        return Ok(Box::new(["".into()]));
    };
    let mut values: Vec<Box<str>> = Vec::new();
    for node in node.array(EXPECTED, MISSING_VALUES_MAX)? {
        let text = node.string(EXPECTED)?;
        if values.iter().any(|other| **other == *text) {
            return Err(node.error(format!("duplicate text {}", quoted(text)), "unique texts"));
        }
        if crate::text::trim(text) != text {
            let found = format!("the text {} with white space around it", quoted(text));
            return Err(node.error(found, "the text alone, because white space around values is removed"));
        }
        values.push(text.into());
    }
    Ok(values.into())
}
