//! The messages of ignored objects, which follow from the code and the key.

use super::{IgnoreCode, Reason};
use crate::{
    dataset::{Dataset, KeyPattern, KeyRole, Placeholder},
    keys::{self, NameDifference},
    row_id::RowId,
    text,
};

/// Why the object of this key is ignored.
pub(super) fn reason(dataset: &Dataset, code: IgnoreCode, key: &str) -> Reason {
    let entity = dataset.entity();
    let folder = keys::folder_of(dataset, key).unwrap_or_default();
    let name = key.strip_prefix(folder).unwrap_or(key);
    let quoted = text::quoted(name);
    let is_flat = dataset.key().depth_below_folder() == 0;
    match code {
        IgnoreCode::BadId => bad_id(dataset, key, name),
        IgnoreCode::Shadowed => Reason::new(
            format!("the name {quoted} exists with its extension in lower case too, and that object is the source"),
            format!("one object per {entity} and kind"),
            "remove one of the two",
        ),
        IgnoreCode::UnknownKind => unknown_kind(dataset, folder, name),
        IgnoreCode::Temporary => Reason::new(
            format!("the name {quoted} is that of a temporary or sidecar file"),
            source_names(dataset),
            "remove the file if its program has ended; rename it if it is a source",
        ),
        IgnoreCode::Nested => Reason::new(
            format!(
                "{quoted} is in a folder below {}",
                if is_flat { folder } else { "those of the sources" }
            ),
            if is_flat {
                format!("sources directly in {folder}")
            } else {
                source_names(dataset)
            },
            if is_flat {
                "move the sources up; the processor does not read folders"
            } else {
                "move the sources to where their keys are"
            },
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

/// The names of all objects of a dataset: `{user_id}.csv or {user_id}.png`. If they are in several folders, with these.
fn source_names(dataset: &Dataset) -> String {
    let names = match keys::source_folders(dataset).len() {
        1 => keys::name_templates(dataset),
        _ => keys::patterns(dataset).map(KeyPattern::template).collect(),
    };
    names.join(" or ")
}

/// What follows the ID in the names of all objects, in each case if `in_each_case`.
fn extensions(dataset: &Dataset, in_each_case: bool) -> Vec<String> {
    let ends = keys::patterns(dataset).flat_map(|pattern| {
        let ends = pattern.ends().into_iter();
        ends.take(if in_each_case { 2 } else { 1 })
    });
    ends.collect()
}

fn bad_id(dataset: &Dataset, key: &str, name: &str) -> Reason {
    let placeholders = dataset.key().placeholders();
    let texts = keys::patterns(dataset).find_map(|pattern| pattern.texts(key));
    let mut values = placeholders.iter().zip(texts.unwrap_or_default());
    let invalid = values.find(|(placeholder, value)| placeholders.len() > 1 && !placeholder.accepts(value));
    let (subject, value, rule, place) = if let Some((placeholder, value)) = invalid {
        let place = format!(" where the key has {{{}}}", placeholder.name);
        (format!("the value of {}", placeholder.name), value, placeholder.declared(), place)
    } else {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let declared = placeholders.first().and_then(Placeholder::declared);
        ("the ID".to_owned(), stem, declared, " before the extension".to_owned())
    };
    let matching = rule.map_or(String::new(), |rule| format!(" that matches {}", text::quoted(rule)));
    let what = if placeholders.len() > 1 { "a value" } else { "an ID" };
    let expected = format!("{what} of 1 to 64 characters of A-Z a-z 0-9 . _ -{matching}{place}");
    let is_invalid = |character: &char| !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_' | '-');
    let quoted = text::quoted(value);
    let found = match value {
        "" if placeholders.len() > 1 => format!("{subject} is empty"),
        "" => "the name has nothing before its extension".to_owned(),
        "." | ".." => format!("{subject} would be {quoted}, which names a folder"),
        _ if value.contains(|character| is_invalid(&character)) => {
            let characters = text::code_points(value.chars().filter(is_invalid));
            format!("{subject} {quoted} contains {characters}")
        }
        _ if value.len() > RowId::BYTES_MAX => format!("{subject} {quoted} has {} characters", value.len()),
        _ => format!("{subject} {quoted} does not match {}", text::quoted(rule.unwrap_or_default())),
    };
    Reason::new(found, expected, "rename the object")
}

fn unknown_kind(dataset: &Dataset, folder: &str, name: &str) -> Reason {
    let quoted = text::quoted(name);
    let Some(near) = keys::near_miss(dataset, folder, name) else {
        let ends = extensions(dataset, true);
        let found = match name.rsplit_once('.') {
            Some(_) if ends.iter().any(|end| name.ends_with(end.as_str())) => {
                format!("the name {quoted} has other parts than those of sources")
            }
            Some((_, extension)) => format!("the name {quoted} ends with {}", text::quoted(&format!(".{extension}"))),
            None => format!("the name {quoted} has no extension"),
        };
        return Reason::new(found, source_names(dataset), "rename the object if it is a source, else remove it");
    };
    let target = near.key.strip_prefix(folder).unwrap_or(&near.key).to_owned();
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
