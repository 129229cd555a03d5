//! Renders the comparison of two versions.

use datalake_table::delta::version::VersionFacts;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{self, format::relative_time, run},
    diff::{model::Changes, table},
    page::links,
};

pub(crate) fn markup(title: &str, since: &VersionFacts, until: &VersionFacts, changes: &Changes, now: Timestamp) -> Markup {
    let dataset = &changes.dataset;
    let subtitle = html! { (dataset.title()) " that differ between the two versions, by " (dataset.entity()) " ID." };
    let actions = html! { div.actions { a.button href=(links::VERSIONS) { "All versions" } } };
    let api = table::api_address(since.number, until.number);
    html! {
        (components::heading(title, &subtitle, &actions))
        section.card aria-labelledby="versions" {
            h2 #versions { "Versions" }
            dl.properties {
                (version("Before", since, now))
                (version("After", until, now))
            }
            details #compare-others {
                summary { "Compare other versions" }
                form.filters action=(links::CHANGES) method="get" {
                    (version_field("since", "From version", since.number))
                    (version_field("until", "To version", until.number))
                    div.actions.whole { button.primary type="submit" { "Compare" } }
                }
            }
        }
        section.card aria-labelledby="changes" data-since=(since.number) data-until=(until.number) {
            header {
                h2 #changes { "Changed rows" }
                span.actions {
                    a.small #csv href=(table::csv_address(since.number, until.number)) download="changes.csv" { "Download CSV" }
                    a.small href=(api.as_str()) { "Download NDJSON" }
                }
            }
            (table::table(changes, since.number, until.number))
        }
    }
}

fn version_field(name: &str, label: &str, version: u64) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) type="number" name=(name) min="0" step="1" inputmode="numeric" required value=(version);
        }
    }
}

fn version(label: &str, facts: &VersionFacts, now: Timestamp) -> Markup {
    html! {
        dt { (label) }
        dd {
            "Version " (facts.number) ", committed " (relative_time(facts.committed_at, now))
            @if let Some(run_id) = &facts.run_id { " by run " (run::link(run_id.as_str())) }
        }
    }
}
