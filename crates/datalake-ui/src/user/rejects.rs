//! The rejected sources of a user.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{self, excerpt::excerpt, format, run},
    page::links,
    user::model::UserPage,
};
use datalake_api::routes::{explain::OpenRejectDocument, rejects::RejectDocument};

/// Nothing if no source is rejected.
pub(crate) fn card(user: &UserPage<'_>) -> Markup {
    let rejects: &[OpenRejectDocument<'_>] = user.explanation.as_ref().map_or(&[], |explanation| &explanation.rejects);
    html! {
        @if !rejects.is_empty() {
            section.card #rejects aria-labelledby="rejects-title" {
                header {
                    h2 #rejects-title { "Currently rejected" }
                    a.small href=(user.time_travel.without(&["on"]).address(links::REJECTS)) { "All rejects" }
                }
                @for OpenRejectDocument { reject, served } in rejects {
                    div.reject data-key=(reject.key) data-code=(reject.code) {
                        p.wrap { span.badge.warning { (reject.code) } " " code { (reject.key) } (position(reject)) }
                        p.wrap { (components::prose(&reject.message)) }
                        @if let Some(text) = reject.excerpt {
                            (excerpt(text, reject.excerpt_offset))
                        }
                        p.small.muted {
                            "First " (reject.kind) " " (time(&reject.since, user.now)) " by run " (run::link(reject.run_id)) ". "
                            @if reject.kind == "rejected" { "Still served: " span data-served { (served) } "." } @else { "No row is affected." }
                        }
                    }
                }
            }
        }
    }
}

fn position(reject: &RejectDocument<'_>) -> Markup {
    html! {
        @if let Some(line) = reject.line { ", line " (line) }
        @if let Some(column) = reject.column { ", column " (column) }
    }
}

fn time(text: &str, now: Timestamp) -> Markup {
    text.parse().map_or_else(|_| html! { (text) }, |at| format::time(at, now))
}
