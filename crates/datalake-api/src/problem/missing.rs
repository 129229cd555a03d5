//! Rows and files that do not exist, in the words of their dataset.

use datalake_core::{
    dataset::{Dataset, FileColumn},
    keys::csv_sources,
    reject::Exclusion,
    row_id::RowId,
    text::capitalized,
};
use datalake_table::memory::snapshot::Snapshot;

use crate::request::row_path;

/// A row that a version of the table does not have.
#[derive(Clone, Debug)]
pub struct MissingRow {
    words: Words,
    /// The key of the row's source, if it is rejected.
    rejected: Option<Box<str>>,
}

/// A file that a row does not have, or that has changed since a version linked it.
#[derive(Clone, Debug)]
pub struct MissingFile {
    words: Words,
    /// The name of the file in the declaration.
    name: Box<str>,
    replaced: Option<ReplacedFile>,
}

/// A file that was changed or removed since a version linked it.
#[derive(Clone, Debug)]
struct ReplacedFile {
    key: String,
    version: u64,
}

/// The words of a dataset for its rows.
#[derive(Clone, Debug)]
struct Words {
    entity: Box<str>,
    /// The template of the path of a row.
    path: Box<str>,
}

impl Words {
    fn of(dataset: &Dataset) -> Self {
        Self {
            entity: dataset.entity().into(),
            path: row_path::template(dataset).into(),
        }
    }

    /// The template of the path that explains a row.
    fn explanation(&self) -> String {
        format!("{}/explain", self.path)
    }
}

impl MissingRow {
    /// A row of a dataset.
    pub fn of(dataset: &Dataset) -> Self {
        Self {
            words: Words::of(dataset),
            rejected: None,
        }
    }

    /// The row whose ID has this text, in a version.
    pub fn of_version(snapshot: &Snapshot, id: &str) -> Self {
        let row_id = RowId::parse(id).ok().filter(|row_id| snapshot.dataset().has_ids_like(row_id));
        let keys = row_id.map(|row_id| csv_sources(snapshot.dataset(), &row_id)).unwrap_or_default();
        let rejects = snapshot.rejects();
        // The rejects are ordered by their keys.
        let is_rejected = |key: &String| {
            let found = rejects.binary_search_by(|reject| (*reject.key).cmp(key.as_str()));
            found.is_ok_and(|index| matches!(rejects[index].exclusion, Exclusion::Rejected(_)))
        };
        Self {
            rejected: keys.into_iter().find(is_rejected).map(String::into_boxed_str),
            ..Self::of(snapshot.dataset())
        }
    }

    pub(super) fn title(&self) -> String {
        format!("{} not found", capitalized(&self.words.entity))
    }

    pub(super) fn detail(&self) -> String {
        let entity = &self.words.entity;
        let reason = match &self.rejected {
            Some(key) => format!("{key} is rejected: see {}", self.words.explanation()),
            None => "IDs are case-sensitive".to_owned(),
        };
        format!("the table has no {entity} with this ID; {reason}")
    }
}

impl MissingFile {
    /// A file that a row does not have.
    pub(crate) fn of(dataset: &Dataset, file: &FileColumn) -> Self {
        Self {
            words: Words::of(dataset),
            name: file.name.as_str().into(),
            replaced: None,
        }
    }

    /// A file that was changed or removed since this version linked it.
    pub(crate) fn replaced(snapshot: &Snapshot, file: &FileColumn, key: String) -> Self {
        let version = snapshot.version().number();
        Self {
            replaced: Some(ReplacedFile { key, version }),
            ..Self::of(snapshot.dataset(), file)
        }
    }

    pub(super) fn title(&self) -> String {
        format!("{} not found", capitalized(&self.name))
    }

    pub(super) fn detail(&self) -> String {
        let Self { words, name, replaced } = self;
        match replaced {
            Some(ReplacedFile { key, version }) => {
                format!("{key} was changed or removed after version {version}; the next run reads it")
            }
            None => format!("this {} has no valid {name}; see {}", words.entity, words.explanation()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_words_of_the_dataset() {
        let row = MissingRow::of(Dataset::users());
        assert_eq!(
            [row.title(), row.detail()],
            ["User not found", "the table has no user with this ID; IDs are case-sensitive"]
        );
        let file = MissingFile::of(Dataset::users(), &Dataset::users().files()[0]);
        assert_eq!(
            [file.title(), file.detail()],
            ["Image not found", "this user has no valid image; see /data/{user_id}/explain"]
        );
        let text = "entity = 'order'\nsource.key = 'src-data/{order_id}.csv'\n[files.invoice]\nkey = 'src-data/{order_id}.pdf'\n";
        let orders = Dataset::parse(text).unwrap();
        assert_eq!(MissingRow::of(&orders).title(), "Order not found");
        let file = MissingFile::of(&orders, &orders.files()[0]);
        assert_eq!(
            [file.title(), file.detail()],
            ["Invoice not found", "this order has no valid invoice; see /data/{order_id}/explain"]
        );
    }
}
