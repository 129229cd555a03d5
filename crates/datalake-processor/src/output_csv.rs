//! `output.csv` of a version: every row, sorted by ID.

use datalake_core::{
    calendar::{Ages, Day},
    csv,
    query::column::Column,
};
use datalake_table::{delta::version::Version, error::TableError, table::Table};
use futures_util::TryStreamExt;

/// The whole file of a version. Reads one data file at a time.
pub(crate) async fn render(table: &Table, version: &Version) -> Result<Vec<u8>, TableError> {
    /// A guess, so that the buffer rarely grows.
    const LINE_BYTES: u64 = 80;
    let capacity = usize::try_from(version.row_count().saturating_mul(LINE_BYTES)).unwrap_or_default();
    let mut text = String::with_capacity(capacity);
    // No column of the file depends on the day.
    let ages = Ages::on(Day::FIRST);
    let dataset = version.dataset();
    let columns: Vec<_> = Column::stored(dataset).collect();
    csv::push_header(&mut text, dataset, &columns);
    let mut batches = table.all_rows(version);
    while let Some(rows) = batches.try_next().await? {
        for row in rows.iter() {
            csv::push_line(&mut text, &row, &columns, ages);
        }
    }
    Ok(text.into_bytes())
}
