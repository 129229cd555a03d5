//! Copy-on-write: the segments that edits fall into are written anew, under new names; nobody sees them before the commit.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use datalake_core::{keys, row::Row};
use datalake_store::bucket::{Bucket, Metadata, PutMode};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::{
    blocking::blocking,
    delta::{
        actions::Stats,
        data_file, parquet_rows,
        unique_name::unique,
        version::{SegmentFile, Version, VersionId},
    },
    error::TableError,
    table::{Edit, TableSettings},
};

/// Groups of segments rewritten at once, and segments of one group encoded at once: a new table is one group of many segments, a
/// change of many users is many groups of one. Each holds rows of a segment or two.
const REWRITES_IN_FLIGHT: usize = 2;
/// So many small segments are merged even where no edit falls into them: a reader pays a request for each.
const SMALL_SEGMENTS_MAX: usize = 16;

/// Segments that are written and not yet committed. Dropping it leaves files that nobody names, which a vacuum removes.
#[derive(Debug)]
pub struct Staged {
    /// The version that the segments change.
    pub(crate) base: Option<VersionId>,
    /// The store's time, before the first segment was written.
    pub(crate) since: Timestamp,
    pub(crate) added: Vec<NewSegment>,
    pub(crate) removed: Vec<Arc<SegmentFile>>,
}

impl Staged {
    /// Whether no row changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// A segment that no version holds yet.
#[derive(Debug)]
pub(crate) struct NewSegment {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) stats: Stats,
}

/// Neighbours that are rewritten together, and what changes in them.
struct Group {
    segments: Vec<Arc<SegmentFile>>,
    edits: Vec<Edit>,
}

pub(crate) async fn stage(
    bucket: &Arc<dyn Bucket>,
    settings: TableSettings,
    base: Option<&Version>,
    edits: Vec<Edit>,
) -> Result<Staged, TableError> {
    let since = bucket.fenced().await?.store_time;
    let segments = base.map(Version::segments).unwrap_or_default();
    let groups = groups(segments, edits, settings.segment_rows_max);
    let mut rewrites = stream::iter(groups)
        .map(|group| rewrite(bucket, settings.segment_rows_max, group))
        .buffered(REWRITES_IN_FLIGHT);
    let mut staged = Staged {
        base: base.map(Version::id),
        since,
        added: Vec::new(),
        removed: base.map(|base| base.lost().data_files.clone()).unwrap_or_default(),
    };
    while let Some((added, removed)) = rewrites.try_next().await? {
        staged.added.extend(added);
        staged.removed.extend(removed);
    }
    Ok(staged)
}

/// Writes what the edits make of a group. Nothing where they change nothing.
async fn rewrite(bucket: &Arc<dyn Bucket>, rows_max: usize, group: Group) -> Result<(Vec<NewSegment>, Vec<Arc<SegmentFile>>), TableError> {
    let rows = data_file::rows(bucket, &group.segments).await?;
    // Small neighbours, or segments of another engine's that overlap.
    let joins = group.segments.len() > 1;
    let Group { segments, edits } = group;
    let (rows, changed) = blocking(move || apply(rows, edits)).await;
    if !changed && !joins {
        return Ok((Vec::new(), Vec::new()));
    }
    let added = stream::iter(split(rows, rows_max))
        .map(|rows| write(bucket, rows))
        .buffered(REWRITES_IN_FLIGHT)
        .try_collect()
        .await?;
    Ok((added, segments))
}

async fn write(bucket: &Arc<dyn Bucket>, rows: Vec<Row>) -> Result<NewSegment, TableError> {
    let encoded = blocking(move || parquet_rows::encode(&rows)).await?;
    let path = keys::segment_path(&unique(), crc32fast::hash(&encoded.bytes));
    let size = u64::try_from(encoded.bytes.len()).unwrap_or(u64::MAX);
    bucket
        .put(&keys::table_file(&path), encoded.bytes, PutMode::Create, &Metadata::new())
        .await?;
    Ok(NewSegment {
        path,
        size,
        stats: encoded.stats,
    })
}

