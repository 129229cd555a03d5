//! The gallery of users.

use maud::{Markup, html};

use crate::{
    components::image_state::ImageState,
    page::links,
    users::{model::UsersPage, table::name},
};

pub(crate) fn gallery(page: &UsersPage) -> Markup {
    html! {
        ul.gallery {
            @for user in &page.users {
                li data-user-id=(user.user_id) {
                    a href=(page.user_href(user)) {
                        @match user.image {
                            ImageState::Available { version } => span.placeholder { img src=(links::image(&user.user_id, version)) alt="" loading="lazy"; },
                            ImageState::NotKept => span.no-image { "Image not kept" },
                            ImageState::None => span.no-image { "No image" },
                        }
                        span.caption {
                            span.names { (name(&user.first_name)) " " (name(&user.last_name)) }
                            span.muted {
                                "User " bdi { (user.user_id) }
                                @if let Some(years) = user.age { " · age " (years) }
                            }
                        }
                    }
                }
            }
        }
    }
}
