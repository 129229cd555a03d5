//! A walk over rows of a snapshot in some order, which holds what it needs: a stream of an answer takes it along.

use std::sync::Arc;

use datalake_core::{
    query::{filter::Selection, order::Order},
    row::RowView,
};

use crate::memory::snapshot::{Snapshot, Span};

/// The rows that a selection takes, in an order, after a row and up to a number.
#[derive(Clone, Debug)]
pub struct RowCursor {
    snapshot: Arc<Snapshot>,
    selection: Selection,
    source: Source,
    /// Rows that may still come.
    left: usize,
}

/// Where the rows come from.
#[derive(Clone, Debug)]
enum Source {
    /// As the table holds them.
    Scan(Span),
    /// As they were put in order: their numbers, from `next` on.
    Listed { rows: Arc<Vec<u32>>, next: usize },
}

/// Where a walk is: another walk over the same rows of the same version goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorPosition {
    source: SourcePlace,
    left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourcePlace {
    Scan(Span),
    Listed(usize),
}

impl RowCursor {
    /// Where it is.
    pub fn position(&self) -> CursorPosition {
        CursorPosition {
            source: match &self.source {
                Source::Scan(span) => SourcePlace::Scan(*span),
                Source::Listed { next, .. } => SourcePlace::Listed(*next),
            },
            left: self.left,
        }
    }

    /// Goes on from a place of a walk over the same rows.
    pub fn seek(&mut self, place: CursorPosition) {
        self.left = place.left;
        match (&mut self.source, place.source) {
            (Source::Scan(span), SourcePlace::Scan(to)) => *span = to,
            (Source::Listed { next, .. }, SourcePlace::Listed(to)) => *next = to,
            (Source::Scan(_), SourcePlace::Listed(_)) | (Source::Listed { .. }, SourcePlace::Scan(_)) => {
                unreachable!("walks over the same rows have the same source")
            }
        }
    }

    /// Begins a walk. `after` is the id of the row that the walk goes on behind; none is from the first. `limit` is the most rows; none is
    /// all of them.
    ///
    /// By user id nothing is looked at before it is asked for. Any other order looks at every row first, and holds the numbers of those
    /// that are to come: [`ROW_NUMBER_BYTES`] a row, of `limit` rows at most twice as many.
    pub fn new(snapshot: Arc<Snapshot>, selection: Selection, order: &Order, after: Option<&str>, limit: Option<usize>) -> Self {
        let source = if order.is_by_user_id() {
            let span = snapshot.span(&selection);
            Source::Scan(after.map_or(span, |user_id| span.behind(snapshot.behind(user_id))))
        } else {
            // One more tells whether there is a next page.
            let rows = listed(&snapshot, &selection, order, after, limit.map(|limit| limit.saturating_add(1)));
            Source::Listed {
                rows: Arc::new(rows),
                next: 0,
            }
        };
        Self {
            snapshot,
            selection,
            source,
            left: limit.unwrap_or(usize::MAX),
        }
    }

    /// The next row.
    pub fn next_row(&mut self) -> Option<RowView<'_>> {
        self.left = self.left.checked_sub(1)?;
        self.step()
    }

    /// Whether no row is looked at that is not given: the next one is found at once.
    pub fn returns_every_row(&self) -> bool {
        match self.source {
            Source::Scan(_) => self.selection.is_range_of_ids(),
            Source::Listed { .. } => true,
        }
    }

    /// The id of the last row that this walk comes to, if there are more behind it.
    pub fn last_id_before_next_page(&self) -> Option<String> {
        let mut ahead = self.clone();
        let mut last = None;
        while ahead.next_row().is_some() {
            last = ahead.number();
        }
        ahead.step()?;
        self.snapshot.row_of_number(last?).map(|row| row.user_id.to_owned())
    }

    /// The number of the row that was given last.
    fn number(&self) -> Option<u32> {
        match &self.source {
            Source::Scan(rest) => Some(self.snapshot.number_of(rest.begin().before())),
            Source::Listed { rows, next } => rows.get(next.checked_sub(1)?).copied(),
        }
    }

    fn step(&mut self) -> Option<RowView<'_>> {
        match &mut self.source {
            Source::Scan(span) => {
                let mut rows = self.snapshot.rows_from(&self.selection, *span);
                let row = rows.next();
                *span = rows.rest();
                row
            }
            Source::Listed { rows, next } => {
                let number = *rows.get(*next)?;
                *next += 1;
                self.snapshot.row_of_number(number)
            }
        }
    }
}

/// How many of the rows that a selection takes come up to a row in an order, that row among them: what a walk behind it has left behind.
///
/// Of a range of ids by user id it is told from the row's place; else every row is looked at.
pub fn count_up_to(snapshot: &Snapshot, selection: &Selection, order: &Order, user_id: &str) -> u64 {
    if order.is_by_user_id() {
        let span = snapshot.span(selection).up_to(snapshot.behind(user_id));
        return snapshot.count_within(selection, span);
    }
    let last = snapshot.row(user_id);
    let is_up_to = |row: &RowView<'_>| last.is_some_and(|last| order.compare(row, &last, selection.ages).is_le());
    let rows = snapshot.rows(selection).filter(is_up_to).count();
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// The numbers of the first rows in an order, behind a row.
fn listed(snapshot: &Snapshot, selection: &Selection, order: &Order, after: Option<&str>, limit: Option<usize>) -> Vec<u32> {
    let compare = |left: &u32, right: &u32| {
        let rows = snapshot.row_of_number(*left).zip(snapshot.row_of_number(*right));
        rows.map_or(std::cmp::Ordering::Equal, |(left, right)| {
            order.compare(&left, &right, selection.ages)
        })
    };
    let after = after.and_then(|user_id| snapshot.row(user_id));
    let is_behind = |row: &RowView<'_>| after.is_none_or(|after| order.compare(row, &after, selection.ages).is_gt());
    // Grown as it fills, it would hold half as much again; what is counted at once is at least known not to be exceeded.
    let taken = match limit {
        Some(limit) => limit.saturating_mul(2).min(snapshot.len()),
        None => usize::try_from(snapshot.count(selection)).unwrap_or(usize::MAX),
    };
    let mut numbers = Vec::with_capacity(taken);
    let mut rows = snapshot.rows(selection);
    while let Some(row) = rows.next() {
        if is_behind(&row) {
            numbers.push(snapshot.number_of(rows.rest().begin().before()));
        }
        // Half of them are not among the first, whatever comes.
        if let Some(limit) = limit.filter(|limit| numbers.len() >= limit.saturating_mul(2)) {
            numbers.select_nth_unstable_by(limit - 1, compare);
            numbers.truncate(limit);
        }
    }
    numbers.sort_unstable_by(compare);
    numbers.truncate(limit.unwrap_or(usize::MAX));
    numbers.shrink_to_fit();
    numbers
}

/// What a walk in another order than that of the ids holds of each row: its number in the order of the ids.
pub const ROW_NUMBER_BYTES: usize = size_of::<u32>();
