//! The table of rows.

use datalake_core::{
    dataset::{Dataset, ValueRef},
    query::{column::Column, order::Direction, search::SEARCH},
};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        file_state::FileState,
        labels::{self, ValueType},
        row::{Row, RowValue},
        value,
    },
    page::links,
    rows::model::RowsPage,
};

pub(crate) fn table(page: &RowsPage) -> Markup {
    let table = Table::of(page);
    let rows = labels::rows(&page.dataset);
    components::scroll(
        page.dataset.title(),
        &html! {
            table.cards {
                caption.visually-hidden { "The " (rows) " on this page. Links in the header sort the table." }
                thead { tr { @for column in &table.columns { (heading(column, page)) } } }
                tbody {
                    @for row in &page.rows {
                        tr data-user-id=(row.id) {
                            @for column in &table.columns {
                                @if column.is_header {
                                    th scope="row" class=(column.class) {
                                        a href=(page.row_href(row)) aria-label=[table.label_of(row)] { (table.value(column, row, page)) }
                                    }
                                } @else {
                                    td class=(column.class) data-label=[column.card_label()] { (table.value(column, row, page)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The columns of the table.
struct Table<'a> {
    dataset: &'a Dataset,
    columns: Vec<TableColumn>,
}

/// A column of the table.
struct TableColumn {
    column: Column,
    kind: ValueType,
    label: String,
    class: &'static str,
    /// Whether its cells are the headers of the rows, and link to their pages.
    is_header: bool,
    /// Whether its values need no label in a card.
    explains_itself: bool,
}

impl<'a> Table<'a> {
    fn of(page: &'a RowsPage) -> Self {
        let dataset = &*page.dataset;
        let titles: Vec<Column> = labels::title_columns(dataset).map(Column::Value).collect();
        let header = header_column(&titles, &page.columns);
        let days = Column::all(dataset).filter(|column| labels::value_type(dataset, *column) == ValueType::Day);
        // One day among texts is clear without a label.
        let has_one_day = days.take(2).count() == 1;
        let column = |column: Column| {
            let kind = labels::value_type(dataset, column);
            let is_title = titles.contains(&column);
            TableColumn {
                column,
                kind,
                label: labels::column(dataset, column),
                class: class(dataset, column, is_title || column == Column::KEY && header == Some(column)),
                is_header: header == Some(column),
                explains_itself: match (column, kind) {
                    (Column::File(file), _) => labels::is_image(&dataset.files()[file]),
                    (_, ValueType::Day) => has_one_day,
                    _ => is_title,
                },
            }
        };
        Self {
            dataset,
            columns: page.columns.iter().copied().map(column).collect(),
        }
    }

    /// The label of a link to a row, if its text does not identify the row: the first of several values.
    fn label_of(&self, row: &Row) -> Option<String> {
        let is_of_id = |column: &TableColumn| column.is_header && column.column.is_of_id(self.dataset);
        let is_ambiguous = self.dataset.id_columns() > 1 && self.columns.iter().any(is_of_id);
        is_ambiguous.then(|| row.title(self.dataset))
    }

    fn value(&self, column: &TableColumn, row: &Row, page: &RowsPage) -> Markup {
        html! {
            @match row.value(column.column) {
                RowValue::File(file, state) => (file_cell(self.dataset, file, state, row)),
                RowValue::Value(ValueRef::Text(id)) if column.kind == ValueType::Id => bdi { (id) },
                RowValue::Value(shown) => (value::short(shown)),
                RowValue::None => @match labels::day_of_years(self.dataset, column.column) {
                    Some(day) => span.muted title={ (labels::column(self.dataset, day)) " after " (page.day.date()) } { "–" },
                    None => span.muted { "–" },
                },
            }
        }
    }
}

impl TableColumn {
    /// The label of a value in a card.
    fn card_label(&self) -> Option<&str> {
        (!self.explains_itself).then_some(&self.label)
    }
}

/// The column whose cells are the headers of the rows: the first text of their titles, or else the ID, or else the first column.
fn header_column(titles: &[Column], columns: &[Column]) -> Option<Column> {
    let title = columns.iter().find(|column| titles.contains(column));
    let id = columns.iter().find(|column| **column == Column::KEY);
    title.or(id).or(columns.first()).copied()
}

/// The header of a column. Its link sorts by the column, or reverses the sort direction.
fn heading(column: &TableColumn, page: &RowsPage) -> Markup {
    let name = labels::name(&page.dataset, column.column);
    let (sort_column, direction) = page.order.first().copied().unwrap_or((Column::KEY, Direction::Ascending));
    let direction = (sort_column == column.column && !page.is_best_match_first).then_some(direction);
    let sort = direction.map(|direction| match direction {
        Direction::Ascending => "ascending",
        Direction::Descending => "descending",
    });
    let order = match (column.column, direction) {
        (_, Some(Direction::Ascending)) => Some(format!("{name}.desc")),
        // The default order. A search has another one.
        (Column::KEY, _) if page.query.get(SEARCH).is_none() => None,
        _ => Some(name.to_owned()),
    };
    let query = match order {
        Some(order) => page.query.with("order", &order),
        None => page.query.without(&["order"]),
    };
    html! {
        th scope="col" class=(column.class) aria-sort=[sort] data-column=(name) {
            a href=(query.address(links::ROWS)) { (column.label) }
        }
    }
}

fn class(dataset: &Dataset, column: Column, is_title: bool) -> &'static str {
    match (column, labels::value_type(dataset, column)) {
        (Column::File(file), _) if labels::is_image(&dataset.files()[file]) => "image",
        (_, ValueType::Id | ValueType::Text) if is_title => "name title",
        (_, ValueType::Id) => "name user-id",
        (_, ValueType::Text) => "name",
        (_, ValueType::Day | ValueType::Boolean | ValueType::File) => "nowrap",
        (_, ValueType::Number) => "number",
    }
}

/// An image, or a link to another file.
fn file_cell(dataset: &Dataset, index: usize, state: FileState, row: &Row) -> Markup {
    let file = &dataset.files()[index];
    let href = |version| links::file(&row.id, &file.name, version);
    html! {
        @match state {
            FileState::Available { version } if labels::is_image(file) => span.placeholder.thumb {
                img.thumb src=(href(version)) alt="" loading="lazy";
            },
            FileState::Available { version } => a href=(href(version)) { "View" },
            FileState::NotKept => span.muted.small { "not kept" },
            FileState::None => span.muted.small { "none" },
        }
    }
}
