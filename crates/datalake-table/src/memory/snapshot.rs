//! One version of the table as a reader holds it: immutable, in memory, answering without the store.

use std::{cmp::Ordering, sync::Arc};

use datalake_core::{
    query::filter::{Filter, Selection},
    reject::ExcludedSource,
    row::RowView,
    user::Day,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    blocking::blocking,
    delta::{
        data_file,
        version::{SegmentFile, Version},
    },
    error::TableError,
    memory::{
        columns::SegmentRows,
        statistics::{BirthCounts, Statistics},
    },
    table::{READS_IN_FLIGHT, Table},
};

/// A version of the table with all that readers ask of it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    version: Version,
    /// By user id; their ranges do not overlap.
    pub(crate) parts: Vec<Arc<Part>>,
    refusals: Vec<ExcludedSource>,
    births: BirthCounts,
    row_count: usize,
    /// Of each part, how many rows are in those before it.
    starts: Vec<usize>,
}

/// The rows of one segment, or of several whose ranges overlap.
#[derive(Debug)]
pub(crate) struct Part {
    /// The paths of the segments: since files never change, equal paths are equal rows.
    pub(crate) paths: Vec<Box<str>>,
    pub(crate) rows: SegmentRows,
    births: BirthCounts,
}

impl Part {
    fn new(paths: Vec<Box<str>>, rows: SegmentRows) -> Self {
        let taken = (0..rows.len()).map(|index| rows.birth_and_image(index));
        let births = BirthCounts::count(taken.map(|(birth, has_image)| (birth.day(), has_image)));
        Self { paths, rows, births }
    }

    async fn load(table: &Table, cluster: &[Arc<SegmentFile>]) -> Result<Self, TableError> {
        let rows = data_file::shown(Arc::clone(table.bucket()), cluster.to_vec()).await?;
        let paths = paths(cluster);
        Ok(blocking(move || Self::new(paths, rows)).await)
    }
}

fn paths(cluster: &[Arc<SegmentFile>]) -> Vec<Box<str>> {
    cluster.iter().map(|file| file.path.clone()).collect()
}

impl Snapshot {
    /// Reads a version. Segments that `previous` holds are taken from there, by path.
    pub async fn load(table: &Table, version: Version, previous: Option<&Self>) -> Result<Self, TableError> {
        let held = |cluster: &[Arc<SegmentFile>]| {
            let same = |part: &&Arc<Part>| part.paths.iter().eq(cluster.iter().map(|file| &file.path));
            let after = |part: &Arc<Part>| part.rows.last_user_id() < cluster.first().map(|file| &*file.min_user_id);
            // A part that holds the cluster is the first whose last id is not less than the cluster's first one.
            let previous = previous?;
            previous.parts.get(previous.parts.partition_point(after)).filter(same).cloned()
        };
        let clusters: Vec<_> = data_file::clusters(version.segments())
            .map(|cluster| (cluster.to_vec(), held(cluster)))
            .collect();
        let parts: Vec<Arc<Part>> = stream::iter(clusters)
            .map(|(cluster, held)| async move {
                match held {
                    Some(part) => Ok(part),
                    None => Part::load(table, &cluster).await.map(Arc::new),
                }
            })
            .buffered(READS_IN_FLIGHT)
            .try_collect()
            .await?;
        let refusals = table.refusals(&version).await?;
        Ok(blocking(move || Self::new(version, parts, refusals)).await)
    }

    fn new(version: Version, mut parts: Vec<Arc<Part>>, refusals: Vec<ExcludedSource>) -> Self {
        // Other engines write files without rows; they have no place in the order that searches rely on.
        parts.retain(|part| !part.rows.is_empty());
        Self {
            births: BirthCounts::merge(parts.iter().map(|part| &part.births)),
            row_count: parts.iter().map(|part| part.rows.len()).sum(),
            starts: starts(&parts),
            version,
            parts,
            refusals,
        }
    }

    /// The version that this is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Rows of the table.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// The sources that are refused at this version, by key.
    pub fn refusals(&self) -> &[ExcludedSource] {
        &self.refusals
    }

    /// The number of rejected sources.
    pub fn rejected_count(&self) -> usize {
        self.refusals.iter().filter(|open| !open.is_ignored()).count()
    }

    /// The number of ignored objects, of which [`Snapshot::refusals`] has the first ones.
    pub fn ignored_count(&self) -> usize {
        let all = self.version.ignored().and_then(|count| usize::try_from(count).ok());
        all.unwrap_or_else(|| self.refusals.len() - self.rejected_count())
    }

