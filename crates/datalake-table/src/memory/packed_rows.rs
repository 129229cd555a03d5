//! The rows of a data file in the form that readers keep in memory.

use std::{fmt, sync::Arc};

use datalake_core::{
    calendar::Day,
    dataset::{Dataset, ValueRef},
    row::{RowValues, RowView},
};
use polars::prelude::DataFrame;

use crate::{
    delta::{parquet_columns::Columns, schema::TableSchema},
    error::TableError,
    memory::{
        columns::{BitColumn, StringColumn},
        packed_values::PackedValues,
    },
};

/// The rows of one data file, or of several that overlap, in byte order of the IDs, one row per ID. Contains only the columns that readers see.
pub struct PackedRows {
    dataset: Arc<Dataset>,
    ids: StringColumn,
    len: usize,
    /// The columns that rows store.
    values: Box<[PackedValues]>,
    /// Whether each row has each file.
    files: Box<[BitColumn]>,
    /// The column from whose days completed years are counted, by its index in `values`.
    day_column: Option<usize>,
}

impl PackedRows {
    /// Packs the columns that readers see. `key` is the file of the rows, for errors.
    ///
    /// [`TableError::Corrupt`] if a required value is missing, the IDs are not ascending, or a time is outside the calendar. This product never
    /// writes such rows.
    pub(crate) fn from_frame(schema: &TableSchema, frame: &DataFrame, key: &str) -> Result<Self, TableError> {
        let columns = Columns { key, frame };
        let id_columns = columns.ids(schema)?;
        let ids = StringColumn::collect(key, id_columns.texts())?;
        if !(1..frame.height()).all(|row| ids.get(row - 1) < ids.get(row)) {
            return Err(id_columns.invalid("IDs that are not ascending and unique"));
        }
        let dataset = schema.dataset();
        let values = dataset.stored_columns().map(|(index, column)| {
            let values = columns.values(schema.value(index), column)?;
            PackedValues::collect(key, column.column_type, values.iter())
        });
        let files = (0..dataset.files().len()).map(|file| {
            let paths = columns.strings(schema.path(file))?;
            Ok(paths.iter().map(|path| path.is_some()).collect())
        });
        let (values, files) = (values.collect::<Result<_, _>>()?, files.collect::<Result<_, TableError>>()?);
        Ok(Self::new(Arc::clone(dataset), ids, frame.height(), values, files))
    }

    fn new(dataset: Arc<Dataset>, ids: StringColumn, len: usize, values: Box<[PackedValues]>, files: Box<[BitColumn]>) -> Self {
        Self {
            day_column: dataset.counted_years().and_then(|years| dataset.stored_index(years.day)),
            dataset,
            ids,
            len,
            values,
            files,
        }
    }

    /// Merges the rows of overlapping data files of one table. `key` is one of the files, for errors.
    pub(crate) fn merge(parts: &[Self], key: &str) -> Result<Self, TableError> {
        let mut rows: Vec<RowView<'_>> = parts.iter().flat_map(Self::iter).collect();
        rows.sort_unstable_by_key(|row| row.row_id);
        let dataset = parts.first().map_or_else(Dataset::shared_users, |part| Arc::clone(&part.dataset));
        if !rows.is_sorted_by(|left, right| left.row_id < right.row_id) {
            let id = TableSchema::of(dataset).id_in_sentence();
            return Err(TableError::corrupt(
                key,
                format!("{id} contains a value that also has a row in an overlapping file"),
            ));
        }
        let ids = StringColumn::collect(key, rows.iter().map(|row| Ok(row.row_id)))?;
        let columns = dataset.stored_columns();
        let values =
            columns.map(|(index, column)| PackedValues::collect(key, column.column_type, rows.iter().map(|row| Ok(row.value(index)))));
        let values = values.collect::<Result<_, _>>()?;
        let files = (0..dataset.files().len()).map(|file| rows.iter().map(|row| row.has_file(file)).collect());
        Ok(Self::new(Arc::clone(&dataset), ids, rows.len(), values, files.collect()))
    }

