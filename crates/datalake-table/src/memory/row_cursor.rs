//! Cursors over the rows of a snapshot, which own their state, so that the body of a response can own a cursor.

use std::sync::Arc;

use datalake_core::{
    query::{filter::Selection, order::Order},
    row::RowView,
};

use crate::memory::snapshot::{Snapshot, Span};

/// The rows of a selection in an order, from a row on and up to a limit.
#[derive(Clone, Debug)]
pub struct RowCursor {
    snapshot: Arc<Snapshot>,
    selection: Selection,
    source: Source,
    /// The number of rows that may still be returned.
    remaining: usize,
}

/// The source of the rows.
#[derive(Clone, Debug)]
enum Source {
    /// The rows of the snapshot, by user ID.
    Scan(Span),
    /// The numbers of sorted rows, from `next` on.
    Sorted { rows: Arc<Vec<u32>>, next: usize },
}

/// The position of a cursor, from which another cursor over the same rows of the same version can continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorPosition {
    source: SourcePosition,
    remaining: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourcePosition {
    Scan(Span),
    Sorted(usize),
}

impl RowCursor {
    /// The current position.
    pub fn position(&self) -> CursorPosition {
        CursorPosition {
            source: match &self.source {
                Source::Scan(span) => SourcePosition::Scan(*span),
                Source::Sorted { next, .. } => SourcePosition::Sorted(*next),
            },
            remaining: self.remaining,
        }
    }

    /// Moves to a position of a cursor over the same rows.
    pub fn seek(&mut self, position: CursorPosition) {
        self.remaining = position.remaining;
        match (&mut self.source, position.source) {
            (Source::Scan(span), SourcePosition::Scan(to)) => *span = to,
            (Source::Sorted { next, .. }, SourcePosition::Sorted(to)) => *next = to,
            (Source::Scan(_), SourcePosition::Sorted(_)) | (Source::Sorted { .. }, SourcePosition::Scan(_)) => {
                unreachable!("cursors over the same rows have the same source")
            }
        }
    }

    /// Starts a cursor. `after` is the user ID of the row after which to start; none starts at the first row. `limit` is the maximum number
    /// of rows; none means all.
    ///
    /// In the order of the user IDs, rows are read one by one. Any other order reads all rows first, and keeps the numbers of those to
    /// return: [`ROW_NUMBER_BYTES`] per row, and while sorting at most twice as many rows as `limit`.
    pub fn new(snapshot: Arc<Snapshot>, selection: Selection, order: &Order, after: Option<&str>, limit: Option<usize>) -> Self {
        let source = if order.is_by_user_id() {
            let span = snapshot.span(&selection);
            Source::Scan(after.map_or(span, |user_id| span.after(snapshot.after(user_id))))
        } else {
            // One more row shows whether there is a next page.
            let rows = sorted_row_numbers(&snapshot, &selection, order, after, limit.map(|limit| limit.saturating_add(1)));
            Source::Sorted {
                rows: Arc::new(rows),
                next: 0,
            }
        };
        Self {
            snapshot,
            selection,
            source,
            remaining: limit.unwrap_or(usize::MAX),
        }
    }

    /// The next row.
    pub fn next_row(&mut self) -> Option<RowView<'_>> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.step()
    }

    /// Whether the cursor returns every row that it reads, so that the next row takes constant time.
    pub fn returns_every_row(&self) -> bool {
        match self.source {
            Source::Scan(_) => self.selection.is_range_of_ids(),
            Source::Sorted { .. } => true,
        }
    }

    /// The user ID of the last row that this cursor will return, if there are rows after it: the next page starts after it.
    pub fn last_id_before_next_page(&self) -> Option<String> {
        let mut ahead = self.clone();
        let mut last = None;
        while ahead.next_row().is_some() {
            last = ahead.number();
        }
        ahead.step()?;
        self.snapshot.row_of_number(last?).map(|row| row.user_id.to_owned())
    }

    /// The number of the row that was returned last.
    fn number(&self) -> Option<u32> {
        match &self.source {
            Source::Scan(span) => Some(self.snapshot.number_of(span.start().before())),
            Source::Sorted { rows, next } => rows.get(next.checked_sub(1)?).copied(),
        }
    }

    fn step(&mut self) -> Option<RowView<'_>> {
        match &mut self.source {
            Source::Scan(span) => {
                let mut rows = self.snapshot.rows_from(&self.selection, *span);
                let row = rows.next();
                *span = rows.remaining();
                row
            }
            Source::Sorted { rows, next } => {
                let number = *rows.get(*next)?;
                *next += 1;
                self.snapshot.row_of_number(number)
            }
        }
    }
}

/// The number of rows of a selection up to and including the row of a user in an order: the rows before a cursor that starts after it.
///
/// For a range of user IDs in their order, this is computed from the row's position. Otherwise all rows are read.
pub fn count_up_to(snapshot: &Snapshot, selection: &Selection, order: &Order, user_id: &str) -> u64 {
    if order.is_by_user_id() {
        let span = snapshot.span(selection).up_to(snapshot.after(user_id));
        return snapshot.count_within(selection, span);
    }
    let last = snapshot.row(user_id);
    let is_up_to = |row: &RowView<'_>| last.is_some_and(|last| order.compare(row, &last, selection.ages).is_le());
    let rows = snapshot.rows(selection).filter(is_up_to).count();
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// The numbers of the first rows in an order, after a row.
fn sorted_row_numbers(snapshot: &Snapshot, selection: &Selection, order: &Order, after: Option<&str>, limit: Option<usize>) -> Vec<u32> {
    let compare = |left: &u32, right: &u32| {
        let rows = snapshot.row_of_number(*left).zip(snapshot.row_of_number(*right));
        rows.map_or(std::cmp::Ordering::Equal, |(left, right)| {
            order.compare(&left, &right, selection.ages)
        })
    };
    let after = after.and_then(|user_id| snapshot.row(user_id));
    let is_after = |row: &RowView<'_>| after.is_none_or(|after| order.compare(row, &after, selection.ages).is_gt());
    // A growing vector would allocate up to twice the memory. The count is an upper bound.
    let capacity = match limit {
        Some(limit) => limit.saturating_mul(2).min(snapshot.len()),
        None => usize::try_from(snapshot.count(selection)).unwrap_or(usize::MAX),
    };
    let mut numbers = Vec::with_capacity(capacity);
    let mut rows = snapshot.rows(selection);
    while let Some(row) = rows.next() {
        if is_after(&row) {
            numbers.push(snapshot.number_of(rows.remaining().start().before()));
        }
        // Only the first half can still be among the first rows.
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

/// The bytes per row of a cursor in another order than that of the user IDs, which keeps the number of each row.
pub const ROW_NUMBER_BYTES: usize = size_of::<u32>();
