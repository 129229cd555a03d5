//! Snapshots: versions of the table in memory, which readers use without requests to the store.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use datalake_core::{
    calendar::Day,
    count::count,
    dataset::Dataset,
    query::{
        column::Column,
        condition::Condition,
        filter::{Extreme, Filter, Selection},
    },
    reject::ExcludedSource,
    row::{Cell, RowValues, RowView},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    blocking::blocking,
    delta::{
        data_file::{self, DataFile},
        version::Version,
    },
    error::TableError,
    memory::{day_counts::DayCounts, packed_rows::PackedRows, statistics::Statistics, summary::SummaryCache},
    settings::READS_IN_FLIGHT,
    table::Table,
};

/// A version of the table in memory. Immutable; loads of later versions share its unchanged parts.
#[derive(Clone, Debug)]
pub struct Snapshot {
    version: Version,
    /// By ID. The ranges do not overlap, and no part is empty.
    pub(crate) parts: Vec<Arc<Part>>,
    rejects: Vec<ExcludedSource>,
    pub(crate) days: DayCounts,
    row_count: usize,
    /// For each part, the number of rows in the parts before it.
    starts: Vec<usize>,
    pub(crate) summary: SummaryCache,
}

/// The rows of one data file, or of several that overlap.
#[derive(Debug)]
pub(crate) struct Part {
    /// The paths of the data files. Files are immutable, so equal paths mean equal rows.
    pub(crate) paths: Vec<Box<str>>,
    pub(crate) rows: PackedRows,
    days: DayCounts,
}

impl Part {
    fn new(paths: Vec<Box<str>>, rows: PackedRows) -> Self {
        let days = DayCounts::count((0..rows.len()).map(|index| (rows.counted_day(index), rows.has_file(index, 0))));
        Self { paths, rows, days }
    }

    async fn load(table: &Table, version: &Version, cluster: &[Arc<DataFile>]) -> Result<Self, TableError> {
        let rows = table.rows_of_cluster(version, cluster).await?;
        let paths = paths(cluster);
        Ok(blocking(move || Self::new(paths, rows)).await)
    }
}

fn paths(cluster: &[Arc<DataFile>]) -> Vec<Box<str>> {
    cluster.iter().map(|file| file.path.clone()).collect()
}

impl Snapshot {
    /// Loads a version. Reuses the parts of `previous` with the same data files.
    pub async fn load(table: &Table, version: Version, previous: Option<&Self>) -> Result<Self, TableError> {
        let reusable = |cluster: &[Arc<DataFile>]| {
            let same = |part: &&Arc<Part>| part.paths.iter().eq(cluster.iter().map(|file| &file.path));
            let is_before = |part: &Arc<Part>| part.rows.last_id() < cluster.first().map(|file| &*file.min_id);
            // The part of the cluster, if there is one, is the first whose last ID is not less than the cluster's first.
            let previous = previous?;
            previous.parts.get(previous.parts.partition_point(is_before)).filter(same).cloned()
        };
        let clusters: Vec<_> = data_file::clusters(version.data_files())
            .map(|cluster| (cluster.to_vec(), reusable(cluster)))
            .collect();
        let parts: Vec<Arc<Part>> = stream::iter(clusters)
            .map(|(cluster, reused)| (cluster, reused, version.clone()))
            .map(|(cluster, reused, version)| async move {
                match reused {
                    Some(part) => Ok(part),
                    None => Part::load(table, &version, &cluster).await.map(Arc::new),
                }
            })
            .buffered(READS_IN_FLIGHT)
            .try_collect()
            .await?;
        let rejects = table.rejects(&version).await?;
        Ok(blocking(move || Self::new(version, parts, rejects)).await)
    }

    fn new(version: Version, mut parts: Vec<Arc<Part>>, rejects: Vec<ExcludedSource>) -> Self {
        // Other engines may write empty files, which have no position in the order of the parts.
        parts.retain(|part| !part.rows.is_empty());
        Self {
            days: DayCounts::merge(parts.iter().map(|part| &part.days)),
            row_count: parts.iter().map(|part| part.rows.len()).sum(),
            starts: starts(&parts),
            summary: SummaryCache::default(),
            version,
            parts,
            rejects,
        }
    }

