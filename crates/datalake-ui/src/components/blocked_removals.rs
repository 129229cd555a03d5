//! The removals that the guard against mass deletion blocked, and how to allow them once.

use datalake_core::{
    dataset::Dataset,
    row_id::text_of,
    run::{BlockedDeletions, RunId, RunReport},
};
use datalake_table::memory::snapshot::Snapshot;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{self, number},
        labels,
        row::mention,
        run,
    },
    page::{api_address::ApiAddress, links, run_permission::RunPermission},
};
use datalake_api::lake_label::LakeLabel;

/// How many rows the card shows. The report contains a hundred.
const ROWS_MAX: usize = 60;

/// How many bytes of a title the card shows.
const TITLE_BYTES_MAX: usize = 80;

/// The removals of a blocked run.
pub(crate) struct BlockedRemovals<'a> {
    /// The declaration of the rows.
    pub(crate) dataset: &'a Dataset,
    pub(crate) run_id: &'a RunId,
    pub(crate) report: &'a RunReport,
    pub(crate) blocked: &'a BlockedDeletions,
    /// The latest version, which has the titles of the rows.
    pub(crate) latest: Option<&'a Snapshot>,
    /// A later run that succeeded, so that the permission has no use.
    pub(crate) succeeded: Option<&'a RunId>,
    /// The address of the lake, for clients that may know it.
    pub(crate) lake: Option<&'a LakeLabel>,
    pub(crate) permission: RunPermission,
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
}

impl BlockedRemovals<'_> {
    pub(crate) fn card(&self) -> Markup {
        let blocked = self.blocked;
        html! {
            section.card #blocked aria-labelledby="blocked-title" data-count=(blocked.count) {
                header { h2 #blocked-title { "Blocked removals" } }
                p {
                    (self.cause())
                    @match self.succeeded {
                        Some(later) => { span #obsolete { "Run " (run::link(later.as_str())) " has succeeded since then, so that nothing is blocked now." } },
                        None => (self.advice()),
                    }
                }
                (self.rows())
                // It still shows the result after the run with the permission has succeeded.
                @if self.permission != RunPermission::NotOffered { p #run-state role="status" {} }
                @if self.succeeded.is_none() {
                    @if self.permission != RunPermission::NotOffered { (self.allow_button()) }
                    @if let Some(lake) = self.lake.filter(|lake| !lake.arguments().is_empty()) {
                        p.small.muted { "On the command line:" }
                        (components::shell(&format!("datalake process {} --allow-mass-delete-of {}", lake.arguments(), self.run_id)))
                    }
                }
            }
        }
    }

    /// Whether a changed declaration rejects sources whose rows are among the removals.
    fn has_rejects(&self) -> bool {
        self.blocked.rejected > 0
    }

    fn cause(&self) -> Markup {
        html! {
            @if self.blocked.count > 0 {
                "The sources of " (labels::counted_rows(self.dataset, self.blocked.count))
                @if self.has_rejects() { " do not exist or are rejected by the declaration. " } @else { " did not exist. " }
            }
            @for folder in &self.blocked.folders { (format::sentence(&folder.to_string())) " " }
        }
    }

    fn advice(&self) -> Markup {
        html! {
            @if self.has_rejects() {
                "Correct the declaration or the sources first"
                @if !self.report.rejects.is_empty() { "; see the " a href="#sources" { "rejected sources" } " of this run" }
                ". Only if the removals are intended, allow exactly these."
            } @else {
                "Restore them, or allow exactly these removals."
            }
        }
    }

    /// The first rows with their titles, and a link to the IDs that the report has in addition.
    fn rows(&self) -> Markup {
        let ids = &self.blocked.users;
        let shown = ids.len().min(ROWS_MAX);
        let more = self.blocked.count.saturating_sub(datalake_core::count::count(shown));
        html! {
            @if shown > 0 { (self.ids(&ids[..shown])) }
            @if more > 0 {
                p #more-blocked {
                    "and " (number(more)) " more. "
                    @if ids.len() > shown { a href={ "/runs/" (self.run_id) } { "The report has the first " (ids.len()) " IDs" } "." }
                }
            }
        }
    }

    fn ids(&self, ids: &[String]) -> Markup {
        html! {
            ul.user-ids aria-label={ (self.dataset.title()) " that would be removed" } {
                @for id in ids {
                    li {
                        a href=(links::row(id)) {
                            @match self.latest.and_then(|latest| latest.row(&text_of(id))) {
                                Some(row) => (mention(row, TITLE_BYTES_MAX)),
                                None => bdi { (id) },
                            }
                        }
                    }
                }
            }
        }
    }

    /// A button that starts a run with the permission; without JavaScript the curl command.
    fn allow_button(&self) -> Markup {
        let Self { run_id, permission, .. } = *self;
        let token = match permission {
            RunPermission::Open | RunPermission::NotOffered => "",
            RunPermission::NeedsToken | RunPermission::SignedIn => " -H \"Authorization: Bearer $TOKEN\"",
        };
        let curl = format!("curl{token} -H 'Content-Type: application/json' -d '{{\"allow_mass_delete_of\":\"{run_id}\"}}'");
        html! {
            div #allow-once data-needs-token[permission == RunPermission::NeedsToken] {
                // A permission would remove rows whose sources exist.
                button.primary[!self.has_rejects()] type="button" data-allow=(run_id) hidden { "Allow once" }
                (components::command(&curl, self.origin, &ApiAddress::new("/data")))
            }
        }
    }
}