    /// The user's row.
    pub fn row(&self, user_id: &str) -> Option<RowView<'_>> {
        let part = self.parts.partition_point(|part| part.rows.last_user_id() < Some(user_id));
        let rows = &self.parts.get(part)?.rows;
        rows.position(user_id).map(|index| rows.row(index))
    }

    /// Finds the extremes that a filter asks for: without a scan of rows where there are no conditions on their values.
    pub fn select(&self, filter: &Filter, on: Day) -> Selection {
        filter.resolve(on, |left| {
            if left.conditions.is_empty() {
                self.births.extremes(left)
            } else {
                self.scan(left).extremes(left)
            }
        })
    }

    /// How many rows a selection takes.
    pub fn count(&self, selection: &Selection) -> u64 {
        if selection.conditions.is_empty() {
            return self.births.counted(selection);
        }
        self.count_within(selection, self.span(selection))
    }

    /// How many rows of a span a selection takes.
    pub(crate) fn count_within(&self, selection: &Selection, span: Span) -> u64 {
        let rows = if selection.is_range_of_ids() {
            self.rows_within(&span)
        } else {
            self.rows_from(selection, span).count()
        };
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// The figures of the rows that a selection takes: from counts alone where there are no conditions on their values.
    pub fn statistics(&self, selection: &Selection) -> Statistics {
        if selection.conditions.is_empty() {
            self.births.statistics(selection)
        } else {
            self.scan(selection).statistics(selection)
        }
    }

    /// The births of the rows that a selection takes.
    fn scan(&self, selection: &Selection) -> BirthCounts {
        BirthCounts::count(self.rows(selection).map(|row| (row.birth.day(), row.has_image)))
    }

    /// The rows that a selection takes, by user id.
    pub fn rows<'a>(&'a self, selection: &'a Selection) -> Rows<'a> {
        self.rows_from(selection, self.span(selection))
    }

    /// The rows of a span that a selection takes, for one who cannot hold the borrow between two batches.
    pub fn rows_from<'a>(&'a self, selection: &'a Selection, span: Span) -> Rows<'a> {
        Rows {
            snapshot: self,
            selection,
            span,
        }
    }

    /// The rows outside of which a selection takes none, by the ids that it asks for.
    pub fn span(&self, selection: &Selection) -> Span {
        let last = Position {
            part: self.parts.len(),
            index: 0,
        };
        let mut span = Span {
            from: selection.least_user_id().map(|least| self.not_less(least)).unwrap_or_default(),
            until: selection.greatest_user_id().map_or(last, |greatest| self.behind(greatest)),
        };
        // At either end may be a row of exactly the id that is asked for more or less than.
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

    /// How many rows lie in a span.
    fn rows_within(&self, span: &Span) -> usize {
        let Span { from, until } = span;
        let Some(parts) = self.parts.get(from.part..until.part) else {
            return 0;
        };
        let whole: usize = parts.iter().map(|part| part.rows.len()).sum();
        (whole + until.index).saturating_sub(from.index)
    }

    /// Behind the row of this id, or where it would be.
    pub(crate) fn behind(&self, user_id: &str) -> Position {
        let position = self.not_less(user_id);
        let is_there = self.row_at(position).is_some_and(|row| row.user_id == user_id);
        Position {
            index: position.index + usize::from(is_there),
            ..position
        }
    }

    /// Before the first row whose id is not less.
    fn not_less(&self, user_id: &str) -> Position {
        let part = self.parts.partition_point(|part| part.rows.last_user_id() < Some(user_id));
        let index = self.parts.get(part).map_or(0, |part| part.rows.first_not_less(user_id));
        Position { part, index }
    }

    /// The number of the row behind a position, counted from 0 by user id.
    pub(crate) fn number_of(&self, position: Position) -> u32 {
        let start = self.starts.get(position.part).copied().unwrap_or(self.row_count);
        u32::try_from(start + position.index).expect("4 billion rows fill no memory that there is")
    }

    /// The row of a number.
    pub(crate) fn row_of_number(&self, number: u32) -> Option<RowView<'_>> {
        let number = usize::try_from(number).ok()?;
        let part = self.starts.partition_point(|start| *start <= number).checked_sub(1)?;
        self.row_at(Position {
            part,
            index: number - self.starts.get(part)?,
        })
    }

    /// The row behind a position, in the same part.
    pub(crate) fn row_at(&self, position: Position) -> Option<RowView<'_>> {
        let rows = &self.parts.get(position.part)?.rows;
        (position.index < rows.len()).then(|| rows.row(position.index))
    }
}

/// Of each part, how many rows are in those before it.
fn starts(parts: &[Arc<Part>]) -> Vec<usize> {
    let ends = parts.iter().scan(0, |end, part| {
        *end += part.rows.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).take(parts.len()).collect()
}

/// A place between two rows of a snapshot. The default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    part: usize,
    index: usize,
}

impl Position {
    /// Before the row that this is behind.
    pub(crate) fn before(self) -> Self {
        Self {
            index: self.index.saturating_sub(1),
            ..self
        }
    }
}

/// The rows between two places. Those of a selection lie in one; an empty one may end before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: Position,
    until: Position,
}

impl Span {
    /// Where it begins: of what a walk has left, behind the last row that it gave.
    pub(crate) fn begin(self) -> Position {
        self.from
    }

    /// What of it lies before a place.
    pub(crate) fn up_to(self, position: Position) -> Self {
        Self {
            until: self.until.min(position),
            ..self
        }
    }

    /// What of it lies behind a place.
    pub(crate) fn behind(self, position: Position) -> Self {
        Self {
            from: self.from.max(position),
            ..self
        }
    }
}

/// The rows that a selection takes, by user id.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    snapshot: &'a Snapshot,
    selection: &'a Selection,
    /// Those that are still to be looked at.
    span: Span,
}

impl Rows<'_> {
    /// What is left to be looked at.
    pub fn rest(&self) -> Span {
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
                let (birth, has_image) = rows.birth_and_image(index);
                if !self.selection.matches_birth(birth.day(), has_image) {
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
