//! Copy-on-write: rewrites the data files that edits affect, under new names. No reader sees them before the commit.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use datalake_core::{count::count, dataset::Dataset, keys, row::Row};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    unique_name::unique_name,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::{
    blocking::blocking,
    delta::{
        actions::{Stats, TextMap},
        data_file::{self, DataFile},
        data_file_reader,
        edit::Edit,
        parquet_rows,
        schema::TableSchema,
        version::{Version, VersionId},
    },
    error::TableError,
    settings::TableSettings,
};

/// The number of groups that are rewritten at once, and of data files of one group that are encoded at once. A new table is one group of
/// many data files, and a change of many rows is many groups of one. Each keeps the rows of one or two data files in memory.
const REWRITES_IN_FLIGHT: usize = 2;
/// More small data files are merged even if no edit affects them, because readers need a request for each.
const SMALL_FILES_MAX: usize = 16;

/// Data files that are written but not committed. If this value is dropped, the vacuum removes the files, because no log entry names them.
#[derive(Debug)]
pub struct Staged {
    /// The version to which the edits were applied.
    pub(crate) base: Option<VersionId>,
    /// The time of the store's clock before the first data file was written.
    pub(crate) since: Timestamp,
    /// The columns of the added data files.
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) added: Vec<StagedFile>,
    pub(crate) removed: Vec<Arc<DataFile>>,
}

impl Staged {
    /// Whether no row changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// A data file that is not yet part of a version.
#[derive(Debug)]
pub(crate) struct StagedFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) stats: Stats,
    pub(crate) tags: Option<TextMap>,
}

/// Consecutive data files that are rewritten together, and their edits.
struct Group {
    data_files: Vec<Arc<DataFile>>,
    edits: Vec<Edit>,
}

pub(crate) async fn stage(
    bucket: &Arc<dyn Bucket>,
    settings: TableSettings,
    base: Option<&Version>,
    dataset: &Arc<Dataset>,
    edits: Vec<Edit>,
) -> Result<Staged, TableError> {
    let since = bucket.fenced().await?.store_time;
    // The rows of another declaration are never converted: the edits contain every row of the new one.
    let same = base.filter(|base| base.dataset() == dataset);
    let replaced = base.filter(|_| same.is_none()).map(Version::data_files).unwrap_or_default();
    let schema = match same {
        Some(base) => Arc::clone(&base.0.schema),
        None => Arc::new(TableSchema::of(Arc::clone(dataset))),
    };
    let data_files = same.map(Version::data_files).unwrap_or_default();
    let groups = groups(data_files, edits, settings.data_file_rows_max);
    let mut rewrites = stream::iter(groups)
        .map(|group| rewrite(bucket, &schema, settings.data_file_rows_max, group))
        .buffered(REWRITES_IN_FLIGHT);
    let mut staged = Staged {
        base: base.map(Version::id),
        since,
        schema: Arc::clone(&schema),
        added: Vec::new(),
        removed: base.map(|base| base.lost().data_files.clone()).unwrap_or_default(),
    };
    staged.removed.extend_from_slice(replaced);
    while let Some((added, removed)) = rewrites.try_next().await? {
        staged.added.extend(added);
        staged.removed.extend(removed);
    }
    Ok(staged)
}

/// Rewrites a group with its edits. Writes nothing if the edits have no effect and no data files are merged.
async fn rewrite(
    bucket: &Arc<dyn Bucket>,
    schema: &Arc<TableSchema>,
    rows_max: usize,
    group: Group,
) -> Result<(Vec<StagedFile>, Vec<Arc<DataFile>>), TableError> {
    let rows = data_file_reader::rows(bucket, schema, &group.data_files).await?;
    // Small consecutive data files, or overlapping data files of another engine.
    let is_merged = group.data_files.len() > 1;
    let Group { data_files, edits } = group;
    let (rows, changed) = blocking(move || apply(rows, edits)).await;
    if !changed && !is_merged {
        return Ok((Vec::new(), Vec::new()));
    }
    let added = stream::iter(split(rows, rows_max))
        .map(|rows| write(bucket, Arc::clone(schema), rows))
        .buffered(REWRITES_IN_FLIGHT)
        .try_collect()
        .await?;
    Ok((added, data_files))
}

async fn write(bucket: &Arc<dyn Bucket>, schema: Arc<TableSchema>, rows: Vec<Row>) -> Result<StagedFile, TableError> {
    let encoded = blocking(move || parquet_rows::encode(&schema, &rows)).await?;
    let path = keys::data_file_path(&unique_name().to_string(), crc32fast::hash(&encoded.bytes));
    let size = count(encoded.bytes.len());
    bucket
        .put(&keys::table_file(&path), encoded.bytes, PutMode::Create, &Metadata::new())
        .await?;
    Ok(StagedFile {
        path,
        size,
        stats: encoded.stats,
        tags: encoded.tags,
    })
}