    /// The number of rows in memory that are in one of `snapshots` but not in `newest`. Shared data files count once.
    pub fn rows_not_in<'a>(newest: &Self, snapshots: impl IntoIterator<Item = &'a Self>) -> usize {
        let mut seen: BTreeSet<*const Part> = newest.parts.iter().map(Arc::as_ptr).collect();
        let parts = snapshots.into_iter().flat_map(|snapshot| &snapshot.parts);
        parts
            .filter(|part| seen.insert(Arc::as_ptr(part)))
            .map(|part| part.rows.len())
            .sum()
    }

    /// The version of the table.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The declaration of the rows.
    pub fn dataset(&self) -> &Arc<Dataset> {
        self.version.dataset()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// The sources that are rejected or ignored at this version, by key.
    pub fn rejects(&self) -> &[ExcludedSource] {
        &self.rejects
    }

    /// The number of rejected sources.
    pub fn rejected_count(&self) -> usize {
        self.rejects.iter().filter(|open| !open.is_ignored()).count()
    }

    /// The number of ignored objects, of which [`Snapshot::rejects`] has the first ones.
    pub fn ignored_count(&self) -> usize {
        let all = self.version.ignored().and_then(|count| usize::try_from(count).ok());
        all.unwrap_or_else(|| self.rejects.len() - self.rejected_count())
    }

    /// The row.
    pub fn row(&self, row_id: &str) -> Option<RowView<'_>> {
        let part = self.parts.partition_point(|part| part.rows.last_id() < Some(row_id));
        let rows = &self.parts.get(part)?.rows;
        rows.position(row_id).map(|index| rows.row(index))
    }

    /// The IDs before and after an ID, whether or not it has a row.
    pub fn neighbors(&self, row_id: &str) -> [Option<RowView<'_>>; 2] {
        let [first, end] = [self.not_less(row_id), self.after(row_id)].map(|position| self.number_of(position));
        let before = first.checked_sub(1).and_then(|number| self.row_of_number(number));
        [before, self.row_of_number(end)]
    }

    /// Resolves a filter to a selection, including the extremes that it requests. Scans rows only if the filter has conditions on values, or
    /// requests extremes of which no counts are kept.
    pub fn select(&self, filter: &Filter, on: Day) -> Selection {
        let mut selection = self.select_counted(filter, on);
        if !filter.extremes.is_empty() {
            let others = self.select_counted(&filter.without_extremes(), on);
            selection.conditions.extend(self.conditions_of_extremes(filter, &others));
        }
        selection
    }

    fn select_counted(&self, filter: &Filter, on: Day) -> Selection {
        filter.resolve(on, |left| {
            if left.conditions.is_empty() {
                self.days.extremes(left)
            } else {
                self.scan(left).extremes(left)
            }
        })
    }

    /// The conditions that rows have one of the requested extremes of each column, among the rows of `others`.
    fn conditions_of_extremes(&self, filter: &Filter, others: &Selection) -> Vec<Condition> {
        let mut columns: Vec<Column> = filter.extremes.iter().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        let extreme_of = |column: Column, extreme: Extreme| {
            let values = self.rows(others).filter_map(|row| match row.cell(column, others.ages)? {
                Cell::Value(value) => Some(value),
                Cell::Path(_) => None,
            });
            values.reduce(|found, value| match (extreme, value.compare(found)) {
                (Extreme::Least, Some(Ordering::Less)) | (Extreme::Greatest, Some(Ordering::Greater)) => value,
                _ => found,
            })
        };
        let condition = |column: Column| {
            let extremes = filter.extremes.iter().filter(|(of, _)| *of == column);
            let values: Vec<_> = extremes.filter_map(|(_, extreme)| extreme_of(column, *extreme)).collect();
            Condition::one_of(self.dataset(), column, &values)
        };
        columns.into_iter().map(condition).collect()
    }

    /// The number of rows of a selection. Scans rows only if the selection has conditions on values.
    pub fn count(&self, selection: &Selection) -> u64 {
        let counted = self.count_without_scan(selection);
        counted.unwrap_or_else(|| self.count_within(selection, self.span(selection)))
    }

    /// The number of rows of a selection, if no scan is needed.
    pub(crate) fn count_without_scan(&self, selection: &Selection) -> Option<u64> {
        if selection.conditions.is_empty() {
            return Some(self.days.count_of(selection));
        }
        selection.is_range_of_ids().then(|| count(self.rows_within(&self.span(selection))))
    }

    /// The number of rows of a selection within a span.
    pub(crate) fn count_within(&self, selection: &Selection, span: Span) -> u64 {
        count(if selection.is_range_of_ids() {
            self.rows_within(&span)
        } else {
            self.rows_from(selection, span).count()
        })
    }

    /// The statistics of a selection. Scans rows if the selection has conditions on values, or if the dataset has statistics of which no counts
    /// are kept.
    pub fn statistics(&self, selection: &Selection) -> Statistics {
        let counts = selection.conditions.is_empty().then(|| {
            let counts = || self.days.counts_of(selection);
            Statistics::of_counts(self.dataset(), &counts)
        });
        counts
            .flatten()
            .unwrap_or_else(|| Statistics::scan(self.dataset(), self.rows(selection), selection.ages))
    }

    /// Whether the statistics of a selection need no scan of its rows.
    pub fn is_counted(&self, filter: &Filter) -> bool {
        filter.conditions.is_empty() && filter.extremes.is_empty() && Statistics::is_counted(self.dataset())
    }

    /// The counts of a selection, from a scan of its rows.
    pub(crate) fn scan(&self, selection: &Selection) -> DayCounts {
        let day_column = self.dataset().counted_years().map(|years| years.day);
        let counted = self
            .rows(selection)
            .map(|row| (day_column.and_then(|column| row.day(column)), row.has_file(0)));
        DayCounts::count(counted)
    }

    /// The rows of a selection, by ID.
    pub fn rows<'a>(&'a self, selection: &'a Selection) -> Rows<'a> {
        self.rows_from(selection, self.span(selection))
    }

    /// The rows of a selection within a span, for callers that cannot keep the borrow between two batches.
    pub fn rows_from<'a>(&'a self, selection: &'a Selection, span: Span) -> Rows<'a> {
        Rows {
            snapshot: self,
            selection,
            span,
        }
    }

    /// The span that contains all rows of a selection, by its conditions on IDs.
    pub fn span(&self, selection: &Selection) -> Span {
        let last = Position {
            part: self.parts.len(),
            index: 0,
        };
        let mut span = Span {
            from: selection.least_id().map(|least| self.not_less(least)).unwrap_or_default(),
            until: selection.greatest_id().map_or(last, |greatest| self.after(greatest)),
        };
        // The first and the last row may have exactly the ID of a bound that excludes it.
        let is_excluded = |row: RowView<'_>| !selection.matches_values(&row);
        if selection.is_range_of_ids() && span.from < span.until {
            if self.row_at(span.from).is_some_and(is_excluded) {
                span.from.index += 1;
            }
            if self.row_at(span.until.before()).is_some_and(is_excluded) {
                span.until = span.until.before();
            }
        }
        span
    }

    /// The span of [`Snapshot::span`] after a row; none starts at the first row.
    pub(crate) fn span_after(&self, selection: &Selection, row_id: Option<&str>) -> Span {
        let span = self.span(selection);
        row_id.map_or(span, |row_id| span.after(self.after(row_id)))
    }

    /// The first rows of a span, at most `limit`.
    pub(crate) fn first_rows(&self, span: Span, limit: usize) -> Span {
        if self.rows_within(&span) <= limit {
            return span;
        }
        let start = usize::try_from(self.number_of(span.from)).unwrap_or(usize::MAX);
        span.up_to(self.position_of(start.saturating_add(limit)))
    }

    /// The last row of a span.
    pub(crate) fn last_row(&self, span: Span) -> Option<RowView<'_>> {
        let last = self.number_of(span.until).checked_sub(1)?;
        (last >= self.number_of(span.from)).then(|| self.row_of_number(last))?
    }

    /// The number of rows in a span.
    pub(crate) fn rows_within(&self, span: &Span) -> usize {
        let Span { from, until } = span;
        let Some(parts) = self.parts.get(from.part..until.part) else {
            return 0;
        };
        let whole: usize = parts.iter().map(|part| part.rows.len()).sum();
        (whole + until.index).saturating_sub(from.index)
    }

    /// The position after the row with this ID, or the position where it would be.
    pub(crate) fn after(&self, row_id: &str) -> Position {
        let position = self.not_less(row_id);
        let is_there = self.row_at(position).is_some_and(|row| row.row_id == row_id);
        Position {
            index: position.index + usize::from(is_there),
            ..position
        }
    }

    /// The position before the first row whose ID is not less.
    fn not_less(&self, row_id: &str) -> Position {
        let part = self.parts.partition_point(|part| part.rows.last_id() < Some(row_id));
        let index = self.parts.get(part).map_or(0, |part| part.rows.first_not_less(row_id));
        Position { part, index }
    }

    /// The number of the row after a position, counted from 0 by ID.
    pub(crate) fn number_of(&self, position: Position) -> u32 {
        let start = self.starts.get(position.part).copied().unwrap_or(self.row_count);
        u32::try_from(start + position.index).expect("4 billion rows do not fit into memory")
    }

    /// The row with this number.
    pub(crate) fn row_of_number(&self, number: u32) -> Option<RowView<'_>> {
        self.row_at(self.position_of(usize::try_from(number).ok()?))
    }

    /// The position before the row with this number.
    fn position_of(&self, number: usize) -> Position {
        let part = self.starts.partition_point(|start| *start <= number).saturating_sub(1);
        let index = number - self.starts.get(part).copied().unwrap_or_default();
        Position { part, index }
    }

    /// The row after a position, in the same part.
    pub(crate) fn row_at(&self, position: Position) -> Option<RowView<'_>> {
        let rows = &self.parts.get(position.part)?.rows;
        (position.index < rows.len()).then(|| rows.row(position.index))
    }
}

