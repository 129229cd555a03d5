//! Cursors over the rows of a snapshot, which own their state, so the body of a response can own a cursor.

use std::{cmp::Ordering, sync::Arc};

use datalake_core::{
    count::count,
    dataset::Dataset,
    query::{filter::Selection, order::Order},
    row::RowView,
};

use crate::memory::snapshot::{Rows, Snapshot, Span};

/// The rows of a selection in an order.
#[derive(Clone, Debug)]
pub struct RowCursor {
    snapshot: Arc<Snapshot>,
    selection: Selection,
    source: Source,
}

/// The source of the rows.
#[derive(Clone, Debug)]
enum Source {
    /// The rows of the snapshot, by ID.
    Scan(Span),
    /// The rows with these numbers, from `next` on.
    Numbers { numbers: Arc<[u32]>, next: usize },
}

/// The position of a cursor, from which another cursor over the same rows of the same version can continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorPosition(SourcePosition);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourcePosition {
    Scan(Span),
    Numbers(usize),
}

/// A page of the rows of a selection in an order.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows of the page.
    pub rows: RowCursor,
    /// The number of rows on all pages.
    pub total: u64,
    /// The ID of the page's last row if there is a next page, which starts after that row.
    pub last_id: Option<String>,
}

impl RowCursor {
    /// All rows of a selection in an order. `after` is the ID of the row after which to start; none starts at the first row. `total` is
    /// the number of rows of the selection.
    ///
    /// In the order of the IDs, rows are read one by one. Any other order reads all rows first, and keeps the number of each:
    /// [`ROW_NUMBER_BYTES`] per row.
    pub fn all(snapshot: Arc<Snapshot>, selection: Selection, order: &Order, after: Option<&str>, total: u64) -> Self {
        if order.is_by_id() {
            let span = snapshot.span_after(&selection, after);
            return Self::scan(snapshot, selection, span);
        }
        // A growing vector would allocate up to twice the memory.
        let capacity = usize::try_from(total).unwrap_or(usize::MAX).min(snapshot.len());
        let (_, numbers) = sorted_row_numbers(&snapshot, &selection, order, after, usize::MAX, capacity);
        Self::numbers(snapshot, selection, numbers)
    }

    fn scan(snapshot: Arc<Snapshot>, selection: Selection, span: Span) -> Self {
        Self {
            snapshot,
            selection,
            source: Source::Scan(span),
        }
    }

    fn numbers(snapshot: Arc<Snapshot>, selection: Selection, numbers: Vec<u32>) -> Self {
        Self {
            snapshot,
            selection,
            source: Source::Numbers {
                numbers: numbers.into(),
                next: 0,
            },
        }
    }

    /// The declaration of the rows.
    pub fn dataset(&self) -> &Arc<Dataset> {
        self.snapshot.dataset()
    }

    /// The current position.
    pub fn position(&self) -> CursorPosition {
        CursorPosition(match &self.source {
            Source::Scan(span) => SourcePosition::Scan(*span),
            Source::Numbers { next, .. } => SourcePosition::Numbers(*next),
        })
    }

    /// Moves to a position of a cursor over the same rows.
    pub fn seek(&mut self, position: CursorPosition) {
        match (&mut self.source, position.0) {
            (Source::Scan(span), SourcePosition::Scan(to)) => *span = to,
            (Source::Numbers { next, .. }, SourcePosition::Numbers(to)) => *next = to,
            (Source::Scan(_), SourcePosition::Numbers(_)) | (Source::Numbers { .. }, SourcePosition::Scan(_)) => {
                unreachable!("cursors over the same rows have the same source")
            }
        }
    }

    /// The next row.
    pub fn next_row(&mut self) -> Option<RowView<'_>> {
        match &mut self.source {
            Source::Scan(span) => {
                let mut rows = self.snapshot.rows_from(&self.selection, *span);
                let row = rows.next();
                *span = rows.remaining();
                row
            }
            Source::Numbers { numbers, next } => {
                let number = *numbers.get(*next)?;
                *next += 1;
                self.snapshot.row_of_number(number)
            }
        }
    }

    /// Whether the cursor returns every row that it reads, so the next row takes constant time.
    pub fn returns_every_row(&self) -> bool {
        match self.source {
            Source::Scan(_) => self.selection.is_range_of_ids(),
            Source::Numbers { .. } => true,
        }
    }
}

