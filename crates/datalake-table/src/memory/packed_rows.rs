//! What a reader keeps of one data file: the columns it shows, compact and immutable. No rows are made before somebody asks for one.

use std::fmt;

use datalake_core::{row::RowView, user::BirthTimestamp};
use polars::prelude::DataFrame;

use crate::{
    delta::{
        parquet_rows::Columns,
        schema::{BIRTHTS, FIRST_NAME, IMG_PATH, LAST_NAME, USER_ID},
    },
    error::TableError,
    memory::columns::{BitColumn, DictColumn, StringColumn, TimestampColumn},
};

/// The rows of one data file, by user id in byte order, each user once.
pub struct PackedRows {
    user_ids: StringColumn,
    first_names: DictColumn,
    last_names: DictColumn,
    births: TimestampColumn,
    images: BitColumn,
}

impl PackedRows {
    /// Takes the five columns that a reader shows; `key` names the file they are from, for errors.
    ///
    /// [`TableError::Corrupt`] where a value is missing, ids are not ascending, or a birth is outside the calendar: another engine wrote
    /// what this product never does.
    pub(crate) fn from_frame(frame: &DataFrame, key: &str) -> Result<Self, TableError> {
        let columns = Columns { key, frame };
        let words = |name| DictColumn::collect(key, columns.every_text(name)?);
        let user_ids = StringColumn::collect(key, columns.every_text(USER_ID)?)?;
        if !(1..frame.height()).all(|row| user_ids.get(row - 1) < user_ids.get(row)) {
            return Err(columns.wrong(USER_ID, "ids that are not ascending, each once"));
        }
        let birth = |birthts_ms: Result<i64, TableError>| {
            let birth = BirthTimestamp::from_ms(birthts_ms?).ok_or_else(|| columns.wrong(BIRTHTS, "a time outside the calendar"))?;
            Ok::<_, TableError>(birth.as_ms())
        };
        Ok(Self {
            first_names: words(FIRST_NAME)?,
            last_names: words(LAST_NAME)?,
            births: TimestampColumn::pack(columns.every_long(BIRTHTS)?.map(birth).collect::<Result<_, _>>()?),
            images: columns.texts(IMG_PATH)?.iter().map(|path| path.is_some()).collect(),
            user_ids,
        })
    }

    /// The rows of data files whose ranges overlap, as one. `key` names one of the files, for errors.
    pub(crate) fn merge(parts: &[Self], key: &str) -> Result<Self, TableError> {
        let mut rows: Vec<RowView<'_>> = parts.iter().flat_map(Self::iter).collect();
        rows.sort_unstable_by_key(|row| row.user_id);
        if !rows.is_sorted_by(|left, right| left.user_id < right.user_id) {
            return Err(TableError::corrupt(key, format!("a user has rows in two files, column={USER_ID}")));
        }
        Self::from_rows(&rows, key)
    }

