//! Evaluates a query on one snapshot of the table, page by page.

use std::{num::NonZeroU16, sync::Arc};

use datalake_core::{calendar::Day, count::to_usize, query::filter::Selection, row_id::RowId};
use datalake_table::memory::{
    row_cursor::{self, Page, PreviousPage, RowCursor},
    snapshot::Snapshot,
};

use crate::{
    limits::{
        scan_pool::ScanPool,
        sort_budget::{SortBudget, SortPermit},
    },
    problem::Problem,
    request::{cursor::Cursor, data_query::DataQuery, selected_snapshot::SelectedSnapshot},
    rows::pagination::RowPage,
};

/// Scanning this number of rows takes about 100 µs. More rows are scanned by the scan pool, so that other requests do not wait.
const ROWS_INLINE_MAX: usize = 20_000;

/// A query, and the snapshot that it reads.
#[derive(Debug)]
pub struct RowQuery {
    /// The version that is read.
    pub snapshot: Arc<Snapshot>,
    /// The parameters of the request.
    pub data_query: DataQuery,
    /// The day on which ages are computed.
    pub day: Day,
    scan_pool: ScanPool,
}

impl RowQuery {
    /// Combines a query and a snapshot. Rejects a cursor of another version.
    pub fn new(data_query: DataQuery, read_at: &SelectedSnapshot) -> Result<Self, Problem> {
        let cursor = data_query.cursor.as_ref();
        if cursor.is_some_and(|cursor| !cursor.is_of(read_at.snapshot.version())) {
            return Err(Problem::CursorGone);
        }
        let on = cursor.map(|cursor| cursor.day).or(data_query.query.on);
        Ok(Self {
            snapshot: Arc::clone(&read_at.snapshot),
            day: read_at.day(on),
            data_query,
            scan_pool: read_at.scan_pool.clone(),
        })
    }

    /// Whether the day on which ages are computed is today because the request names none.
    pub fn is_today(&self) -> bool {
        self.data_query.cursor.is_none() && self.data_query.query.on.is_none()
    }

    /// The rows of a page, with a permit to keep sorted rows in memory if the query has no limit. A problem if other responses use the budget.
    pub fn page(&self, budget: &SortBudget) -> Result<(RowPage, Option<SortPermit>), Problem> {
        let query = &self.data_query.query;
        if let Some(limit) = query.limit {
            return Ok((self.page_of(limit), None));
        }
        let (snapshot, selection) = (Arc::clone(&self.snapshot), self.selection());
        let total = snapshot.count(&selection);
        // The permit has to exist before the rows are sorted.
        let permit = (!query.order.is_by_id()).then(|| budget.acquire(to_usize(total))).transpose()?;
        let rows = RowCursor::all(snapshot, selection, &query.order, self.after(), total);
        Ok((RowPage { rows, total, next: None }, permit))
    }

    /// The rows of a page with at most `limit` rows.
    pub fn page_of(&self, limit: NonZeroU16) -> RowPage {
        let (snapshot, order) = (Arc::clone(&self.snapshot), &self.data_query.query.order);
        let page = Page::new(snapshot, self.selection(), order, self.after(), usize::from(limit.get()));
        RowPage {
            rows: page.rows,
            total: page.total,
            next: page.last_id.and_then(|last| self.page_after(&last)),
        }
    }

    /// The number of rows on the previous pages.
    pub fn count_before(&self) -> u64 {
        let order = &self.data_query.query.order;
        let count = |after| row_cursor::count_up_to(&self.snapshot, &self.selection(), order, after);
        self.after().map_or(0, count)
    }

    /// The URL of the previous page; none if this is the first page, or if the previous one is.
    pub fn previous_page(&self) -> Option<String> {
        let query = &self.data_query.query;
        let limit = usize::from(query.limit?.get());
        match row_cursor::previous_page(&self.snapshot, &self.selection(), &query.order, self.after()?, limit) {
            PreviousPage::First => None,
            PreviousPage::After(user_id) => self.page_after(&user_id),
        }
    }

    /// The URL of a page by its number, from 1; the last page if there are fewer. None for the first page.
    pub fn page_of_number(&self, number: u64) -> Option<String> {
        let query = &self.data_query.query;
        let limit = u64::from(query.limit?.get());
        let selection = self.selection();
        let pages_before_last = self.snapshot.count(&selection).saturating_sub(1) / limit;
        let rows_before = number.saturating_sub(1).min(pages_before_last).saturating_mul(limit);
        let last = row_cursor::last_of_first(&self.snapshot, &selection, &query.order, to_usize(rows_before))?;
        self.page_after(&last)
    }

    /// Runs work that scans rows: inline if the rows are few, otherwise in the scan pool.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce(Self) -> T + Send + 'static) -> Result<T, Problem> {
        if self.is_quick() {
            return Ok(work(self));
        }
        let scan_pool = self.scan_pool.clone();
        Ok(scan_pool.scan(move || work(self)).await?)
    }

    /// The number of rows, if it is known without a scan.
    pub fn known_count(&self) -> Option<u64> {
        let query = &self.data_query.query;
        let is_known = query.limit.is_none() && query.filter.is_range_of_ids();
        is_known.then(|| self.snapshot.count(&self.selection()))
    }

    /// Whether no long scan is needed: the rows are read in the order of the table, or they are few.
    pub fn is_quick(&self) -> bool {
        let query = &self.data_query.query;
        let is_range = query.filter.is_range_of_ids() && query.order.is_by_id();
        is_range || self.snapshot.len() <= ROWS_INLINE_MAX
    }

    fn selection(&self) -> Selection {
        self.snapshot.select(&self.data_query.query.filter, self.day)
    }

    /// The last row of the previous page.
    fn after(&self) -> Option<&str> {
        self.data_query.cursor.as_ref().map(|cursor| cursor.user_id.as_str())
    }

    /// The URL of the page that starts after this row. None for an ID that no cursor can contain, which only another engine can have written.
    fn page_after(&self, user_id: &str) -> Option<String> {
        let user_id = RowId::parse(user_id).ok()?;
        let cursor = Cursor::new(self.snapshot.version(), self.day, &self.data_query.list_identity, user_id);
        Some(self.data_query.page_after(&cursor))
    }
}
