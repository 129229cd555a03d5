//! The differences between the columns of two declarations. Rows of such versions are not compared: their values have other meanings.

use datalake_core::dataset::Dataset;
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
    let find = |parts: &[Part], sought: &Part| {
        let found = parts.iter().find(|part| part.is_file == sought.is_file && part.name == sought.name);
        found.map(|part| part.description.clone())
    };
    let difference = |name: &str, text: String| ColumnDifference {
        name: Some(name.to_owned()),
        text,
    };
    let of_later = later.iter().filter_map(|part| match find(&earlier, part) {
        None => Some(difference(&part.name, format!("added ({})", part.description))),
        Some(old) if old != part.description => Some(difference(&part.name, format!("{old} → {}", part.description))),
        Some(_) => None,
    });
    let removed = earlier.iter().filter(|part| find(&later, part).is_none());
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
    /// A file may have the name of a column.
    is_file: bool,
    name: String,
    description: String,
}

fn parts(dataset: &Dataset) -> Vec<Part> {
    let part = |is_file: bool, name: &str, description: String| Part {
        is_file,
        name: name.to_owned(),
        description,
    };
    let columns = { dataset.columns().iter() }.map(|column| part(false, &column.name, column.column_type.to_string()));
    let files = { dataset.files().iter() }.map(|file| {
        let (name, column, keys) = file.shown();
        part(true, name, format!("file with the column {column} and the keys {keys}"))
    });
    let derived = { dataset.derived().iter() }.map(|derived| part(false, &derived.name, derived.to_string()));
    columns.chain(files).chain(derived).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "title = 'Plants'\nentity = 'plant'\nsource.key = 'p/{plant_id}.csv'\n[columns]\nsite = 'string'\nleaves = 'integer'\n\
                          planted = 'date'\nheight = { type = 'number', source = 'Höhe' }\n[files.photo]\nkey = 'p/{plant_id}.png'\n[derived]\n\
                          age = 'years(planted)'\n";

    #[track_caller]
    fn check(from: &str, to: &str, expected: &[&str]) {
        assert!(BEFORE.contains(from), "{from}");
        let [before, after] = [BEFORE.to_owned(), BEFORE.replace(from, to)].map(|text| Dataset::parse(&text).unwrap());
        assert!(!before.has_same_columns(&after), "{from} → {to}");
        let found = differences(&before, &after).into_iter().map(|difference| match difference.name {
            Some(name) => format!("{name}: {}", difference.text),
            None => difference.text,
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{from} → {to}");
    }

    #[test]
    fn each_column_that_differs_is_named() {
        check("leaves = 'integer'", "leaves = 'number'", &["leaves: integer → number"]);
        check("site = ", "gardener = ", &["gardener: added (string)", "site: removed"]);
        check(
            "site = 'string'\nleaves = 'integer'",
            "leaves = 'integer'\nsite = 'string'",
            &["the order of the columns"],
        );
    }

    #[test]
    fn source_of_a_column_is_no_difference() {
        check(
            "leaves = 'integer'\nplanted = 'date'\nheight = { type = 'number', source = 'Höhe' }",
            "leaves = 'number'\nplanted = 'date'\nheight = { type = 'number', source = 'Hoehe' }",
            &["leaves: integer → number"],
        );
    }

    #[test]
    fn each_file_that_differs_is_named() {
        let shown = "file with the column photo_path and the keys p/{plant_id}.png";
        check(
            "files.photo",
            "files.scan",
            &[
                "scan: added (file with the column scan_path and the keys p/{plant_id}.png)",
                "photo: removed",
            ],
        );
        let expected = format!("photo: {shown} → file with the column photo_key and the keys p/{{plant_id}}.png");
        check(".png'", ".png'\ncolumn = 'photo_key'", &[&expected]);
        check(
            "files.photo",
            "files.site",
            &[
                "site: added (file with the column site_path and the keys p/{plant_id}.png)",
                "photo: removed",
            ],
        );
        let expected = format!("photo: {shown} → file with the column photo_path and the keys photos/{{plant_id}}.png");
        check("'p/{plant_id}.png'", "'photos/{plant_id}.png'", &[&expected]);
        let expected = format!("photo: {shown} → file with the column photo_path and the keys processed_data/photos/{{plant_id}}.png");
        check(".png'", ".png'\ncopy_to = 'processed_data/photos/{plant_id}.png'", &[&expected]);
    }

    #[test]
    fn each_derived_column_that_differs_is_named() {
        check("age = ", "years = ", &["years: added (years(planted))", "age: removed"]);
        check("years(planted)", "year(planted)", &["age: years(planted) → year(planted)"]);
        check("years(planted)", "length(site)", &["age: years(planted) → length(site)"]);
    }
}