    pub(crate) fn from_rows(rows: &[RowView<'_>], key: &str) -> Result<Self, TableError> {
        Ok(Self {
            user_ids: StringColumn::collect(key, rows.iter().map(|row| Ok(row.user_id)))?,
            first_names: DictColumn::collect(key, rows.iter().map(|row| Ok(row.first_name)))?,
            last_names: DictColumn::collect(key, rows.iter().map(|row| Ok(row.last_name)))?,
            births: TimestampColumn::pack(rows.iter().map(|row| row.birth.as_ms()).collect()),
            images: rows.iter().map(|row| row.has_image).collect(),
        })
    }

    /// Rows of the data file.
    pub fn len(&self) -> usize {
        self.births.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at `index`, which is less than [`PackedRows::len`].
    pub fn row(&self, index: usize) -> RowView<'_> {
        RowView {
            user_id: self.user_ids.get(index),
            first_name: self.first_names.get(index),
            last_name: self.last_names.get(index),
            birth: self.birth(index),
            has_image: self.images.get(index),
        }
    }

    /// When the user at `index` was born, and whether a picture is linked: all that a selection looks at.
    pub(crate) fn birth_and_image(&self, index: usize) -> (BirthTimestamp, bool) {
        (self.birth(index), self.images.get(index))
    }

    fn birth(&self, index: usize) -> BirthTimestamp {
        BirthTimestamp::from_ms(self.births.get(index)).expect("it was one before it was packed")
    }

    /// Every row, by user id.
    pub fn iter(&self) -> impl Iterator<Item = RowView<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The index of the user's row.
    pub fn position(&self, user_id: &str) -> Option<usize> {
        let after = self.first_not_less(user_id);
        (after < self.len() && self.user_ids.get(after) == user_id).then_some(after)
    }

    /// The greatest user id; none where there is no row.
    pub(crate) fn last_user_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.user_ids.get(last))
    }

    /// The index of the first row whose id is not less than `user_id`.
    pub(crate) fn first_not_less(&self, user_id: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.user_ids.get(middle) < user_id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Never shows a row: names and births have no place in logs.
impl fmt::Debug for PackedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedRows").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::keys;
    use polars::prelude::{Column, DataFrame};
    use proptest::prelude::*;

    use super::*;
    use crate::delta::parquet_rows;

    type Case<'a> = (Option<&'a str>, Option<&'a str>, Option<i64>, bool);

    fn made(cases: &[Case<'_>]) -> DataFrame {
        let path = |case: &Case<'_>| case.3.then(|| keys::image(case.0.unwrap_or_default()));
        DataFrame::new_infer_height(vec![
            parquet_rows::texts(USER_ID, cases.iter().map(|case| case.0)),
            parquet_rows::texts(FIRST_NAME, cases.iter().map(|case| case.1)),
            parquet_rows::texts(LAST_NAME, cases.iter().map(|_| Some("Last"))),
            parquet_rows::longs(BIRTHTS, cases.iter().map(|case| case.2)),
            Column::new(IMG_PATH.into(), cases.iter().map(path).collect::<Vec<_>>()),
        ])
        .unwrap()
    }

    #[track_caller]
    fn check_refused(cases: &[Case<'_>], message: &str) {
        let error = PackedRows::from_frame(&made(cases), "the-key")
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains(message) && error.contains("the-key"), "{error}");
    }

    #[test]
    fn damaged_columns_are_refused() {
        check_refused(&[(None, Some("A"), Some(0), true)], "column=user_id");
        check_refused(&[(Some("1"), None, Some(0), true)], "column=first_name");
        check_refused(&[(Some("1"), Some("A"), None, true)], "column=birthts");
        check_refused(&[(Some("1"), Some("A"), Some(i64::MAX), true)], "column=birthts");
        check_refused(
            &[(Some("2"), Some("A"), Some(0), true), (Some("1"), Some("A"), Some(0), true)],
            "column=user_id",
        );
        check_refused(
            &[(Some("1"), Some("A"), Some(0), true), (Some("1"), Some("A"), Some(0), true)],
            "column=user_id",
        );
    }

    #[test]
    fn overlapping_segments_become_one() {
        let row = |user_id| (Some(user_id), Some("A"), Some(0), false);
        let packed = |cases: &[Case<'_>]| PackedRows::from_frame(&made(cases), "key").unwrap();
        let merged = PackedRows::merge(&[packed(&[row("1"), row("3")]), packed(&[row("2")])], "key").unwrap();
        assert_eq!(merged.iter().map(|row| row.user_id).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(PackedRows::merge(&[packed(&[row("1")]), packed(&[row("1")])], "key").is_err());
    }

    proptest! {
        #[test]
        fn every_value_comes_back(rows in prop::collection::btree_map("[a-z0-9]{1,4}", (".{1,5}", -1_000..1_000_i64, any::<bool>()), 0..200)) {
            let cases: Vec<Case<'_>> =
                rows.iter().map(|(id, (name, day, image))| (Some(id.as_str()), Some(name.as_str()), Some(day * 86_400_000), *image)).collect();
            let file = PackedRows::from_frame(&made(&cases), "key").unwrap();
            prop_assert_eq!(file.len(), rows.len());
            for (row, (user_id, (name, day, has_image))) in file.iter().zip(&rows) {
                let birth = BirthTimestamp::from_ms(day * 86_400_000).unwrap();
                let expected = RowView { user_id, first_name: name, last_name: "Last", birth, has_image: *has_image };
                prop_assert_eq!(row, expected);
                prop_assert_eq!(file.position(user_id).map(|index| file.row(index)), Some(row));
            }
            prop_assert_eq!(file.position("~"), None);
            prop_assert_eq!(file.position(""), None);
        }
    }
}