/// For each part, the number of rows in the parts before it.
fn starts(parts: &[Arc<Part>]) -> Vec<usize> {
    let ends = parts.iter().scan(0, |end, part| {
        *end += part.rows.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).take(parts.len()).collect()
}

/// A position between two rows of a snapshot. The default is before the first row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    part: usize,
    index: usize,
}

impl Position {
    /// The position before the previous row.
    pub(crate) fn before(self) -> Self {
        Self {
            index: self.index.saturating_sub(1),
            ..self
        }
    }
}

/// The rows between two positions. An empty span may end before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: Position,
    until: Position,
}

impl Span {
    /// The start. For the remaining span of a cursor, this is after the last row that it returned.
    pub(crate) fn start(self) -> Position {
        self.from
    }

    /// The part of the span before a position.
    pub(crate) fn up_to(self, position: Position) -> Self {
        Self {
            until: self.until.min(position),
            ..self
        }
    }

    /// The part of the span after a position.
    pub(crate) fn after(self, position: Position) -> Self {
        Self {
            from: self.from.max(position),
            ..self
        }
    }
}

/// The rows of a selection, by ID.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    snapshot: &'a Snapshot,
    selection: &'a Selection,
    /// The rows that were not yet read.
    span: Span,
}

impl Rows<'_> {
    /// The span that was not yet read.
    pub fn remaining(&self) -> Span {
        self.span
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = RowView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let Span { from, until } = &mut self.span;
        while let Some(part) = self.snapshot.parts.get(from.part) {
            let rows = &part.rows;
            let end = match from.part.cmp(&until.part) {
                Ordering::Less => rows.len(),
                Ordering::Equal => until.index,
                Ordering::Greater => return None,
            };
            while from.index < end {
                let index = from.index;
                from.index += 1;
                if !self
                    .selection
                    .matches_counted(|| rows.counted_day(index), || rows.has_file(index, 0))
                {
                    continue;
                }
                let row = rows.row(index);
                if self.selection.matches_values(&row) {
                    return Some(row);
                }
            }
            if from.part == until.part {
                return None;
            }
            *from = Position {
                part: from.part + 1,
                index: 0,
            };
        }
        None
    }
}
