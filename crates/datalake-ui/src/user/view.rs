//! Renders a user's page.

use maud::{Markup, html};

use crate::{
    components::{self, Severity, format::counted, image::ImageState, run},
    page::links,
    user::{
        history,
        model::{UserPage, UserRow},
        provenance, rejects,
    },
};
use datalake_api::{problem::Problem, routes::explain::ExplanationDocument};

pub(crate) fn markup(user: &UserPage<'_>) -> Markup {
    let subtitle = html! {
        @if user.row.is_some() { "User " bdi { (user.user_id) } ", version " } @else { "Version " }
        (user.version)
    };
    let all_users = html! { a.button href=(user.time_travel.address(links::USERS)) { "All users" } };
    html! {
        (components::heading(&user.title(), &subtitle, &all_users))
        (version_banner(user))
        @match &user.row {
            Some(row) => (details(row, user)),
            None => (no_row_banner(user)),
        }
        (rejects::card(user))
        (provenance::card(user))
        (history::card(user))
    }
}

fn version_banner(user: &UserPage<'_>) -> Markup {
    let latest_href = user.time_travel.without(&["version", "as_of"]).address(&links::user(user.user_id));
    html! {
        @if user.version != user.latest { (components::version_banner(user.version, user.latest, &latest_href, "")) }
    }
}

fn no_row_banner(user: &UserPage<'_>) -> Markup {
    let problem = Problem::NoSuchUser;
    let message = html! {
        @match &user.explanation {
            Ok(explanation) => p { (components::prose(&explanation.summary)) },
            Err(_) => p { (components::prose(&problem.detail())) " The history below shows earlier rows." },
        }
    };
    components::banner(Severity::Warning, "no-such-user", problem.title(), &message)
}

fn details(row: &UserRow, user: &UserPage<'_>) -> Markup {
    let date = row.birth.day().date();
    html! {
        section.card #row data-user-id=(user.user_id) aria-label="Row" {
            div.user {
                div {
                    (portrait(row, user))
                    @if let Ok(explanation) = &user.explanation {
                        p.small.muted.wrap #image-reason data-state=(explanation.image_status.state) { (components::prose(&explanation.image_status.reason)) }
                    }
                }
                dl.properties {
                    dt { "First name" } dd data-column="first_name" { bdi { (row.first_name) } }
                    dt { "Last name" } dd data-column="last_name" { bdi { (row.last_name) } }
                    dt { "Born" }
                    dd data-column="birthts" data-birthts=(row.birth.as_ms()) {
                        time { (date) } " " span.muted { "(birthts " (row.birth.as_ms()) ")" }
                    }
                    dt { "Age" }
                    dd data-column="age" data-age=[row.age] {
                        @match row.age {
                            Some(age) => { (counted(age.into(), "year", "years")) " on " time { (user.day.date()) } }
                            None => { "Not yet born on " time { (user.day.date()) } }
                        }
                    }
                    dt { "User ID" } dd data-column="user_id" { bdi { (user.user_id) } }
                    @if let Ok(ExplanationDocument { run_id: Some(run_id), .. }) = &user.explanation {
                        dt { "Last changed by" } dd { (run::link(run_id)) }
                    }
                }
            }
        }
    }
}

fn portrait(row: &UserRow, user: &UserPage<'_>) -> Markup {
    html! {
        @match row.image {
            ImageState::Available { version } => img.portrait src=(links::image(user.user_id, version)) alt={ "Image of " (user.title()) }
                width="224" height="224" decoding="async";,
            ImageState::NotKept => div.no-image { "Images are kept for the latest version only." },
            ImageState::None => div.no-image { "No image" },
        }
    }
}