/// Groups the data files to rewrite. Overlapping data files are rewritten even if no edit affects them. Small consecutive data files are
/// merged if one of them is rewritten.
fn groups(data_files: &[Arc<DataFile>], edits: Vec<Edit>, rows_max: usize) -> Vec<Group> {
    let clusters: Vec<_> = data_file::clusters(data_files).collect();
    if clusters.is_empty() {
        let puts = edits.iter().any(|edit| matches!(edit, Edit::Put(_)));
        return if puts {
            vec![Group {
                data_files: Vec::new(),
                edits,
            }]
        } else {
            Vec::new()
        };
    }
    let mut rest = edits;
    let mut parts = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        // Edits between two clusters go to the first of them, and edits before all clusters to the first cluster.
        let next_min = clusters.get(index + 1).and_then(|next| next.first()).map(|file| &*file.min_id);
        let end = next_min.map_or(rest.len(), |next_min| {
            rest.partition_point(|edit| edit.row_id().as_str() < next_min)
        });
        let own: Vec<Edit> = rest.drain(..end).collect();
        let affects = |edit: &Edit| match edit {
            Edit::Put(_) => true,
            Edit::Remove(row_id) => cluster.iter().any(|file| file.may_contain(row_id.as_str())),
        };
        let puts = own.iter().filter(|edit| matches!(edit, Edit::Put(_))).count();
        let rows: u64 = cluster.iter().map(|file| file.rows).sum();
        let size = Size {
            rows: usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(puts),
            is_edited: own.iter().any(affects) || cluster.len() > 1,
        };
        parts.push((cluster, own, size));
    }
    let sizes: Vec<Size> = parts.iter().map(|(_, _, size)| *size).collect();
    let mut parts = parts.into_iter();
    let mut groups = Vec::new();
    for range in ranges_to_merge(&sizes, rows_max) {
        let is_edited = sizes
            .get(range.clone())
            .is_some_and(|sizes| sizes.iter().any(|size| size.is_edited));
        let is_merged = range.len() > 1;
        let mut group = Group {
            data_files: Vec::new(),
            edits: Vec::new(),
        };
        for (cluster, own, _) in parts.by_ref().take(range.len()) {
            group.data_files.extend(cluster.iter().cloned());
            group.edits.extend(own);
        }
        groups.extend((is_edited || is_merged).then_some(group));
    }
    groups
}

/// The size of a cluster, for merging.
#[derive(Clone, Copy)]
struct Size {
    /// The maximum number of rows after the edits.
    rows: usize,
    is_edited: bool,
}

/// Divides all clusters into ranges that are rewritten together. Clusters are merged only up to half the size of a data file, so that the
/// next edits do not split them again.
fn ranges_to_merge(sizes: &[Size], rows_max: usize) -> Vec<Range<usize>> {
    let small = sizes.iter().filter(|size| size.rows < rows_max / 8).count();
    let many = small > SMALL_FILES_MAX;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut last = Size { rows: 0, is_edited: false };
    for (index, size) in sizes.iter().enumerate() {
        let together = last.rows.saturating_add(size.rows);
        match ranges.last_mut() {
            Some(range) if together <= rows_max / 2 && (many || last.is_edited || size.is_edited) => {
                range.end = index + 1;
                last = Size {
                    rows: together,
                    is_edited: last.is_edited || size.is_edited,
                };
            }
            _ => {
                ranges.push(index..index + 1);
                last = *size;
            }
        }
    }
    ranges
}

/// Applies edits to rows, and returns whether an edit changed anything. Both are sorted by ID, without duplicates.
fn apply(rows: Vec<Row>, edits: Vec<Edit>) -> (Vec<Row>, bool) {
    let mut changed = false;
    let mut applied = Vec::with_capacity(rows.len() + edits.len());
    let (mut rows, mut edits) = (rows.into_iter().peekable(), edits.into_iter().peekable());
    loop {
        let order = match (rows.peek(), edits.peek()) {
            (Some(row), Some(edit)) => row.row_id.cmp(edit.row_id()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return (applied, changed),
        };
        let row = if order == Ordering::Greater { None } else { rows.next() };
        let edit = if order == Ordering::Less { None } else { edits.next() };
        match (row, edit) {
            (_, Some(Edit::Put(row))) => {
                changed = true;
                applied.push(row);
            }
            (row, Some(Edit::Remove(_))) => changed |= row.is_some(),
            (row, None) => applied.extend(row),
        }
    }
}

/// Splits rows into parts of about equal length, none longer than `rows_max`.
fn split(mut rows: Vec<Row>, rows_max: usize) -> Vec<Vec<Row>> {
    let count = rows.len().div_ceil(rows_max.max(1));
    let mut parts = Vec::with_capacity(count);
    for remaining in (1..=count).rev() {
        let tail = rows.split_off(rows.len().div_ceil(remaining));
        parts.push(std::mem::replace(&mut rows, tail));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sizes: &[(usize, bool)], expected: &[(usize, usize)]) {
        let sizes: Vec<Size> = sizes
            .iter()
            .map(|(rows, is_edited)| Size {
                rows: *rows,
                is_edited: *is_edited,
            })
            .collect();
        let found: Vec<_> = ranges_to_merge(&sizes, 100)
            .into_iter()
            .map(|range| (range.start, range.end))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn small_consecutive_files_are_merged_if_one_is_edited() {
        check(&[], &[]);
        check(&[(10, false), (10, false)], &[(0, 1), (1, 2)]);
        check(&[(10, true), (10, false)], &[(0, 2)]);
        check(&[(10, false), (10, true)], &[(0, 2)]);
        check(&[(10, true), (41, false)], &[(0, 1), (1, 2)]);
        check(&[(10, true), (30, false), (20, false)], &[(0, 2), (2, 3)]);
        check(&[(10, false), (10, false), (10, true)], &[(0, 1), (1, 3)]);
        check(&[(usize::MAX, true), (1, true)], &[(0, 1), (1, 2)]);
    }

    #[test]
    fn many_small_files_are_merged_without_edits() {
        check(&[(10, false); 16], &(0..16).map(|index| (index, index + 1)).collect::<Vec<_>>());
        check(&[(10, false); 17], &[(0, 5), (5, 10), (10, 15), (15, 17)]);
    }
}
