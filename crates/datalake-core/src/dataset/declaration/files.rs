//! The sections `[files.NAME]`.

use super::{Rules, check_not_published, columns::Names, pattern_error};
use crate::{
    dataset::{
        document::{Entry, Node, Table},
        error::DatasetError,
        file::{DECLARED_FILE_BYTES_MAX, FILE_BYTES_MAX, FileColumn, FileType},
        key_pattern::KeyPattern,
        name::Name,
    },
    keys,
    text::quoted,
};

/// Maximum number of files of a row: a run lists and compares each.
const FILES_MAX: usize = 16;

const KEYS: &[&str] = &["key", "types", "max_bytes", "column", "copy_to"];

/// Parses all sections.
pub(super) fn parse<'n>(node: Option<&Node<'n>>, source: &KeyPattern, names: &mut Names<'n>) -> Result<Box<[FileColumn]>, DatasetError> {
    let Some(node) = node else {
        return Ok(Box::default());
    };
    let table = node.table("a table for each file, like [files.image]")?;
    let mut files: Vec<FileColumn> = Vec::new();
    for entry in table.entries() {
        if files.len() == FILES_MAX {
            return Err(entry.error(format!("more than {FILES_MAX} files"), format!("at most {FILES_MAX} files")));
        }
        let file = file(entry, source, &files, names)?;
        files.push(file);
    }
    Ok(files.into())
}

fn file<'n>(entry: &Entry<'n>, source: &KeyPattern, others: &[FileColumn], names: &mut Names<'n>) -> Result<FileColumn, DatasetError> {
    let name = names.parse(entry.key).map_err(|(found, expected)| entry.error(found, expected))?;
    let table = entry.node.table("a table with the key of the files")?;
    table.check_keys(&format!("[files.{name}]"), KEYS)?;
    let Some(key_node) = table.get("key") else {
        return Err(entry.error(
            format!("[files.{name}] without key"),
            "the key of the files, with the placeholders of source.key",
        ));
    };
    let key = pattern(key_node, source)?;
    check_not_published(key_node, &key)?;
    let patterns = [source].into_iter().chain(others.iter().map(|other| &other.key));
    check_disjoint(key_node, &key, patterns, names.rules)?;
    let types = match table.get("types") {
        Some(node) => types(node)?,
        None => Box::new([type_of_key(key_node, &key)?]),
    };
    let bytes_max = table.get("max_bytes").map(|node| node.count(DECLARED_FILE_BYTES_MAX)).transpose()?;
    let copy_to = table
        .get("copy_to")
        .map(|node| copy_to(node, source, others, names.rules))
        .transpose()?;
    let column = column(&table, entry, &name, names)?;
    Ok(FileColumn {
        name,
        key,
        types,
        bytes_max: bytes_max.unwrap_or(FILE_BYTES_MAX),
        column,
        copy_to,
    })
}

fn pattern(node: &Node<'_>, source: &KeyPattern) -> Result<KeyPattern, DatasetError> {
    let text = node.string("a key with the placeholders of source.key")?;
    let placeholders: Vec<_> = source.placeholders().iter().map(|placeholder| placeholder.name.as_str()).collect();
    KeyPattern::parse_file(text, source).map_err(|error| pattern_error(node, error, &placeholders))
}

/// The name of the column with the key of the file.
fn column<'n>(table: &Table<'n>, entry: &Entry<'n>, name: &Name, names: &mut Names<'n>) -> Result<Name, DatasetError> {
    let Some(node) = table.get("column") else {
        let column = names
            .parse(&format!("{name}_path"))
            .map_err(|(found, expected)| entry.error(found, expected))?;
        names.add(&column, Some(entry), |found, expected| entry.error(found, expected))?;
        return Ok(column);
    };
    let column = names
        .parse(node.string("the name of a column")?)
        .map_err(|(found, expected)| node.error(found, expected))?;
    names.add(&column, Some(entry), |found, expected| node.error(found, expected))?;
    Ok(column)
}

fn types(node: &Node<'_>) -> Result<Box<[FileType]>, DatasetError> {
    let names = FileType::ALL.map(FileType::as_str);
    let expected = format!("an array with some of {}", names.join(", "));
    let mut types = Vec::new();
    for node in node.array(&expected, FileType::ALL.len())? {
        let name = node.string(&expected)?;
        let unknown = || {
            node.error(format!("the unknown type {}", quoted(name)), expected.as_str())
                .with_nearest(name, names)
        };
        let file_type = FileType::parse(name).ok_or_else(unknown)?;
        if types.contains(&file_type) {
            return Err(node.error(format!("duplicate type {name}"), "unique types"));
        }
        types.push(file_type);
    }
    match types.is_empty() {
        true => Err(node.error("no type", expected)),
        false => Ok(types.into()),
    }
}

fn type_of_key(node: &Node<'_>, key: &KeyPattern) -> Result<FileType, DatasetError> {
    let extension = key
        .as_str()
        .rsplit_once('.')
        .and_then(|(_, extension)| FileType::of_extension(extension));
    extension.ok_or_else(|| {
        node.error(
            format!("the key {} without types", quoted(key.as_str())),
            "types, like [\"image/png\"]",
        )
    })
}

/// The keys of copies: in a folder below `processed_data/` that nothing else uses.
fn copy_to(node: &Node<'_>, source: &KeyPattern, others: &[FileColumn], rules: Rules) -> Result<KeyPattern, DatasetError> {
    let key = pattern(node, source)?;
    let folder = key.folder();
    let reserved = [keys::TABLE, keys::RUNS, keys::PROBES, keys::OUTPUT];
    let is_free = folder.starts_with(keys::PUBLISHED)
        && folder.len() > keys::PUBLISHED.len()
        && !reserved.iter().any(|reserved| folder.starts_with(reserved));
    if !is_free {
        let found = format!("the key {}", quoted(key.as_str()));
        return Err(node.error(
            found,
            "a key in a folder of its own below processed_data/, apart from users/, runs/ and output.csv",
        ));
    }
    check_disjoint(node, &key, others.iter().filter_map(|other| other.copy_to.as_ref()), rules)?;
    Ok(key)
}

/// Rejects a pattern if one of its keys is that of another object, too.
fn check_disjoint<'p>(
    node: &Node<'_>,
    key: &KeyPattern,
    mut others: impl Iterator<Item = &'p KeyPattern>,
    rules: Rules,
) -> Result<(), DatasetError> {
    if rules == Rules::Stored {
        return Ok(());
    }
    let shared = others.find_map(|other| Some((other, key.shared_key(other)?)));
    match shared {
        Some((other, shared)) => Err(node.error(
            format!(
                "the key {}, whose {} is already used by {}",
                quoted(key.as_str()),
                quoted(&shared),
                quoted(other.as_str())
            ),
            "keys that no other pattern matches, for example in another folder, or with another extension for each pattern",
        )),
        None => Ok(()),
    }
}
