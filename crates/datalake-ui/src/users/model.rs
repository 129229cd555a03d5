//! The view model of the users page.

use datalake_core::{
    query::{column::Column, order::Direction},
    user::{Ages, Day},
};

use crate::{
    components::row::Row,
    page::{links, query::Query},
    users::{
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
pub(crate) struct UsersPage {
    /// The users on this page.
    pub(crate) users: Vec<Row>,
    /// The number of users on all pages.
    pub(crate) total: u64,
    /// The number of users on the pages before this one.
    pub(crate) before: u64,
    /// The address of the next page; none on the last page.
    pub(crate) next: Option<String>,
    /// The address of the previous page, unless that is the first one.
    pub(crate) previous: Option<String>,
    /// The maximum number of users on a page.
    pub(crate) limit: u16,
    pub(crate) view_mode: ViewMode,
    /// The selected columns; none for the default.
    pub(crate) columns: Option<Vec<Column>>,
    pub(crate) order: Vec<(Column, Direction)>,
    /// Whether the rows that match a search best come first.
    pub(crate) is_best_match_first: bool,
    /// The parameters of the first page.
    pub(crate) query: Query,
    /// The parameters of this page.
    pub(crate) current_query: Query,
    /// The day on which ages are computed.
    pub(crate) day: Day,
    pub(crate) version: u64,
    pub(crate) latest: u64,
    pub(crate) is_first: bool,
    pub(crate) is_empty_lake: bool,
    pub(crate) facets: Option<Facets>,
}

impl UsersPage {
    pub(crate) fn of(row_query: &RowQuery, view_mode: ViewMode, query: &Query, latest: u64) -> Self {
        let question = &row_query.data_query.query;
        let version = row_query.snapshot.version().number();
        let is_first = row_query.data_query.cursor.is_none();
        // A cursor contains its version. Links without the cursor have to name it.
        let pinned = (!is_first && version != latest).then(|| version.to_string());
        let first_page = query.without(&[CURSOR]);
        let ages = Ages::on(row_query.day);
        let RowPage { mut rows, total, next } = row_query.page_of(question.limit.unwrap_or(LIMIT));
        let mut users = Vec::new();
        while let Some(row) = rows.next_row() {
            users.push(Row::of(row, ages, version, latest));
        }
        let view = view_parameter(view_mode);
        Self {
            users,
            total,
            before: row_query.count_before(),
            next: next.map(|next| next + view),
            previous: row_query.previous_page().map(|previous| previous + view),
            limit: question.limit.unwrap_or(LIMIT).get(),
            view_mode,
            columns: question.select.clone(),
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

    /// A user's page with the same day and version.
    pub(crate) fn user_href(&self, user: &Row) -> String {
        links::user_at(&user.user_id, &self.query)
    }
}

/// The address of a page by its number.
pub(crate) fn address_of_page(row_query: &RowQuery, number: u64, view_mode: ViewMode, query: &Query) -> String {
    match row_query.page_of_number(number) {
        Some(address) => address + view_parameter(view_mode),
        None => query.without(&[CURSOR]).address(links::USERS),
    }
}

fn view_parameter(view_mode: ViewMode) -> &'static str {
    match view_mode {
        ViewMode::Table => "",
        ViewMode::Gallery => "&view=gallery",
    }
}
