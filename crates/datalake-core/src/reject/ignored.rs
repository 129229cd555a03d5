//! The messages of ignored objects, which follow from the code and the key.

use super::{IgnoreCode, Reason};
use crate::{
    dataset::{Dataset, KeyPattern, KeyRole},
    keys::{self, NameDifference},
    row_id::RowId,
    text,
};

/// Why the object of this key is ignored.
pub(super) fn reason(dataset: &Dataset, code: IgnoreCode, key: &str) -> Reason {
    let entity = dataset.entity();
    let name = key.strip_prefix(keys::SOURCES).unwrap_or(key);
    let quoted = text::quoted(name);
    match code {
        IgnoreCode::BadId => bad_id(dataset, name),
        IgnoreCode::Shadowed => Reason::new(
            format!("the name {quoted} exists with its extension in lower case too, and that object is the source"),
            "one object per user and kind",
            "remove one of the two",
        ),
        IgnoreCode::UnknownKind => unknown_kind(dataset, name),
        IgnoreCode::Temporary => Reason::new(
            format!("the name {quoted} is that of a temporary or sidecar file"),
            source_names(dataset),
            "remove the file if its program has ended; rename it if it is a source",
        ),
        IgnoreCode::Nested => Reason::new(
            format!("{quoted} is in a folder below src-data/"),
            "sources directly in src-data/",
            "move the sources up; the processor does not read folders",
        ),
        IgnoreCode::NotAFile => Reason::new(
            format!(
                "{quoted} is not a regular file: a FIFO, a socket, a device, a folder, or a link that leads nowhere or out of the lake"
            ),
            "a regular file",
            "replace it by the file itself",
        ),
        IgnoreCode::OrphanImage => Reason::new(
            format!("there is no CSV of the {entity} of {quoted}"),
            format!("a CSV for each {entity}"),
            {
                let file = match dataset.match_key(key) {
                    Ok((KeyRole::File(index), _)) => dataset.files()[index].name.as_str(),
                    _ => "file",
                };
                format!("upload the CSV, and the next run links the {file}; or remove the {file}")
            },
        ),
    }
}

/// The patterns of all objects of a dataset.
fn patterns(dataset: &Dataset) -> impl Iterator<Item = &KeyPattern> {
    [dataset.key()].into_iter().chain(dataset.files().iter().map(|file| &file.key))
}

/// The names of all objects of a dataset: `{user_id}.csv or {user_id}.png`.
fn source_names(dataset: &Dataset) -> String {
    let name = |pattern: &KeyPattern| {
        let [_, _, end] = pattern.key_of_id("");
        format!("{{{}}}{end}", dataset.columns()[0].name)
    };
    patterns(dataset).map(name).collect::<Vec<_>>().join(" or ")
}

/// What follows the ID in the names of all objects, in each case if `in_each_case`.
fn extensions(dataset: &Dataset, in_each_case: bool) -> Vec<String> {
    let ends = patterns(dataset).flat_map(|pattern| {
        let spellings = pattern.spellings("");
        let ends = spellings.into_iter().take(if in_each_case { 2 } else { 1 });
        ends.map(|key| key.strip_prefix(keys::SOURCES).unwrap_or_default().to_owned())
    });
    ends.collect()
}

fn bad_id(dataset: &Dataset, name: &str) -> Reason {
    let rule = dataset.key().declared_rule();
    let matching = rule.map_or(String::new(), |rule| format!(" that matches {}", text::quoted(rule)));
    let expected = format!("an ID of 1 to 64 characters of A-Z a-z 0-9 . _ -{matching} before the extension");
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_invalid = |character: &char| !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_' | '-');
    let found = match stem {
        "" => "the name has nothing before its extension".to_owned(),
        "." | ".." => format!("the ID would be {}, which names a folder", text::quoted(stem)),
        _ if stem.contains(|character| is_invalid(&character)) => format!(
            "the ID {} contains {}",
            text::quoted(stem),
            text::code_points(stem.chars().filter(is_invalid))
        ),
        _ if stem.len() > RowId::BYTES_MAX => format!("the ID {} has {} characters", text::quoted(stem), stem.len()),
        _ => format!(
            "the ID {} does not match {}",
            text::quoted(stem),
            text::quoted(rule.unwrap_or_default())
        ),
    };
    Reason::new(found, expected, "rename the object")
}

fn unknown_kind(dataset: &Dataset, name: &str) -> Reason {
    let quoted = text::quoted(name);
    let Some(near) = keys::near_miss(dataset, name) else {
        let found = match name.rsplit_once('.') {
            Some((_, extension)) => format!("the name {quoted} ends with {}", text::quoted(&format!(".{extension}"))),
            None => format!("the name {quoted} has no extension"),
        };
        return Reason::new(found, source_names(dataset), "rename the object if it is a source, else remove it");
    };
    let target = near.key.strip_prefix(keys::SOURCES).unwrap_or(&near.key).to_owned();
    match near.difference {
        NameDifference::Case => Reason::new(
            format!("the name {quoted} differs from {target} only in case"),
            format!("an extension in lower or in upper case: {}", extensions(dataset, true).join(", ")),
            format!("rename it to {target}"),
        ),
        NameDifference::WhiteSpace => Reason::new(
            format!(
                "the name {quoted} differs from {target} only by {}",
                text::code_points(name.chars().filter(|character| text::is_invisible(*character)))
            ),
            "a name without white space",
            format!("rename it to {target}"),
        ),
        NameDifference::SecondExtension => Reason::new(
            format!("the name {quoted} has another extension after that of {target}"),
            format!("a name that ends with {}", extensions(dataset, false).join(" or ")),
            format!("store the plain file as {target}"),
        ),
        NameDifference::ImageType => Reason::new(
            format!("the name {quoted} is that of an image that is not a PNG"),
            format!("a PNG named {target}"),
            format!("convert the image to PNG and store it as {target}"),
        ),
        NameDifference::TableType => Reason::new(
            format!("the name {quoted} is that of a table that is not a CSV"),
            format!("a CSV named {target}"),
            format!("export the {}'s row as CSV and store it as {target}", dataset.entity()),
        ),
    }
}

#[cfg(test)]
mod tests;
