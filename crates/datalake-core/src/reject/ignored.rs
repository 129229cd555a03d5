//! The messages of ignored objects, which follow from the code and the key.

use super::{IgnoreCode, Reason};
use crate::{
    keys::{self, NameDifference},
    text,
};

/// Why the object of this key is ignored.
pub(super) fn reason(code: IgnoreCode, key: &str) -> Reason {
    let name = key.strip_prefix(keys::SOURCES).unwrap_or(key);
    let quoted = text::quoted(name);
    match code {
        IgnoreCode::BadId => bad_id(name),
        IgnoreCode::Shadowed => Reason::new(
            format!("the name {quoted} exists with its extension in lower case too, and that object is the source"),
            "one object per user and kind",
            "remove one of the two",
        ),
        IgnoreCode::UnknownKind => unknown_kind(name),
        IgnoreCode::Temporary => Reason::new(
            format!("the name {quoted} is that of a temporary or sidecar file"),
            "{user_id}.csv or {user_id}.png",
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
            format!("there is no CSV of the user of {quoted}"),
            "a CSV for each user",
            "upload the CSV, and the next run links the image; or remove the image",
        ),
    }
}

fn bad_id(name: &str) -> Reason {
    const EXPECTED: &str = "an ID of 1 to 64 characters of A-Z a-z 0-9 . _ - before the extension";
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
        _ => format!("the ID {} has {} characters", text::quoted(stem), stem.len()),
    };
    Reason::new(found, EXPECTED, "rename the object")
}

fn unknown_kind(name: &str) -> Reason {
    let quoted = text::quoted(name);
    let Some(near) = keys::near_miss(name) else {
        let found = match name.rsplit_once('.') {
            Some((_, extension)) => format!("the name {quoted} ends with {}", text::quoted(&format!(".{extension}"))),
            None => format!("the name {quoted} has no extension"),
        };
        return Reason::new(
            found,
            "{user_id}.csv or {user_id}.png",
            "rename the object if it is a source, else remove it",
        );
    };
    let target = near.key.strip_prefix(keys::SOURCES).unwrap_or(&near.key).to_owned();
    match near.difference {
        NameDifference::Case => Reason::new(
            format!("the name {quoted} differs from {target} only in case"),
            "an extension in lower or in upper case: .csv, .CSV, .png, .PNG",
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
            "a name that ends with .csv or .png",
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
            format!("export the user's row as CSV and store it as {target}"),
        ),
    }
}

#[cfg(test)]
mod tests;
