//! The table of users.

use datalake_core::query::{column::Column, order::Direction};
use maud::{Markup, html};

use crate::{
    components::{self, format::truncate, image::ImageState, labels},
    page::links,
    users::model::{ListedUser, UsersPage},
};

/// The default columns, with the image first.
const COLUMNS: [Column; 6] = [
    Column::ImgPath,
    Column::UserId,
    Column::FirstName,
    Column::LastName,
    Column::Birthts,
    Column::Age,
];

/// How many bytes of a name a list shows. The user's page shows the whole name.
const NAME_BYTES_MAX: usize = 100;

pub(crate) fn table(page: &UsersPage) -> Markup {
    let columns = page.columns.as_deref().unwrap_or(&COLUMNS);
    // The cell that is the row's header and links to the user.
    let header_column = columns
        .iter()
        .find(|column| **column == Column::UserId)
        .or(columns.first())
        .copied();
    components::scroll(
        "Users",
        &html! {
            table {
                caption.visually-hidden { "The users on this page. Links in the header sort the table." }
                thead { tr { @for column in columns { (heading(*column, page)) } } }
                tbody {
                    @for user in &page.users {
                        tr data-user-id=(user.user_id) {
                            @for column in columns {
                                @if Some(*column) == header_column {
                                    th scope="row" class=(class(*column)) { a href=(page.user_href(user)) { (value(*column, user)) } }
                                } @else {
                                    td class=(class(*column)) { (value(*column, user)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The header of a column. Its link sorts by the column, or reverses the sort direction.
fn heading(column: Column, page: &UsersPage) -> Markup {
    let (sort_column, direction) = page.order.first().copied().unwrap_or((Column::UserId, Direction::Ascending));
    let direction = (sort_column == column).then_some(direction);
    let sort = direction.map(|direction| match direction {
        Direction::Ascending => "ascending",
        Direction::Descending => "descending",
    });
    let order = match (column, direction) {
        (_, Some(Direction::Ascending)) => Some(format!("{column}.desc")),
        // The default order.
        (Column::UserId, _) => None,
        _ => Some(column.to_string()),
    };
    let query = match order {
        Some(order) => page.query.with("order", &order),
        None => page.query.without(&["order"]),
    };
    html! {
        th scope="col" class=(class(column)) aria-sort=[sort] data-column=(column) {
            a href=(query.address(links::USERS)) { (labels::column(column)) }
        }
    }
}

fn class(column: Column) -> &'static str {
    match column {
        Column::UserId => "name user-id",
        Column::FirstName | Column::LastName => "name",
        Column::Birthts => "nowrap",
        Column::ImgPath => "image",
        Column::Age => "number",
    }
}

fn value(column: Column, user: &ListedUser) -> Markup {
    html! {
        @match column {
            Column::UserId => bdi { (user.user_id) },
            Column::FirstName => (name(&user.first_name)),
            Column::LastName => (name(&user.last_name)),
            Column::Birthts => time data-birthts=(user.birth.as_ms()) { (user.birth.day().date()) },
            Column::ImgPath => (thumbnail(user)),
            Column::Age => @match user.age {
                Some(years) => (years),
                None => span.muted title="Not yet born on the day on which ages are computed" { "–" },
            },
        }
    }
}

/// A name, truncated if it is long.
pub(crate) fn name(name: &str) -> Markup {
    html! { bdi { (truncate(name, NAME_BYTES_MAX)) } }
}

fn thumbnail(user: &ListedUser) -> Markup {
    html! {
        @match user.image {
            ImageState::Available { version } => img.thumb src=(links::image(&user.user_id, version)) alt="Image" loading="lazy";,
            ImageState::NotKept => span.muted.small { "not kept" },
            ImageState::None => span.muted.small { "none" },
        }
    }
}
