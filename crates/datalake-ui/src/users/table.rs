//! The table of users.

use datalake_core::query::{column::Column, order::Direction, search::SEARCH};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::truncate,
        image_state::ImageState,
        labels::{self, ValueType},
        row::{Row, Value},
    },
    page::links,
    users::model::UsersPage,
};

/// The default columns, with the image first.
const COLUMNS: [Column; 6] = [
    labels::IMG_PATH,
    labels::USER_ID,
    labels::FIRST_NAME,
    labels::LAST_NAME,
    labels::BIRTHTS,
    labels::AGE,
];

/// How many bytes of a name a list shows. The user's page shows the whole name.
const NAME_BYTES_MAX: usize = 100;

pub(crate) fn table(page: &UsersPage) -> Markup {
    let columns = page.columns.as_deref().unwrap_or(&COLUMNS);
    let header_column = header_column(columns);
    components::scroll(
        "Users",
        &html! {
            table.cards {
                caption.visually-hidden { "The users on this page. Links in the header sort the table." }
                thead { tr { @for column in columns { (heading(*column, page)) } } }
                tbody {
                    @for user in &page.users {
                        tr data-user-id=(user.user_id) {
                            @for column in columns {
                                @if Some(*column) == header_column {
                                    th scope="row" class=(class(*column)) { a href=(page.user_href(user)) { (value(*column, user)) } }
                                } @else {
                                    td class=(class(*column)) data-label=[card_label(*column)] { (value(*column, user)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The column whose cells are the headers of the rows and link to the users: the first text, or else the ID, or else the first column.
fn header_column(columns: &[Column]) -> Option<Column> {
    let of_type = |kind| columns.iter().find(|column| labels::value_type(**column) == kind);
    let first_text = of_type(ValueType::Text).or_else(|| of_type(ValueType::Id));
    first_text.or(columns.first()).copied()
}

/// The label of a value in a card. Texts, images and days explain themselves.
fn card_label(column: Column) -> Option<&'static str> {
    match labels::value_type(column) {
        ValueType::Text | ValueType::Image | ValueType::Day => None,
        ValueType::Id | ValueType::Number => Some(labels::column(column)),
    }
}

/// The header of a column. Its link sorts by the column, or reverses the sort direction.
fn heading(column: Column, page: &UsersPage) -> Markup {
    let (sort_column, direction) = page.order.first().copied().unwrap_or((labels::USER_ID, Direction::Ascending));
    let direction = (sort_column == column && !page.is_best_match_first).then_some(direction);
    let sort = direction.map(|direction| match direction {
        Direction::Ascending => "ascending",
        Direction::Descending => "descending",
    });
    let order = match (column, direction) {
        (_, Some(Direction::Ascending)) => Some(format!("{}.desc", labels::name(column))),
        // The default order. A search has another one.
        (labels::USER_ID, _) if page.query.get(SEARCH).is_none() => None,
        _ => Some(labels::name(column).to_owned()),
    };
    let query = match order {
        Some(order) => page.query.with("order", &order),
        None => page.query.without(&["order"]),
    };
    html! {
        th scope="col" class=(class(column)) aria-sort=[sort] data-column=(labels::name(column)) {
            a href=(query.address(links::USERS)) { (labels::column(column)) }
        }
    }
}

fn class(column: Column) -> &'static str {
    match labels::value_type(column) {
        ValueType::Id => "name user-id",
        ValueType::Text => "name title",
        ValueType::Day => "nowrap",
        ValueType::Image => "image",
        ValueType::Number => "number",
    }
}

fn value(column: Column, user: &Row) -> Markup {
    html! {
        @match user.value(column) {
            Value::Id(id) => bdi { (id) },
            Value::Text(text) => (name(text)),
            Value::Day(birth) => time data-birthts=(birth.as_ms()) { (birth.day().date()) },
            Value::Image(image) => (thumbnail(image, &user.user_id)),
            Value::Age(Some(years)) => (years),
            Value::Age(None) => span.muted title="Not yet born on the day on which ages are computed" { "–" },
        }
    }
}

/// A name, truncated if it is long.
pub(crate) fn name(name: &str) -> Markup {
    html! { bdi { (truncate(name, NAME_BYTES_MAX)) } }
}

fn thumbnail(image: ImageState, user_id: &str) -> Markup {
    html! {
        @match image {
            ImageState::Available { version } => span.placeholder.thumb { img.thumb src=(links::image(user_id, version)) alt="" loading="lazy"; },
            ImageState::NotKept => span.muted.small { "not kept" },
            ImageState::None => span.muted.small { "none" },
        }
    }
}
