//! The list of rows.

use std::sync::Arc;

use datalake_api::{
    request::cursor::CURSOR,
    rows::{format::Format, pagination::RowPage, row_query::RowQuery},
};
use datalake_core::{
    dataset::Dataset,
    query::{column::Column, order::Direction},
    user::Ages,
};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{number, truncate},
        labels,
        pager::Pager,
    },
    declared::{class, fields, label, text},
    page::{links, query::Query},
    users::{
        form_query,
        request::{LIMIT, LIMITS},
    },
};

/// How many bytes of a value a list shows. The page of the row shows the whole value.
const VALUE_BYTES_MAX: usize = 100;

/// The data of the page.
#[derive(Debug)]
pub(crate) struct RowsPage {
    dataset: Arc<Dataset>,
    columns: Vec<Column>,
    /// The ID and the values of each row.
    rows: Vec<(String, Vec<Option<String>>)>,
    total: u64,
    /// The number of rows on the pages before this one.
    before: u64,
    next: Option<String>,
    previous: Option<String>,
    limit: u16,
    sorted_by: Option<(Column, Direction)>,
    /// The parameters of the first page.
    query: Query,
    version: u64,
    latest: u64,
    is_first: bool,
}

impl RowsPage {
    pub(crate) fn of(row_query: &RowQuery, query: &Query, latest: u64) -> Self {
        let question = &row_query.data_query.query;
        let dataset = Arc::clone(row_query.snapshot.dataset());
        let version = row_query.snapshot.version().number();
        let is_first = row_query.data_query.cursor.is_none();
        // A cursor contains its version. Links without the cursor have to name it.
        let pinned = (!is_first && version != latest).then(|| version.to_string());
        let first_page = query.without(&[CURSOR]);
        let columns = question.select.clone().unwrap_or_else(|| Column::all(&dataset).collect());
        let ages = Ages::on(row_query.day);
        let limit = question.limit.unwrap_or(LIMIT);
        let RowPage {
            rows: mut found,
            total,
            next,
        } = row_query.page_of(limit);
        let mut rows = Vec::new();
        while let Some(row) = found.next_row() {
            let values = columns.iter().map(|column| row.cell(*column, ages).map(text));
            rows.push((row.user_id.to_owned(), values.collect()));
        }
        Self {
            columns,
            rows,
            total,
            before: row_query.count_before(),
            next,
            previous: row_query.previous_page(),
            limit: limit.get(),
            sorted_by: question.order.keys().first().copied(),
            query: match &pinned {
                Some(version) => first_page.with("version", version),
                None => first_page,
            },
            version,
            latest,
            is_first,
            dataset,
        }
    }

    pub(crate) fn title(&self) -> &str {
        self.dataset.title()
    }

    pub(crate) fn markup(&self) -> Markup {
        let subtitle = html! {
            (number(self.total)) @if self.total == 1 { " row" } @else { " rows" }
            @if fields::has_filters(&self.query) { " match these filters" }
            ", version " (self.version)
        };
        let latest_href = self.query.without(&["version", "as_of"]).address(links::USERS);
        html! {
            (components::heading(self.title(), &subtitle, &html! {}))
            @if self.version != self.latest { (components::version_banner(self.version, self.latest, &latest_href, "")) }
            (fields::form(&self.dataset, &self.query))
            section #user-list data-total=(self.total) aria-label="Rows on this page" {
                @if self.rows.is_empty() {
                    div.card.empty { p { "No rows." @if fields::has_filters(&self.query) { " None match these filters." } } }
                } @else {
                    div.card { (components::scroll(self.title(), &self.table())) }
                }
            }
            (self.pager())
            (self.downloads())
        }
    }

    fn table(&self) -> Markup {
        html! {
            table.cards {
                caption.visually-hidden { "The rows on this page. Links in the header sort the table." }
                thead { tr { @for column in &self.columns { (self.heading(*column)) } } }
                tbody {
                    @for (id, values) in &self.rows {
                        tr data-user-id=(id) {
                            @for (column, value) in self.columns.iter().zip(values) { (self.cell(*column, id, value.as_deref())) }
                        }
                    }
                }
            }
        }
    }

    /// The header of a column. Its link sorts by the column, or reverses the sort direction.
    fn heading(&self, column: Column) -> Markup {
        let name = column.name(&self.dataset);
        let direction = self
            .sorted_by
            .filter(|(sorted_by, _)| *sorted_by == column)
            .map(|(_, direction)| direction);
        let (sort, order) = match direction {
            Some(Direction::Ascending) => (Some("ascending"), format!("{name}.desc")),
            Some(Direction::Descending) => (Some("descending"), name.to_string()),
            None => (None, name.to_string()),
        };
        html! {
            th scope="col" class=(class(&self.dataset, column)) aria-sort=[sort] data-column=(name) {
                a href=(self.query.with("order", &order).address(links::USERS)) { (label(name)) }
            }
        }
    }

    fn cell(&self, column: Column, id: &str, value: Option<&str>) -> Markup {
        let class = class(&self.dataset, column);
        let name = column.name(&self.dataset);
        let shown = html! {
            @match (column, value) {
                (_, None) => span.muted { "–" },
                (Column::File(index), Some(_)) => a href=(links::file(id, &self.dataset.files()[index].name, self.version)) { "view" },
                (_, Some(value)) => bdi { (truncate(value, VALUE_BYTES_MAX)) },
            }
        };
        html! {
            @if column == Column::KEY {
                th scope="row" class=(class) { a href=(links::user_at(id, &self.query)) { (shown) } }
            } @else {
                td class=(class) data-label=(label(name)) data-column=(name) { (shown) }
            }
        }
    }

    fn pager(&self) -> Markup {
        let shown = datalake_core::count::count(self.rows.len());
        let (first, last) = (self.before.saturating_add(1), self.before.saturating_add(shown));
        let size = |limit: u16| {
            let query = self.query.with("limit", &limit.to_string());
            html! { a href=(query.address(links::USERS)) aria-current=[(limit == self.limit).then_some("true")] { (limit) } }
        };
        let first_page = || self.query.address(links::USERS);
        let pager = Pager {
            jump: html! {},
            range: html! {
                span #range data-first=(first) data-last=(last) { (number(first)) "–" (number(last)) " of " (number(self.total)) }
                span.sizes #page-sizes { "Rows per page:" @for limit in LIMITS { " " (size(limit)) } }
            },
            first: (!self.is_first).then(|| (first_page(), "First page")),
            previous: (!self.is_first).then(|| (self.previous.clone().unwrap_or_else(first_page), "Previous page")),
            next: self.next.clone().map(|next| (next, "Next page")),
        };
        html! { @if shown > 0 { (pager.markup()) } }
    }

    /// All rows that match the filters, in each format, on every page.
    fn downloads(&self) -> Markup {
        let query = form_query::without_pagination(&self.query);
        html! {
            @if self.total > 0 {
                p.small.actions #downloads {
                    span { "Download " (number(self.total)) ":" }
                    @for format in Format::ALL {
                        @let name = format.name();
                        a href=(query.address(&format!("/data.{name}"))) download=(format!("rows.{name}")) data-format=(name) { (labels::format(format)) }
                    }
                }
            }
        }
    }
}
