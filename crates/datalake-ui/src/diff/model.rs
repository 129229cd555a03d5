//! The rows that differ between two versions, as far as a page shows them.

use std::sync::Arc;

use datalake_core::{
    dataset::{Dataset, Value},
    query::column::Column,
    row::RowView,
    row_id::shown,
};
use datalake_table::memory::difference::Difference;

use crate::components::stored_values;
use datalake_api::{limits::scan_pool::ScanPool, problem::Problem};

/// The maximum size of all texts on a page. The first row is always shown.
const TEXT_BYTES_MAX: usize = 16_000;

/// The values of a row in one version, in the order of [`Changes::columns`].
pub(crate) type RowValues = Vec<Option<Value>>;

/// A row that differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedRow {
    pub(crate) id: String,
    pub(crate) before: Option<RowValues>,
    pub(crate) after: Option<RowValues>,
}

/// The first rows that differ between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The declaration of the later version.
    pub(crate) dataset: Arc<Dataset>,
    /// The columns of the values: all but the ID.
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<ChangedRow>,
    pub(crate) has_more: bool,
}

impl Changes {
    /// At most `rows_max` rows. There may be millions of equal rows in between, so the comparison runs in the scan pool. `dataset` is the
    /// declaration of the later version.
    pub(crate) async fn first_of(
        difference: Difference,
        dataset: Arc<Dataset>,
        rows_max: usize,
        scan_pool: &ScanPool,
    ) -> Result<Self, Problem> {
        let changes = scan_pool.scan(move || Self::collect(difference, dataset, rows_max));
        changes.await.map_err(|_| Problem::Internal)
    }

    fn collect(mut difference: Difference, dataset: Arc<Dataset>, rows_max: usize) -> Self {
        let columns: Vec<Column> = Column::stored(&dataset).filter(|column| !column.is_of_id(&dataset)).collect();
        let values = |row: RowView<'_>| -> RowValues {
            let of = |column: &Column| stored_values::value(row, &dataset, *column).map(datalake_core::dataset::ValueRef::to_value);
            columns.iter().map(of).collect()
        };
        let (mut rows, mut text_bytes, mut has_more) = (Vec::new(), 0, false);
        while let Some(change) = difference.next_change() {
            let id = change.after.or(change.before).map_or("", |row| row.row_id);
            let row = ChangedRow {
                id: shown(id).into_owned(),
                before: change.before.map(values),
                after: change.after.map(values),
            };
            text_bytes += row.text_bytes();
            if !rows.is_empty() && (rows.len() >= rows_max || text_bytes > TEXT_BYTES_MAX) {
                has_more = true;
                break;
            }
            rows.push(row);
        }
        Self {
            dataset,
            columns,
            rows,
            has_more,
        }
    }
}

impl ChangedRow {
    fn text_bytes(&self) -> usize {
        let text = |value: &Option<Value>| match value {
            Some(Value::Text(text)) => text.len(),
            _ => 0,
        };
        self.before.iter().chain(&self.after).flatten().map(text).sum()
    }

    /// Whether both versions have the row, with different values of a column.
    pub(crate) fn differs(&self, column: usize) -> bool {
        let of = |values: &Option<RowValues>| values.as_ref().map(|values| values.get(column).cloned());
        matches!((of(&self.before), of(&self.after)), (Some(before), Some(after)) if before != after)
    }
}
