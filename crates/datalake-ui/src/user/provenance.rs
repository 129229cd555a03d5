//! Where each value of a user's row comes from.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, time},
    },
    user::model::UserPage,
};
use datalake_api::{
    problem::Problem,
    routes::explain::{ExplanationDocument, ObjectDocument},
};

pub(crate) fn card(user: &UserPage<'_>) -> Markup {
    html! {
        section.card #explanation aria-labelledby="explanation-title" {
            header { h2 #explanation-title { "Provenance" } }
            @match &user.explanation {
                Ok(explanation) => (details(explanation, user.now)),
                Err(Problem::NoSuchUser) => p.muted { "This version has neither a row nor a source of this user." },
                Err(problem) => (unavailable(problem)),
            }
            (components::curl(user.origin, &user.api_address("explain")))
        }
    }
}

fn details(explanation: &ExplanationDocument<'_>, now: Timestamp) -> Markup {
    html! {
        p.wrap { (components::prose(&explanation.summary)) }
        @if !explanation.values.is_empty() {
            (components::scroll("Columns and how they are derived", &html! {
                table {
                    caption.visually-hidden { "Each column of the row, and how its value is derived" }
                    thead { tr { th scope="col" { "Column" } th scope="col" { "How it is derived" } } }
                    tbody {
                        @for value in &explanation.values {
                            tr data-column=(value.column) { th scope="row" { code { (value.column) } } td { (components::prose(value.rule)) } }
                        }
                    }
                }
            }))
            dl.properties.sources {
                @if let Some(csv) = &explanation.csv { (source("CSV", csv, now)) }
                @if let Some(image) = &explanation.image { (source("Image", image, now)) }
            }
        }
    }
}

fn source(label: &str, object: &ObjectDocument<'_>, now: Timestamp) -> Markup {
    html! {
        dt { (label) }
        dd {
            code { (object.key) } ", " (counted(object.size, "byte", "bytes"))
            ", last modified " (time(object.modified, now)) ", ETag " code.wrap { (object.etag) }
        }
    }
}

/// Replaces data that the store cannot provide now.
pub(crate) fn unavailable(problem: &Problem) -> Markup {
    html! { p.muted data-unavailable { (problem.title()) ": " (problem.detail()) "." } }
}
