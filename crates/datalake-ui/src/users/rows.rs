//! People side by side, as a table or by their pictures.

use datalake_core::query::{column::Column, order::Direction};
use maud::{Markup, html};

use crate::{
    components,
    users::{
        self, People, Person, Picture,
        form_query::{self, Query},
    },
};

/// The picture stands first where no columns are selected: one looks for it.
const COLUMNS: [Column; 6] = [
    Column::ImgPath,
    Column::UserId,
    Column::FirstName,
    Column::LastName,
    Column::Birthts,
    Column::Age,
];

/// Bytes of a name that are shown in a list: nobody reads on, and the person's own page has all of it.
const NAME_BYTES_SHOWN: usize = 100;

pub(crate) fn table(people: &People) -> Markup {
    let columns = people.columns.as_deref().unwrap_or(&COLUMNS);
    // The cell that names the row and leads to the person.
    let head = columns
        .iter()
        .find(|column| **column == Column::UserId)
        .or(columns.first())
        .copied();
    components::scroll(
        "People",
        &html! {
            table {
                caption.visually-hidden { "People, as many as the page holds. Links in the first line put them in another order." }
                thead { tr { @for column in columns { (heading(*column, people)) } } }
                tbody {
                    @for person in &people.shown {
                        tr data-user-id=(person.user_id) {
                            @for column in columns {
                                @if Some(*column) == head {
                                    th scope="row" class=(class(*column)) { a href=(address(person, people)) { (value(*column, person)) } }
                                } @else {
                                    td class=(class(*column)) { (value(*column, person)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The heading of a column; its link puts the rows in the column's order, or turns that round.
fn heading(column: Column, people: &People) -> Markup {
    let first = people.order.first().copied().unwrap_or((Column::UserId, Direction::Ascending));
    let direction = (first.0 == column).then_some(first.1);
    let sort = direction.map(|direction| match direction {
        Direction::Ascending => "ascending",
        Direction::Descending => "descending",
    });
    let order = match (column, direction) {
        (_, Some(Direction::Ascending)) => Some(format!("{column}.desc")),
        // It is so by itself.
        (Column::UserId, _) => None,
        _ => Some(column.to_string()),
    };
    let query = match order {
        Some(order) => people.query.with("order", &order),
        None => people.query.without(&["order"]),
    };
    html! {
        th scope="col" class=(class(column)) aria-sort=[sort] data-column=(column) {
            a href=(query.address(users::PATH)) { (users::label(column)) }
        }
    }
}

fn class(column: Column) -> &'static str {
    match column {
        Column::UserId => "name user",
        Column::FirstName | Column::LastName => "name",
        Column::Birthts => "nowrap",
        Column::ImgPath => "picture",
        Column::Age => "number",
    }
}

fn value(column: Column, person: &Person) -> Markup {
    html! {
        @match column {
            Column::UserId => bdi { (person.user_id) },
            Column::FirstName => (name(&person.first_name)),
            Column::LastName => (name(&person.last_name)),
            Column::Birthts => (birth(person)),
            Column::ImgPath => (thumb(person)),
            Column::Age => @match person.age {
                Some(years) => (years),
                None => span.muted title="Not born on the day on which ages are counted" { "–" },
            },
        }
    }
}

fn name(name: &str) -> Markup {
    html! { bdi { (components::beginning(name, NAME_BYTES_SHOWN)) } }
}

fn birth(person: &Person) -> Markup {
    html! { time data-birthts=(person.birth.as_ms()) { (person.birth.day().date()) } }
}

fn thumb(person: &Person) -> Markup {
    html! {
        @match person.picture {
            Picture::Kept { version } => img.thumb src=(source(&person.user_id, version)) alt="Picture" loading="lazy";,
            Picture::Former => span.muted.small { "had one" },
            Picture::None => span.muted.small { "none" },
        }
    }
}

pub(crate) fn gallery(people: &People) -> Markup {
    html! {
        ul.gallery {
            @for person in &people.shown {
                li data-user-id=(person.user_id) {
                    a href=(address(person, people)) {
                        @match person.picture {
                            Picture::Kept { version } => img src=(source(&person.user_id, version)) alt="Picture" loading="lazy";,
                            Picture::Former => span.no-picture { "Picture not kept" },
                            Picture::None => span.no-picture { "No picture" },
                        }
                        span.caption {
                            span.names { (name(&person.first_name)) " " (name(&person.last_name)) }
                            span.muted {
                                bdi { (person.user_id) }
                                @if let Some(years) = person.age { ", " (years) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The person's own page, on the same day and of the same version.
fn address(person: &Person, people: &People) -> String {
    own_as(&person.user_id, &people.query)
}

/// A person's page on the day and of the version that a query names.
pub(crate) fn own_as(user_id: &str, query: &Query) -> String {
    of_moment(query).address(&own(user_id))
}

/// What of a query says on which day ages are counted, and of which version rows are.
pub(crate) fn of_moment(query: &Query) -> Query {
    Query::new(query.iter().filter(|(name, _)| ["on", "version", "as_of"].contains(name)))
}

/// Where a person's page is.
pub(crate) fn own(user_id: &str) -> String {
    format!("{}/{}", users::PATH, form_query::segment(user_id))
}

/// Where a picture is. The version makes an address that no browser has shown another picture for; another replica may come to it a moment
/// later.
pub(crate) fn source(user_id: &str, version: u64) -> String {
    format!("/data/{}/image?min_version={version}&wait=5s", form_query::segment(user_id))
}
