//! The rows of a data file in the form that readers keep in memory.

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

/// The rows of one data file, or of several that overlap, in byte order of the user IDs, one row per user. Contains only the columns that
/// readers see.
pub struct PackedRows {
    user_ids: StringColumn,
    first_names: DictColumn,
    last_names: DictColumn,
    births: TimestampColumn,
    images: BitColumn,
}

impl PackedRows {
    /// Packs the five columns that readers see. `key` is the file of the rows, for errors.
    ///
    /// [`TableError::Corrupt`] if a value is missing, the user IDs are not ascending, or a birth timestamp is outside the calendar. This
    /// product never writes such rows.
    pub(crate) fn from_frame(frame: &DataFrame, key: &str) -> Result<Self, TableError> {
        let columns = Columns { key, frame };
        let dictionary = |name| DictColumn::collect(key, columns.all_strings(name)?);
        let user_ids = StringColumn::collect(key, columns.all_strings(USER_ID)?)?;
        if !(1..frame.height()).all(|row| user_ids.get(row - 1) < user_ids.get(row)) {
            return Err(columns.invalid(USER_ID, "contains user IDs that are not ascending and unique"));
        }
        let birth = |birthts_ms: Result<i64, TableError>| {
            let birth =
                BirthTimestamp::from_ms(birthts_ms?).ok_or_else(|| columns.invalid(BIRTHTS, "contains a time outside the calendar"))?;
            Ok::<_, TableError>(birth.as_ms())
        };
        Ok(Self {
            first_names: dictionary(FIRST_NAME)?,
            last_names: dictionary(LAST_NAME)?,
            births: TimestampColumn::pack(columns.all_longs(BIRTHTS)?.map(birth).collect::<Result<_, _>>()?),
            images: columns.strings(IMG_PATH)?.iter().map(|path| path.is_some()).collect(),
            user_ids,
        })
    }

    /// Merges the rows of overlapping data files. `key` is one of the files, for errors.
    pub(crate) fn merge(parts: &[Self], key: &str) -> Result<Self, TableError> {
        let mut rows: Vec<RowView<'_>> = parts.iter().flat_map(Self::iter).collect();
        rows.sort_unstable_by_key(|row| row.user_id);
        if !rows.is_sorted_by(|left, right| left.user_id < right.user_id) {
            return Err(TableError::corrupt(
                key,
                format!("column {USER_ID} contains a user who also has a row in an overlapping file"),
            ));
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

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.births.len()
    }

    /// Whether there are no rows.
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

    /// The birth timestamp of the user at `index`, and whether an image is linked, which is all that most selections need.
    pub(crate) fn birth_and_image(&self, index: usize) -> (BirthTimestamp, bool) {
        (self.birth(index), self.images.get(index))
    }

    fn birth(&self, index: usize) -> BirthTimestamp {
        BirthTimestamp::from_ms(self.births.get(index)).expect("it was packed from a valid birth timestamp")
    }

    /// All rows, by user ID.
    pub fn iter(&self) -> impl Iterator<Item = RowView<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The index of the user's row.
    pub fn position(&self, user_id: &str) -> Option<usize> {
        let after = self.first_not_less(user_id);
        (after < self.len() && self.user_ids.get(after) == user_id).then_some(after)
    }

    /// The largest user ID. None if there are no rows.
    pub(crate) fn last_user_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.user_ids.get(last))
    }

    /// The index of the first row whose user ID is not less than `user_id`.
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

/// Omits the rows, because names and birth timestamps must not be logged.
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
            parquet_rows::string_column(USER_ID, cases.iter().map(|case| case.0)),
            parquet_rows::string_column(FIRST_NAME, cases.iter().map(|case| case.1)),
            parquet_rows::string_column(LAST_NAME, cases.iter().map(|_| Some("Last"))),
            parquet_rows::long_column(BIRTHTS, cases.iter().map(|case| case.2)),
            Column::new(IMG_PATH.into(), cases.iter().map(path).collect::<Vec<_>>()),
        ])
        .unwrap()
    }

    #[track_caller]
    fn check_rejected(cases: &[Case<'_>], message: &str) {
        let error = PackedRows::from_frame(&made(cases), "the-key")
            .expect_err("the columns are invalid")
            .to_string();
        assert!(error.contains(message) && error.contains("the-key"), "{error}");
    }

    #[test]
    fn invalid_columns_are_rejected() {
        check_rejected(&[(None, Some("A"), Some(0), true)], "column user_id");
        check_rejected(&[(Some("1"), None, Some(0), true)], "column first_name");
        check_rejected(&[(Some("1"), Some("A"), None, true)], "column birthts");
        check_rejected(&[(Some("1"), Some("A"), Some(i64::MAX), true)], "column birthts");
        check_rejected(
            &[(Some("2"), Some("A"), Some(0), true), (Some("1"), Some("A"), Some(0), true)],
            "column user_id",
        );
        check_rejected(
            &[(Some("1"), Some("A"), Some(0), true), (Some("1"), Some("A"), Some(0), true)],
            "column user_id",
        );
    }

    #[test]
    fn overlapping_rows_are_merged() {
        let row = |user_id| (Some(user_id), Some("A"), Some(0), false);
        let packed = |cases: &[Case<'_>]| PackedRows::from_frame(&made(cases), "key").unwrap();
        let merged = PackedRows::merge(&[packed(&[row("1"), row("3")]), packed(&[row("2")])], "key").unwrap();
        assert_eq!(merged.iter().map(|row| row.user_id).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(PackedRows::merge(&[packed(&[row("1")]), packed(&[row("1")])], "key").is_err());
    }

    proptest! {
        #[test]
        fn rows_are_returned_unchanged(rows in prop::collection::btree_map("[a-z0-9]{1,4}", (".{1,5}", -1_000..1_000_i64, any::<bool>()), 0..200)) {
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