impl Page {
    /// The first rows of a selection in an order, at most `limit`. `after` is the ID of the row after which to start; none starts at
    /// the first row.
    ///
    /// A range of IDs in their order is not read: its pages follow from positions. For other selections and orders, one pass counts the
    /// rows and collects the numbers of those on the page; it keeps at most twice as many as `limit`.
    pub fn new(snapshot: Arc<Snapshot>, selection: Selection, order: &Order, after: Option<&str>, limit: usize) -> Self {
        if order.is_by_id() && selection.is_range_of_ids() {
            return Self::of_range(snapshot, selection, after, limit);
        }
        // One more row shows whether there is a next page.
        let rows_max = limit.saturating_add(1);
        let (total, mut numbers) = if order.is_by_id() {
            first_row_numbers(&snapshot, &selection, after, rows_max)
        } else {
            let capacity = rows_max.saturating_mul(2).min(snapshot.len());
            sorted_row_numbers(&snapshot, &selection, order, after, rows_max, capacity)
        };
        let has_next = numbers.len() > limit;
        numbers.truncate(limit);
        let last = numbers.last().filter(|_| has_next);
        let last_id = last.and_then(|last| snapshot.row_of_number(*last)).map(|row| row.row_id.to_owned());
        Self {
            rows: RowCursor::numbers(snapshot, selection, numbers),
            total,
            last_id,
        }
    }

    fn of_range(snapshot: Arc<Snapshot>, selection: Selection, after: Option<&str>, limit: usize) -> Self {
        let remaining = snapshot.span_after(&selection, after);
        let page = snapshot.first_rows(remaining, limit);
        let has_next = snapshot.rows_within(&remaining) > limit;
        let last = snapshot.last_row(page).filter(|_| has_next);
        Self {
            total: snapshot.count(&selection),
            last_id: last.map(|row| row.row_id.to_owned()),
            rows: RowCursor::scan(snapshot, selection, page),
        }
    }
}

/// The number of rows of a selection up to and including a row in an order: the rows before a cursor that starts after it.
///
/// For a range of IDs in their order, this is computed from the row's position. Otherwise all rows are read.
pub fn count_up_to(snapshot: &Snapshot, selection: &Selection, order: &Order, row_id: &str) -> u64 {
    if order.is_by_id() {
        let span = snapshot.span(selection).up_to(snapshot.after(row_id));
        return snapshot.count_within(selection, span);
    }
    let last = snapshot.row(row_id);
    let is_up_to = |row: &RowView<'_>| last.is_some_and(|last| order.compare(row, &last, selection.ages).is_le());
    count(snapshot.rows(selection).filter(is_up_to).count())
}

/// The start of the page before the one that starts after the row of `row_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousPage {
    /// The previous page is the first one.
    First,
    /// The previous page starts after the row of this ID.
    After(String),
}

/// The previous page of a page that starts after the row of `row_id`, with at most `limit` rows per page.
///
/// For a range of IDs in their order, this is computed from the row's position. Otherwise all rows up to that row are read, and the
/// numbers of at most twice `limit` rows are in memory.
pub fn previous_page(snapshot: &Snapshot, selection: &Selection, order: &Order, row_id: &str, limit: usize) -> PreviousPage {
    let row_number = if order.is_by_id() && selection.is_range_of_ids() {
        let first = snapshot.number_of(snapshot.span(selection).start());
        let end = snapshot.number_of(snapshot.after(row_id));
        let page_start = u32::try_from(limit).ok().and_then(|limit| end.checked_sub(limit));
        page_start.filter(|start| *start > first).map(|start| start - 1)
    } else {
        last_row_before(snapshot, selection, order, row_id, limit)
    };
    let row = row_number.and_then(|number| snapshot.row_of_number(number));
    row.map_or(PreviousPage::First, |row| PreviousPage::After(row.row_id.to_owned()))
}

