//! What the table recorded of each ID, by a row or a reject, as one stream in key order.

use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    iter::Peekable,
    sync::Arc,
    vec,
};

use datalake_core::{
    dataset::{Dataset, KeyRole},
    keys,
    plan::{KeyOrder, RecordedFile, RecordedRow, SourceVersion},
    reject::{ExcludedSource, Exclusion},
    row_id::RowId,
};
use datalake_table::{
    delta::{recorded_sources::RecordedSources, version::Version},
    error::TableError,
    table::Table,
};
use futures_util::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;

/// The rejected sources of one ID.
#[derive(Clone, Debug, Default)]
struct RowRejects {
    csv: Option<ExcludedSource>,
    /// In the order of the declaration; empty if none is rejected.
    files: Vec<Option<ExcludedSource>>,
}

/// The rejected sources of each ID that has any, without ignored objects.
fn rejects_by_row(dataset: &Dataset, open: &[ExcludedSource]) -> BTreeMap<RowId, RowRejects> {
    let mut by_row = BTreeMap::<RowId, RowRejects>::new();
    for reject in open {
        let (Exclusion::Rejected(_), Some(row_id), Ok(source)) =
            (&reject.exclusion, &reject.row_id, keys::parse_source(dataset, &reject.key))
        else {
            continue;
        };
        let rejects = by_row.entry(row_id.clone()).or_default();
        match source.role {
            KeyRole::Source => rejects.csv = Some(reject.clone()),
            KeyRole::File(index) => {
                rejects.files.resize(dataset.files().len(), None);
                rejects.files[index] = Some(reject.clone());
            }
        }
    }
    by_row
}

/// The IDs that the table recorded by a row or a reject, in key order. Keeps the rows of one data file at a time in memory.
pub(crate) struct RecordedRows<'a> {
    batches: BoxStream<'a, Result<Vec<RecordedSources>, TableError>>,
    rows: Peekable<vec::IntoIter<RecordedSources>>,
    rejects: Peekable<btree_map::IntoIter<RowId, RowRejects>>,
    key_order: Option<KeyOrder>,
    ordered: VecDeque<RecordedRow>,
    run_at: Timestamp,
}

impl<'a> RecordedRows<'a> {
    /// Starts at the first ID; without a version there are only those with rejects. `run_at` is the time of the run: a reject for a birth in the
    /// future ends with time.
    pub(crate) fn new(
        table: &'a Table,
        dataset: &Arc<Dataset>,
        base: Option<&'a Version>,
        open: &[ExcludedSource],
        run_at: Timestamp,
    ) -> Self {
        let batches = match base {
            Some(version) => table.recorded_sources(version).boxed(),
            None => stream::empty().boxed(),
        };
        Self {
            batches,
            rows: Vec::new().into_iter().peekable(),
            rejects: rejects_by_row(dataset, open).into_iter().peekable(),
            key_order: Some(KeyOrder::new(Arc::clone(dataset))),
            ordered: VecDeque::new(),
            run_at,
        }
    }

    /// The next ID; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordedRow>, TableError> {
        let mut out = Vec::new();
        while self.ordered.is_empty() {
            match self.next_by_id().await? {
                Some(recorded) => match &mut self.key_order {
                    Some(key_order) => key_order.push(recorded, &mut out),
                    None => break,
                },
                None => match self.key_order.take() {
                    Some(key_order) => key_order.finish(&mut out),
                    None => break,
                },
            }
            self.ordered.extend(out.drain(..));
        }
        Ok(self.ordered.pop_front())
    }

    async fn next_by_id(&mut self) -> Result<Option<RecordedRow>, TableError> {
        while self.rows.peek().is_none() {
            match self.batches.next().await {
                Some(batch) => self.rows = batch?.into_iter().peekable(),
                None => break,
            }
        }
        let rejects_come_first = match (self.rows.peek(), self.rejects.peek()) {
            (Some(row), Some((row_id, _))) => *row_id < row.row_id,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if rejects_come_first {
            return Ok(self
                .rejects
                .next()
                .map(|(row_id, rejects)| recorded_row(row_id, None, rejects, self.run_at)));
        }
        let Some(row) = self.rows.next() else { return Ok(None) };
        let rejects = self
            .rejects
            .next_if(|(row_id, _)| *row_id == row.row_id)
            .map(|(_, rejects)| rejects)
            .unwrap_or_default();
        Ok(Some(recorded_row(row.row_id.clone(), Some(row), rejects, self.run_at)))
    }
}

fn recorded_row(row_id: RowId, row: Option<RecordedSources>, rejects: RowRejects, run_at: Timestamp) -> RecordedRow {
    let has_row = row.is_some();
    let (row_csv, row_files) = match row {
        Some(row) => (Some((row.csv_etag, row.csv_size)), row.files),
        None => (None, Box::default()),
    };
    let valid_files = match &rejects.csv {
        Some(open) if !has_row => open.valid_files.clone(),
        _ => Box::default(),
    };
    let file_count = row_files.len().max(valid_files.len()).max(rejects.files.len());
    let mut rejected_files = rejects.files.into_iter();
    let file = |index: usize| {
        let (linked, rejected) = (row_files.get(index).cloned().flatten(), rejected_files.next().flatten());
        let valid = valid_files.get(index).cloned().flatten();
        RecordedFile {
            exists: linked.is_some() || rejected.is_some() || valid.is_some(),
            is_linked: linked.is_some(),
            version: recorded_version(linked, rejected, run_at).or(valid),
        }
    };
    RecordedRow {
        row_id,
        has_row,
        csv: recorded_version(row_csv, rejects.csv, run_at),
        files: (0..file_count).map(file).collect(),
    }
}

/// The last version of a source that was read: the rejected version if there is one, otherwise the version of the row. None if the source has to be
/// read again.
fn recorded_version(row: Option<(Box<str>, u64)>, reject: Option<ExcludedSource>, run_at: Timestamp) -> Option<SourceVersion> {
    let Some(open) = reject else {
        return row.map(|(etag, size)| SourceVersion { key: None, etag, size });
    };
    match open.exclusion {
        Exclusion::Rejected(reject) if reject.may_change_by(run_at) => None,
        Exclusion::Rejected(_) | Exclusion::Ignored(_) => Some(SourceVersion {
            key: Some(open.key),
            etag: open.etag,
            size: open.size,
        }),
    }
}
