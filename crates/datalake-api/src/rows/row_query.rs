//! The rows that a question takes of one state of the table, page by page. What is done with them is their reader's affair.

use std::sync::Arc;

use datalake_core::{
    query::filter::Selection,
    user::{Day, UserId},
};
use datalake_table::memory::{
    row_cursor::{self, RowCursor},
    snapshot::Snapshot,
};

use crate::{
    limits::{
        scan_pool::scan,
        sort_budget::{OrderedRows, RowsRoom},
    },
    problem::Problem,
    request::{cursor::Cursor, query_string::RowsAsked, snapshot::Reading},
};
use datalake_core::error_chain::error_chain;

/// Rows that are looked at on the spot: some 100 µs. What may take longer is done where nobody else waits.
const ROWS_AT_ONCE_MAX: usize = 20_000;

/// What is asked, and of which rows.
#[derive(Debug)]
pub struct Listing {
    /// The version that is read.
    pub snapshot: Arc<Snapshot>,
    /// The parameters of the request.
    pub asked: RowsAsked,
    /// The day on which ages are counted.
    pub day: Day,
}

/// The rows of a page, and what there is beside them.
#[derive(Debug)]
pub struct ListedRows {
    /// The rows of the page.
    pub walk: RowCursor,
    /// Rows that the question takes, on whatever page.
    pub total: u64,
    /// Path and query of the next page.
    pub next: Option<String>,
}

impl Listing {
    /// Refuses a cursor that was given for another state of the table than the one that is read.
    pub fn new(asked: RowsAsked, reading: &Reading) -> Result<Self, Problem> {
        let cursor = asked.cursor.as_ref();
        if cursor.is_some_and(|cursor| !cursor.is_of(reading.snapshot.version())) {
            return Err(Problem::CursorGone);
        }
        let on = cursor.map(|cursor| cursor.day).or(asked.question.on);
        Ok(Self {
            snapshot: Arc::clone(&reading.snapshot),
            day: reading.day(on),
            asked,
        })
    }

    /// Whether the day was left open, and is today.
    pub fn is_of_today(&self) -> bool {
        self.asked.cursor.is_none() && self.asked.question.on.is_none()
    }

    /// The rows of a page.
    pub fn rows(&self) -> ListedRows {
        let selection = self.selection();
        let total = self.snapshot.count(&selection);
        self.rows_of(selection, total)
    }

    /// The rows, however many, with the room that they take until the answer ends; refused where others hold too many.
    pub fn rows_in(&self, room: &OrderedRows) -> Result<(ListedRows, Option<RowsRoom>), Problem> {
        let question = &self.asked.question;
        let selection = self.selection();
        let total = self.snapshot.count(&selection);
        let is_bounded = question.limit.is_some() || question.order.is_by_user_id();
        // Before the rows are put in order.
        let room = (!is_bounded)
            .then(|| room.take(usize::try_from(total).unwrap_or(usize::MAX)))
            .transpose()?;
        Ok((self.rows_of(selection, total), room))
    }

    fn rows_of(&self, selection: Selection, total: u64) -> ListedRows {
        let question = &self.asked.question;
        let limit = question.limit.map(|limit| usize::from(limit.get()));
        let walk = RowCursor::new(Arc::clone(&self.snapshot), selection, &question.order, self.after(), limit);
        let last = limit.and_then(|_| walk.last_id_before_next_page());
        ListedRows {
            walk,
            total,
            next: last.and_then(|last| self.page_behind(&last)),
        }
    }

    /// How many rows the pages before have.
    pub fn count_before(&self) -> u64 {
        let order = &self.asked.question.order;
        let count = |after| row_cursor::count_up_to(&self.snapshot, &self.selection(), order, after);
        self.after().map_or(0, count)
    }

    /// Does what looks at rows: on the spot where those are few, else where nobody else waits.
    pub async fn work<T: Send + 'static>(self, work: impl FnOnce(Self) -> T + Send + 'static) -> Result<T, Problem> {
        if self.is_quick() {
            return Ok(work(self));
        }
        let done = scan(move || work(self)).await;
        done.map_err(|panic| failed(&panic))
    }

    /// How many rows there will be, where it is known before they are looked at.
    pub fn counted_rows(&self) -> Option<u64> {
        let question = &self.asked.question;
        let is_counted = question.limit.is_none() && question.filter.is_range_of_ids();
        is_counted.then(|| self.snapshot.count(&self.selection()))
    }

    fn selection(&self) -> Selection {
        self.snapshot.select(&self.asked.question.filter, self.day)
    }

    /// The last row of the page before.
    fn after(&self) -> Option<&str> {
        self.asked.cursor.as_ref().map(|cursor| cursor.user_id.as_str())
    }

    /// None for an id that no cursor holds: another engine wrote what this product never does.
    fn page_behind(&self, user_id: &str) -> Option<String> {
        let user_id = UserId::parse(user_id).ok()?;
        let cursor = Cursor::new(self.snapshot.version(), self.day, &self.asked.listing, user_id);
        Some(self.asked.page_behind(&cursor))
    }

    /// Whether the rows are read in the order of the table, without sorting.
    pub fn is_quick(&self) -> bool {
        let question = &self.asked.question;
        let returns_every_row = question.filter.is_range_of_ids() && question.order.is_by_user_id();
        returns_every_row || self.snapshot.len() <= ROWS_AT_ONCE_MAX
    }
}

/// Rows that cannot be shown for no fault of the client's.
pub fn failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = error_chain(error), "rows cannot be written");
    Problem::Internal
}