/// The ID of the last of the first `count` rows of a selection in an order; none if `count` is 0 or there are fewer rows.
///
/// For a range of IDs in their order, this is computed. Otherwise all rows are read, and their numbers are in memory: 4 bytes each.
pub fn last_of_first(snapshot: &Snapshot, selection: &Selection, order: &Order, count: usize) -> Option<String> {
    let index = count.checked_sub(1)?;
    let number = if order.is_by_id() && selection.is_range_of_ids() {
        let span = snapshot.span(selection);
        let first = snapshot.number_of(span.start());
        (index < snapshot.rows_within(&span)).then(|| u32::try_from(index).ok()?.checked_add(first))?
    } else {
        let mut numbers = Vec::new();
        let mut rows = snapshot.rows(selection);
        while rows.next().is_some() {
            numbers.push(last_number(snapshot, &rows));
        }
        let compare = |left: &u32, right: &u32| compare_numbers(snapshot, selection, order, *left, *right);
        (index < numbers.len()).then(|| *numbers.select_nth_unstable_by(index, compare).1)
    };
    number
        .and_then(|number| snapshot.row_of_number(number))
        .map(|row| row.row_id.to_owned())
}

fn compare_numbers(snapshot: &Snapshot, selection: &Selection, order: &Order, left: u32, right: u32) -> Ordering {
    let rows = snapshot.row_of_number(left).zip(snapshot.row_of_number(right));
    rows.map_or(Ordering::Equal, |(left, right)| order.compare(&left, &right, selection.ages))
}

/// The number of the row that comes `limit` rows before a row in an order.
fn last_row_before(snapshot: &Snapshot, selection: &Selection, order: &Order, row_id: &str, limit: usize) -> Option<u32> {
    let last = snapshot.row(row_id)?;
    let backwards = |left: &u32, right: &u32| compare_numbers(snapshot, selection, order, *right, *left);
    let mut numbers = Vec::new();
    let mut rows = snapshot.rows(selection);
    while let Some(row) = rows.next() {
        if order.compare(&row, &last, selection.ages).is_le() {
            numbers.push(last_number(snapshot, &rows));
        }
        // Only the last rows can be on the previous page.
        if numbers.len() > limit.saturating_mul(2) {
            numbers.select_nth_unstable_by(limit, backwards);
            numbers.truncate(limit + 1);
        }
    }
    numbers.sort_unstable_by(backwards);
    numbers.get(limit).copied()
}

/// The number of rows of a selection, and the numbers of the first ones after a row, by ID.
fn first_row_numbers(snapshot: &Snapshot, selection: &Selection, after: Option<&str>, rows_max: usize) -> (u64, Vec<u32>) {
    let known_total = snapshot.count_without_scan(selection);
    let remaining = snapshot.span_after(selection, after);
    let first = snapshot.number_of(remaining.start());
    let mut rows = match known_total {
        Some(_) => snapshot.rows_from(selection, remaining),
        None => snapshot.rows(selection),
    };
    let mut total = 0;
    let mut numbers = Vec::new();
    while rows.next().is_some() {
        total += 1;
        let number = last_number(snapshot, &rows);
        if number >= first && numbers.len() < rows_max {
            numbers.push(number);
        }
        if known_total.is_some() && numbers.len() == rows_max {
            break;
        }
    }
    (known_total.unwrap_or(total), numbers)
}

/// The number of rows of a selection, and the numbers of the first ones after a row, in an order.
fn sorted_row_numbers(
    snapshot: &Snapshot,
    selection: &Selection,
    order: &Order,
    after: Option<&str>,
    rows_max: usize,
    capacity: usize,
) -> (u64, Vec<u32>) {
    let compare = |left: &u32, right: &u32| compare_numbers(snapshot, selection, order, *left, *right);
    let after = after.and_then(|row_id| snapshot.row(row_id));
    let is_after = |row: &RowView<'_>| after.is_none_or(|after| order.compare(row, &after, selection.ages).is_gt());
    let mut total = 0;
    let mut numbers = Vec::with_capacity(capacity);
    let mut rows = snapshot.rows(selection);
    while let Some(row) = rows.next() {
        total += 1;
        if is_after(&row) {
            numbers.push(last_number(snapshot, &rows));
        }
        // Only the first half can still be among the first rows.
        if numbers.len() >= rows_max.saturating_mul(2) {
            numbers.select_nth_unstable_by(rows_max - 1, compare);
            numbers.truncate(rows_max);
        }
    }
    numbers.sort_unstable_by(compare);
    numbers.truncate(rows_max);
    (total, numbers)
}

/// The number of the row that was read last.
fn last_number(snapshot: &Snapshot, rows: &Rows<'_>) -> u32 {
    snapshot.number_of(rows.remaining().start().before())
}

/// The bytes per row of a cursor in another order than that of the IDs, which keeps the number of each row.
pub const ROW_NUMBER_BYTES: usize = size_of::<u32>();
