//! Renders a user's page.

use datalake_core::query::column::Column;
use maud::{Markup, html};

use crate::{
    components::{
        self, Severity,
        format::{counted, relative_time, truncate},
        image_state::ImageState,
        labels::{self, ValueType},
        row::{Row, Value, text},
        run,
    },
    page::links,
    user::{
        history,
        model::{Removal, UserPage},
        provenance, rejects,
    },
};
use datalake_api::{problem::Problem, routes::explain::ExplanationDocument};

/// How many bytes of a name a message shows.
const NAME_BYTES_MAX: usize = 100;

pub(crate) fn markup(user: &UserPage<'_>) -> Markup {
    let subtitle = html! {
        @if user.row.is_some() { "User " bdi { (user.user_id) } ", version " } @else { "Version " }
        (user.version)
    };
    html! {
        (components::heading(&user.title(), &subtitle, &navigation(user)))
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

/// The links to the users before and after this one, by user ID, and to all users.
fn navigation(user: &UserPage<'_>) -> Markup {
    let [before, after] = &user.neighbors;
    let href = |user_id: &String| links::user_at(user_id, &user.time_travel);
    html! {
        nav.actions aria-label="Users" {
            @if let Some(before) = before { a.button #previous-user rel="prev" href=(href(before)) title=(before) { "Previous" } }
            @if let Some(after) = after { a.button #next-user rel="next" href=(href(after)) title=(after) { "Next" } }
            a.button href=(user.time_travel.address(links::USERS)) { "All users" }
        }
    }
}

fn version_banner(user: &UserPage<'_>) -> Markup {
    let latest_href = user.time_travel.without(&["version", "as_of"]).address(&links::user(user.user_id));
    html! {
        @if user.version != user.latest { (components::version_banner(user.version, user.latest, &latest_href, "")) }
    }
}

fn no_row_banner(user: &UserPage<'_>) -> Markup {
    if let Some(removal) = user.removal() {
        return removal_banner(&removal, user);
    }
    let problem = Problem::NoSuchUser;
    let message = html! {
        @match &user.explanation {
            Ok(explanation) => p { (components::prose(&explanation.summary)) },
            Err(_) => p { (components::prose(&problem.detail())) " The history below shows other versions of the row." },
        }
    };
    components::banner(Severity::Warning, "no-such-user", problem.title(), &message)
}

fn removal_banner(removal: &Removal<'_>, user: &UserPage<'_>) -> Markup {
    let Removal { state, last_row } = removal;
    let last_version = state.version.saturating_sub(1).to_string();
    let query = user.time_travel.without(&["as_of"]).with("version", &last_version);
    let message = html! {
        p {
            bdi { (truncate(text(last_row.0, 1), NAME_BYTES_MAX)) " " (truncate(text(last_row.0, 2), NAME_BYTES_MAX)) }
            " (" bdi { (user.user_id) } ") was removed in version " (state.version) ", " (relative_time(state.committed_at, user.now))
            @if let Some(run_id) = state.run_id { ", by run " (run::link(run_id)) }
            "."
        }
        @if let Ok(explanation) = &user.explanation { p { (components::prose(&explanation.summary)) } }
        p { a.button #last-version href=(query.address(&links::user(user.user_id))) { "View the last version" } }
    };
    components::banner(Severity::Warning, "no-such-user", "This user was removed", &message)
}

fn details(row: &Row, user: &UserPage<'_>) -> Markup {
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
                    @for column in labels::ALL.into_iter().filter(|column| labels::value_type(*column) != ValueType::Image) {
                        dt { (labels::column(column)) }
                        (value(column, row, user))
                    }
                    @if let Ok(ExplanationDocument { run_id: Some(run_id), .. }) = &user.explanation {
                        dt { "Last changed by" } dd { "run " (run::link(run_id)) }
                    }
                }
            }
        }
    }
}

fn value(column: Column, row: &Row, user: &UserPage<'_>) -> Markup {
    html! {
        @match row.value(column) {
            Value::Id(text) | Value::Text(text) => dd data-column=(labels::name(column)) { bdi { (text) } },
            Value::Day(birth) => dd data-column=(labels::name(column)) data-birthts=(birth.as_ms()) {
                time { (birth.day().date()) } " " span.muted { "(" (labels::name(column)) " " (birth.as_ms()) ")" }
            },
            Value::Age(age) => dd data-column=(labels::name(column)) data-age=[age] {
                @match age {
                    Some(age) => { (counted(age.into(), "year", "years")) " on " time { (user.day.date()) } }
                    None => { "Not yet born on " time { (user.day.date()) } }
                }
            },
            Value::Image(_) => {},
        }
    }
}

fn portrait(row: &Row, user: &UserPage<'_>) -> Markup {
    html! {
        @match row.image {
            ImageState::Available { version } => span.placeholder.large {
                img.portrait src=(links::image(user.user_id, version)) alt={ "Image of " (user.title()) } width="224" height="224" decoding="async";
            },
            ImageState::NotKept => div.no-image { "Images are kept for the latest version only." },
            ImageState::None => div.no-image { "No image" },
        }
    }
}
