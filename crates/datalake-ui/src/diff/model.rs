//! The rows that differ between two versions, as far as a page shows them.

use datalake_core::{row::RowView, user::BirthTimestamp};
use datalake_table::memory::difference::Difference;

use crate::components::row;
use datalake_api::{limits::scan_pool::ScanPool, problem::Problem};

/// The maximum size of all names on a page. The first row is always shown.
const NAME_BYTES_MAX: usize = 16_000;

/// The values of a row in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowValues {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) birth: BirthTimestamp,
    pub(crate) has_image: bool,
}

/// A row that differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedRow {
    pub(crate) user_id: String,
    pub(crate) before: Option<RowValues>,
    pub(crate) after: Option<RowValues>,
}

/// The first rows that differ between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) rows: Vec<ChangedRow>,
    pub(crate) has_more: bool,
}

impl Changes {
    /// At most `rows_max` rows. There may be millions of equal rows in between, so the comparison runs in the scan pool.
    pub(crate) async fn first_of(difference: Difference, rows_max: usize, scan_pool: &ScanPool) -> Result<Self, Problem> {
        let changes = scan_pool.scan(move || Self::collect(difference, rows_max));
        changes.await.map_err(|_| Problem::Internal)
    }

    fn collect(mut difference: Difference, rows_max: usize) -> Self {
        let (mut rows, mut name_bytes) = (Vec::new(), 0);
        while let Some(change) = difference.next_change() {
            let user_id = change.after.or(change.before).map_or("", |row| row.user_id);
            let row = ChangedRow {
                user_id: user_id.to_owned(),
                before: change.before.map(RowValues::from),
                after: change.after.map(RowValues::from),
            };
            name_bytes += row.name_bytes();
            if !rows.is_empty() && (rows.len() >= rows_max || name_bytes > NAME_BYTES_MAX) {
                return Self { rows, has_more: true };
            }
            rows.push(row);
        }
        Self { rows, has_more: false }
    }
}

impl ChangedRow {
    fn name_bytes(&self) -> usize {
        let names = |row: &RowValues| row.first_name.len() + row.last_name.len();
        self.before.iter().chain(&self.after).map(names).sum()
    }
}

impl From<RowView<'_>> for RowValues {
    fn from(row: RowView<'_>) -> Self {
        Self {
            first_name: row::text(row, 1).to_owned(),
            last_name: row::text(row, 2).to_owned(),
            birth: row::birth(row),
            has_image: row.has_file(0),
        }
    }
}
