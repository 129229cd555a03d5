//! The rejected sources of a row.

use std::borrow::Cow;

use datalake_core::{
    dataset::Dataset,
    reject::{Position, Reason},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{format, reject_card::RejectCard, run},
    page::links,
    row::model::RowPage,
};
use datalake_api::routes::{
    explain::{OpenRejectDocument, Served},
    rejects::RejectDocument,
};

/// Nothing if no source is rejected.
pub(crate) fn card(page: &RowPage<'_>) -> Markup {
    let rejects: &[OpenRejectDocument<'_>] = page.explanation.as_ref().map_or(&[], |explanation| &explanation.rejects);
    html! {
        @if !rejects.is_empty() {
            section.card #rejects aria-labelledby="rejects-title" {
                header {
                    h2 #rejects-title { "Currently rejected" }
                    a.small href=(page.time_travel.without(&["on"]).address(links::REJECTS)) { "All rejects" }
                }
                ol.rejects {
                    @for reject in rejects { (reject_card(page.dataset, &reject.reject).item(&note(page.dataset, reject, page.now))) }
                }
            }
        }
    }
}

fn reject_card<'a>(dataset: &'a Dataset, reject: &'a RejectDocument<'_>) -> RejectCard<'a> {
    RejectCard {
        dataset,
        key: reject.key,
        code: reject.code,
        position: reject.byte_offset.map(|byte_offset| Position {
            line: reject.line,
            column: reject.column,
            byte_offset,
        }),
        excerpt: reject.excerpt,
        excerpt_offset: reject.excerpt_offset,
        reason: Some(Cow::Owned(Reason::new(&*reject.found, &*reject.expected, &*reject.remedy))),
    }
}

fn note(dataset: &Dataset, OpenRejectDocument { reject, served }: &OpenRejectDocument<'_>, now: Timestamp) -> Markup {
    let what = html! { span data-served { (served) } };
    html! {
        "First " (reject.kind) " " (time(&reject.since, now)) " by run " (run::link(reject.run_id)) ". "
        @match served {
            Served::NoRow | Served::NoFile(_) => { "Not served: the " (dataset.entity()) " has " (what) "." },
            Served::LastRow | Served::LastFile(_) => { "Still served: " (what) "." },
            Served::WithoutObject => "No row is affected.",
        }
    }
}

fn time(text: &str, now: Timestamp) -> Markup {
    text.parse().map_or_else(|_| html! { (text) }, |at| format::relative_time(at, now))
}
