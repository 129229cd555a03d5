//! The view model of the list of rows.

use std::sync::Arc;

use datalake_core::{
    calendar::{Ages, Day},
    dataset::Dataset,
    query::{column::Column, order::Direction},
};

use crate::{
    components::{labels, row::Row},
    page::{links, query::Query},
    rows::{
        facets::Facets,
        request::{LIMIT, ViewMode},
    },
};
use datalake_api::{
    request::cursor::CURSOR,
    rows::{pagination::RowPage, row_query::RowQuery},
};

/// The data of the page.
#[derive(Debug)]
pub(crate) struct RowsPage {
    pub(crate) dataset: Arc<Dataset>,
    /// The rows on this page.
    pub(crate) rows: Vec<Row>,
    /// The number of rows on all pages.
    pub(crate) total: u64,
    /// The number of rows on the pages before this one.
    pub(crate) before: u64,
    /// The address of the next page; none on the last page.
    pub(crate) next: Option<String>,
    /// The address of the previous page, unless that is the first one.
    pub(crate) previous: Option<String>,
    /// The maximum number of rows on a page.
    pub(crate) limit: u16,
    pub(crate) view_mode: ViewMode,
    pub(crate) columns: Vec<Column>,
    pub(crate) order: Vec<(Column, Direction)>,
    /// Whether the rows that match a search best come first.
    pub(crate) is_best_match_first: bool,
    /// The parameters of the first page.
    pub(crate) query: Query,
    /// The parameters of this page.
    pub(crate) current_query: Query,
    /// The day on which columns are computed.
    pub(crate) day: Day,
    pub(crate) version: u64,
    pub(crate) latest: u64,
    pub(crate) is_first: bool,
    pub(crate) is_empty_lake: bool,
    pub(crate) facets: Facets,
}

impl RowsPage {
    pub(crate) fn of(row_query: &RowQuery, view_mode: ViewMode, query: &Query, latest: u64) -> Self {
        let question = &row_query.data_query.query;
        let version = row_query.snapshot.version().number();
        let is_first = row_query.data_query.cursor.is_none();
        // A cursor contains its version. Links without the cursor have to name it.
        let pinned = (!is_first && version != latest).then(|| version.to_string());
        let first_page = query.without(&[CURSOR]);
        let ages = Ages::on(row_query.day);
        let dataset = Arc::clone(row_query.snapshot.dataset());
        let columns = question.select.clone().unwrap_or_else(|| default_columns(&dataset));
        let RowPage {
            rows: mut found,
            total,
            next,
        } = row_query.page_of(question.limit.unwrap_or(LIMIT));
        let mut rows = Vec::new();
        while let Some(row) = found.next_row() {
            rows.push(Row::of(row, ages, version, latest));
        }
        let view = view_parameter(view_mode);
        Self {
            dataset,
            rows,
            total,
            before: row_query.count_before(),
            next: next.map(|next| next + view),
            previous: row_query.previous_page().map(|previous| previous + view),
            limit: question.limit.unwrap_or(LIMIT).get(),
            view_mode,
            columns,
            order: question.order.keys().to_vec(),
            is_best_match_first: question.order.is_best_match_first(),
            query: match &pinned {
                Some(version) => first_page.with("version", version),
                None => first_page,
            },
            current_query: query.clone(),
            day: row_query.day,
            version,
            latest,
            is_first,
            is_empty_lake: row_query.snapshot.is_empty(),
            facets: Facets::of(row_query),
        }
    }

    /// The number of this page and of the last one, from 1. A page whose start is no multiple of its size counts as the one that has its first row.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let limit = u64::from(self.limit);
        (self.before / limit + 1, self.total.div_ceil(limit).max(1))
    }

    /// The page of a row with the same day and version.
    pub(crate) fn row_href(&self, row: &Row) -> String {
        links::row_at(&row.id, &self.query)
    }
}

/// The default columns, with images first.
fn default_columns(dataset: &Dataset) -> Vec<Column> {
    let is_image = |column: &Column| matches!(column, Column::File(file) if labels::is_image(&dataset.files()[*file]));
    let (images, others): (Vec<_>, Vec<_>) = labels::default_columns(dataset).partition(is_image);
    [images, others].concat()
}

/// The address of a page by its number.
pub(crate) fn address_of_page(row_query: &RowQuery, number: u64, view_mode: ViewMode, query: &Query) -> String {
    match row_query.page_of_number(number) {
        Some(address) => address + view_parameter(view_mode),
        None => query.without(&[CURSOR]).address(links::ROWS),
    }
}

fn view_parameter(view_mode: ViewMode) -> &'static str {
    match view_mode {
        ViewMode::Table => "",
        ViewMode::Gallery => "&view=gallery",
    }
}
