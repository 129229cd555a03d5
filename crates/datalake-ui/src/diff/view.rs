//! Renders the comparison of two versions.

use datalake_core::dataset::Dataset;
use datalake_table::delta::version::VersionFacts;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{self, format::relative_time, run},
    diff::{columns::OtherColumns, model::Changes, table},
    page::links,
};

/// Two versions that a page compares.
pub(crate) struct Comparison<'a> {
    pub(crate) title: &'a str,
    /// The declaration of the later version.
    pub(crate) dataset: &'a Dataset,
    pub(crate) since: &'a VersionFacts,
    pub(crate) until: &'a VersionFacts,
    pub(crate) now: Timestamp,
}

impl Comparison<'_> {
    /// The rows that differ.
    pub(crate) fn of_rows(&self, changes: &Changes) -> Markup {
        let (dataset, since, until) = (self.dataset, self.since.number, self.until.number);
        let subtitle = html! { (dataset.title()) " that differ between the two versions, by " (dataset.entity()) " ID." };
        let downloads = html! {
            span.actions {
                a.small #csv href=(table::csv_address(since, until)) download="changes.csv" { "Download CSV" }
                a.small href=(table::api_address(since, until).as_str()) { "Download NDJSON" }
            }
        };
        self.page(&subtitle, "Changed rows", &downloads, &table::table(changes, since, until))
    }

    /// The columns that differ, instead of rows.
    pub(crate) fn of_columns(&self, other: &OtherColumns) -> Markup {
        let subtitle = html! { "The two versions have different columns." };
        self.page(&subtitle, "Changed columns", &html! {}, &other.markup())
    }

    fn page(&self, subtitle: &Markup, heading: &str, downloads: &Markup, content: &Markup) -> Markup {
        let (since, until) = (self.since, self.until);
        let actions = html! { div.actions { a.button href=(links::VERSIONS) { "All versions" } } };
        html! {
            (components::heading(self.title, subtitle, &actions))
            section.card aria-labelledby="versions" {
                h2 #versions { "Versions" }
                dl.properties {
                    (version("Before", since, self.now))
                    (version("After", until, self.now))
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
                header { h2 #changes { (heading) } (downloads) }
                (content)
            }
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
