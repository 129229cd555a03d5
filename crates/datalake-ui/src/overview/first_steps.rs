//! The first steps with a lake that has neither a table nor sources. An empty lake is waiting for sources; it has not failed.

use datalake_core::keys;
use maud::{Markup, html};

use crate::{
    components::{self, run},
    page::run_permission::RunPermission,
};
use datalake_api::lake_label::LakeLabel;
use datalake_runs::run::Run;

/// The content of a source, for users who create the first one by hand.
const EXAMPLE: &str = "first_name,last_name,birthts\nAda,Lovelace,612302400000\n";

/// The card. `lake` is the address for clients that may know it; `active` is the run that may create the table.
pub(super) fn card(lake: Option<&LakeLabel>, active: Option<&Run>, permission: RunPermission) -> Markup {
    let lake = lake.filter(|lake| !lake.address().is_empty());
    let folder = lake.map_or_else(
        || keys::SOURCES.to_owned(),
        |lake| format!("{}/{}", lake.address().trim_end_matches('/'), keys::SOURCES),
    );
    html! {
        section.card #first-steps aria-labelledby="first-steps-title" data-banner="no-sources" {
            header {
                h2 #first-steps-title { "No users yet" }
                @match active {
                    Some(run) => span.small { "Run " (run::link(run.run_id.as_str())) ": " (run::badge(run)) },
                    None => span.badge { "Waiting for sources" },
                }
            }
            ol.steps {
                li {
                    h3 { "Add sources" }
                    p {
                        "Put one CSV file per user into " code.wrap { (folder) } ", named by the user's ID, for example " code { "1000.csv" }
                        ". An image is optional: " code { "1000.png" } "."
                    }
                    pre.log tabindex="0" { (EXAMPLE) }
                    @if let Some(lake) = lake {
                        p.small.muted { "Or upload 100 sample users:" }
                        (components::shell(&format!("datalake init {} --samples", lake.arguments())))
                    }
                }
                li {
                    h3 { "Start a run" }
                    p {
                        "A run reads the sources and creates the table. "
                        @match permission {
                            RunPermission::NotOffered => "This server starts no runs: run the processor.",
                            _ => "This server starts a run automatically within 10 minutes. To start one now, use the button above.",
                        }
                    }
                    @if let (RunPermission::NotOffered, Some(lake)) = (permission, lake) {
                        (components::shell(&format!("datalake process {}", lake.arguments())))
                    }
                }
            }
        }
    }
}
