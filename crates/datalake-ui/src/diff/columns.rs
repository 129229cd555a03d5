//! The differences between the columns of two declarations. Rows of such versions are not compared: their values have other meanings.

use datalake_core::dataset::{Dataset, FileColumn, KeyPattern};
use datalake_table::memory::snapshot::Snapshot;
use maud::{Markup, html};

use crate::{components::labels, page::links};

/// Two versions with different columns.
#[derive(Debug)]
pub(crate) struct OtherColumns {
    differences: Vec<ColumnDifference>,
    since: VersionRows,
    until: VersionRows,
}

/// The rows of a version.
#[derive(Debug)]
struct VersionRows {
    version: u64,
    /// Their number with its noun.
    counted: String,
}

/// A column that differs.
#[derive(Debug, PartialEq, Eq)]
struct ColumnDifference {
    /// Its name; none if the difference is the order of all columns.
    name: Option<String>,
    text: String,
}

impl OtherColumns {
    /// None if both versions have the same columns.
    pub(crate) fn between(before: &Snapshot, after: &Snapshot) -> Option<Self> {
        let (earlier, later) = (before.dataset(), after.dataset());
        let rows = |snapshot: &Snapshot| VersionRows {
            version: snapshot.version().number(),
            counted: labels::counted_rows(snapshot.dataset(), datalake_core::count::count(snapshot.len())),
        };
        (!earlier.has_same_columns(later)).then(|| Self {
            differences: differences(earlier, later),
            since: rows(before),
            until: rows(after),
        })
    }

    /// What differs, and where the rows of each version are.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            div #other-columns {
                p { "The rows are not compared, because the declarations of the two versions have different columns:" }
                ul {
                    @for ColumnDifference { name, text } in &self.differences {
                        li { @if let Some(name) = name { code { (name) } ": " } (text) }
                    }
                }
                p {
                    "Version " (self.since.version) " has " (rows_link(&self.since)) ", version " (self.until.version) " has " (rows_link(&self.until)) "."
                }
            }
        }
    }
}

fn rows_link(rows: &VersionRows) -> Markup {
    html! { a href=(links::rows_at_version(rows.version)) { (rows.counted) } }
}

/// The differences in the order of the later declaration, then what it no longer has.
fn differences(before: &Dataset, after: &Dataset) -> Vec<ColumnDifference> {
    let earlier: Vec<_> = parts(before);
    let later: Vec<_> = parts(after);
    let find = |parts: &[Part], name: &str| parts.iter().find(|part| part.name == name).map(|part| part.description.clone());
    let difference = |name: &str, text: String| ColumnDifference {
        name: Some(name.to_owned()),
        text,
    };
    let of_later = later.iter().filter_map(|part| match find(&earlier, &part.name) {
        None => Some(difference(&part.name, format!("added ({})", part.description))),
        Some(old) if old != part.description => Some(difference(&part.name, format!("{old} → {}", part.description))),
        Some(_) => None,
    });
    let removed = earlier.iter().filter(|part| find(&later, &part.name).is_none());
    let removed = removed.map(|part| difference(&part.name, "removed".to_owned()));
    let found: Vec<_> = of_later.chain(removed).collect();
    match found.is_empty() {
        true => vec![ColumnDifference {
            name: None,
            text: "the order of the columns".to_owned(),
        }],
        false => found,
    }
}

/// A column, a file or a derived column.
struct Part {
    name: String,
    description: String,
}

fn parts(dataset: &Dataset) -> Vec<Part> {
    let part = |name: &str, description: &str| Part {
        name: name.to_owned(),
        description: description.to_owned(),
    };
    let columns = { dataset.columns().iter() }.map(|column| part(&column.name, &column.column_type.to_string()));
    let files = { dataset.files().iter() }.map(|file| {
        part(
            &file.name,
            &format!("file with the column {} and the keys {}", file.column, linked(file).as_str()),
        )
    });
    let derived = { dataset.derived().iter() }.map(|derived| part(&derived.name, &derived.to_string()));
    columns.chain(files).chain(derived).collect()
}

/// The keys that the column of a file has.
fn linked(file: &FileColumn) -> &KeyPattern {
    file.copy_to.as_ref().unwrap_or(&file.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "title = 'Plants'\nentity = 'plant'\nsource.key = 'p/{plant_id}.csv'\n[columns]\nsite = 'string'\nleaves = 'integer'\n\
                          height = { type = 'number', source = 'Höhe' }\n[files.photo]\nkey = 'p/{plant_id}.png'\ntypes = ['image/png']\n[derived]\nextra = 'length(plant_id)'\n";

    #[track_caller]
    fn check(from: &str, to: &str, expected: &[&str]) {
        let [before, after] = [BEFORE.to_owned(), BEFORE.replace(from, to)].map(|text| Dataset::parse(&text).unwrap());
        let found = differences(&before, &after).into_iter().map(|difference| match difference.name {
            Some(name) => format!("{name}: {}", difference.text),
            None => difference.text,
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{from} → {to}");
    }

    #[test]
    fn each_column_that_differs_is_named() {
        check("leaves = 'integer'", "leaves = 'number'", &["leaves: integer → number"]);
        check(
            "site = 'string'",
            "gardener = 'string'",
            &["gardener: added (string)", "site: removed"],
        );
        check(
            "files.photo",
            "files.scan",
            &[
                "scan: added (file with the column scan_path and the keys p/{plant_id}.png)",
                "photo: removed",
            ],
        );
        check(
            "types = ['image/png']",
            "types = ['image/png']\ncopy_to = 'processed_data/photos/{plant_id}.png'",
            &[
                "photo: file with the column photo_path and the keys p/{plant_id}.png → file with the column photo_path and the keys \
               processed_data/photos/{plant_id}.png",
            ],
        );
        check("length(plant_id)", "length(site)", &["extra: length(plant_id) → length(site)"]);
        check(
            "site = 'string'\nleaves = 'integer'",
            "leaves = 'integer'\nsite = 'string'",
            &["the order of the columns"],
        );
    }
}