    /// The declaration by which the rows are read.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at `index`, which is less than [`PackedRows::len`].
    pub fn row(&self, index: usize) -> RowView<'_> {
        RowView::new(self.ids.get(index), &self.dataset, self, index)
    }

    /// The day from which completed years of the row at `index` are counted. With the first file, this is all that most selections need.
    pub(crate) fn counted_day(&self, index: usize) -> Option<Day> {
        self.values.get(self.day_column?)?.day(index)
    }

    /// All rows, by ID.
    pub fn iter(&self) -> impl Iterator<Item = RowView<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The index of the row.
    pub fn position(&self, row_id: &str) -> Option<usize> {
        let after = self.first_not_less(row_id);
        (after < self.len() && self.ids.get(after) == row_id).then_some(after)
    }

    /// The largest ID. None if there are no rows.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.ids.get(last))
    }

    /// The index of the first row whose ID is not less than `row_id`.
    pub(crate) fn first_not_less(&self, row_id: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.ids.get(middle) < row_id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl RowValues for PackedRows {
    fn value(&self, row: usize, column: usize) -> Option<ValueRef<'_>> {
        self.values.get(column)?.get(row)
    }

    fn has_file(&self, row: usize, file: usize) -> bool {
        self.files.get(file).is_some_and(|files| files.get(row))
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
    use polars::prelude::{Column, DataFrame};
    use proptest::prelude::*;

    use super::*;
    use crate::delta::parquet_columns::{long_column, string_column};

    fn schema() -> TableSchema {
        TableSchema::of(Dataset::shared_users())
    }

    type Case<'a> = (Option<&'a str>, Option<&'a str>, Option<i64>, bool);

    fn made(cases: &[Case<'_>]) -> DataFrame {
        let path = |case: &Case<'_>| case.3.then_some("an image");
        DataFrame::new_infer_height(vec![
            string_column("user_id", cases.iter().map(|case| case.0)),
            string_column("first_name", cases.iter().map(|case| case.1)),
            string_column("last_name", cases.iter().map(|_| Some("Last"))),
            long_column("birthts", cases.iter().map(|case| case.2)),
            Column::new("img_path".into(), cases.iter().map(path).collect::<Vec<_>>()),
        ])
        .unwrap()
    }

    #[track_caller]
    fn check_rejected(cases: &[Case<'_>], message: &str) {
        let error = PackedRows::from_frame(&schema(), &made(cases), "the-key")
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
        let row = |row_id| (Some(row_id), Some("A"), Some(0), false);
        let packed = |cases: &[Case<'_>]| PackedRows::from_frame(&schema(), &made(cases), "key").unwrap();
        let merged = PackedRows::merge(&[packed(&[row("1"), row("3")]), packed(&[row("2")])], "key").unwrap();
        assert_eq!(merged.iter().map(|row| row.row_id).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(PackedRows::merge(&[packed(&[row("1")]), packed(&[row("1")])], "key").is_err());
    }

    proptest! {
        #[test]
        fn rows_are_returned_unchanged(rows in prop::collection::btree_map("[a-z0-9]{1,4}", (".{1,5}", -1_000..1_000_i64, any::<bool>()), 0..200)) {
            let cases: Vec<Case<'_>> =
                rows.iter().map(|(id, (name, day, image))| (Some(id.as_str()), Some(name.as_str()), Some(day * 86_400_000), *image)).collect();
            let file = PackedRows::from_frame(&schema(), &made(&cases), "key").unwrap();
            prop_assert_eq!(file.len(), rows.len());
            for (row, (row_id, (name, day, has_image))) in file.iter().zip(&rows) {
                let values = [ValueRef::Text(row_id), ValueRef::Text(name), ValueRef::Text("Last"), ValueRef::EpochMs(day * 86_400_000)];
                prop_assert_eq!([0, 1, 2, 3].map(|column| row.value(column)), values.map(Some));
                prop_assert_eq!(row.has_file(0), *has_image);
                prop_assert_eq!(file.position(row_id).map(|index| file.row(index)), Some(row));
            }
            prop_assert_eq!(file.position("~"), None);
            prop_assert_eq!(file.position(""), None);
        }
    }
}