/// Which segments are rewritten together. Segments that overlap are rewritten whether or not an edit falls into them; small neighbours join where one of them is rewritten anyway.
fn groups(segments: &[Arc<SegmentFile>], edits: Vec<Edit>, rows_max: usize) -> Vec<Group> {
    let clusters: Vec<_> = data_file::clusters(segments).collect();
    if clusters.is_empty() {
        let puts = edits.iter().any(|edit| matches!(edit, Edit::Put(_)));
        return if puts {
            vec![Group {
                segments: Vec::new(),
                edits,
            }]
        } else {
            Vec::new()
        };
    }
    let mut rest = edits;
    let mut parts = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        // What lies between two clusters goes to the first of them; what lies before all to the first of all.
        let next_min = clusters
            .get(index + 1)
            .and_then(|next| next.first())
            .map(|segment| &*segment.min_user_id);
        let end = next_min.map_or(rest.len(), |next_min| {
            rest.partition_point(|edit| edit.user_id().as_str() < next_min)
        });
        let own: Vec<Edit> = rest.drain(..end).collect();
        let touches = |edit: &Edit| match edit {
            Edit::Put(_) => true,
            Edit::Remove(user_id) => cluster.iter().any(|segment| segment.may_hold(user_id.as_str())),
        };
        let puts = own.iter().filter(|edit| matches!(edit, Edit::Put(_))).count();
        let rows: u64 = cluster.iter().map(|segment| segment.rows).sum();
        let size = Size {
            rows: usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(puts),
            touched: own.iter().any(touches) || cluster.len() > 1,
        };
        parts.push((cluster, own, size));
    }
    let sizes: Vec<Size> = parts.iter().map(|(_, _, size)| *size).collect();
    let mut parts = parts.into_iter();
    let mut groups = Vec::new();
    for range in joined(&sizes, rows_max) {
        let touched = sizes.get(range.clone()).is_some_and(|sizes| sizes.iter().any(|size| size.touched));
        let joins = range.len() > 1;
        let mut group = Group {
            segments: Vec::new(),
            edits: Vec::new(),
        };
        for (cluster, own, _) in parts.by_ref().take(range.len()) {
            group.segments.extend(cluster.iter().cloned());
            group.edits.extend(own);
        }
        groups.extend((touched || joins).then_some(group));
    }
    groups
}

/// A cluster as the joining sees it.
#[derive(Clone, Copy)]
struct Size {
    /// Rows after the edits, at most.
    rows: usize,
    touched: bool,
}

/// Ranges of neighbours that are rewritten together, over all clusters. Two join only up to half a segment, so that the next edits do
/// not split them again.
fn joined(sizes: &[Size], rows_max: usize) -> Vec<Range<usize>> {
    let small = sizes.iter().filter(|size| size.rows < rows_max / 8).count();
    let many = small > SMALL_SEGMENTS_MAX;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut last = Size { rows: 0, touched: false };
    for (index, size) in sizes.iter().enumerate() {
        let together = last.rows.saturating_add(size.rows);
        match ranges.last_mut() {
            Some(range) if together <= rows_max / 2 && (many || last.touched || size.touched) => {
                range.end = index + 1;
                last = Size {
                    rows: together,
                    touched: last.touched || size.touched,
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

/// The rows after the edits, and whether an edit changed anything. Both are sorted by id and hold a user once.
fn apply(rows: Vec<Row>, edits: Vec<Edit>) -> (Vec<Row>, bool) {
    let mut changed = false;
    let mut applied = Vec::with_capacity(rows.len() + edits.len());
    let (mut rows, mut edits) = (rows.into_iter().peekable(), edits.into_iter().peekable());
    loop {
        let order = match (rows.peek(), edits.peek()) {
            (Some(row), Some(edit)) => row.user_id.cmp(edit.user_id()),
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

/// Parts of about equal length, none longer than `rows_max`.
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
            .map(|(rows, touched)| Size {
                rows: *rows,
                touched: *touched,
            })
            .collect();
        let found: Vec<_> = joined(&sizes, 100).into_iter().map(|range| (range.start, range.end)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn small_neighbours_join_where_one_is_touched() {
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
    fn many_small_ones_join_untouched() {
        check(&[(10, false); 16], &(0..16).map(|index| (index, index + 1)).collect::<Vec<_>>());
        check(&[(10, false); 17], &[(0, 5), (5, 10), (10, 15), (15, 17)]);
    }
}
