//! The removals that the guard against mass deletion blocked, and how to allow them once.

use datalake_core::report::{BlockedDeletions, RunId};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, number},
    },
    page::{api_address::ApiAddress, links, run_permission::RunPermission},
};
use datalake_api::lake_label::LakeLabel;

/// How many users the card shows. The report contains a hundred.
const USERS_MAX: usize = 60;

/// The card of a blocked run. `lake` is the address of the lake for clients that may know it.
pub(crate) fn card(
    run_id: &RunId,
    blocked: &BlockedDeletions,
    lake: Option<&LakeLabel>,
    permission: RunPermission,
    origin: &str,
) -> Markup {
    let shown = blocked.users.len().min(USERS_MAX);
    let more = blocked.count.saturating_sub(datalake_core::count::count(shown));
    html! {
        section.card #blocked aria-labelledby="blocked-title" data-count=(blocked.count) {
            header { h2 #blocked-title { "Blocked removals" } }
            p {
                "The CSV files of " (counted(blocked.count, "user", "users")) " no longer exist. Restore the files, or allow exactly these removals."
            }
            ul.user-ids tabindex="0" aria-label="Users that would be removed" {
                @for user_id in blocked.users.iter().take(shown) {
                    li { a href=(links::user(user_id)) { bdi { (user_id) } } }
                }
                @if more > 0 { li.muted { "and " (number(more)) " more" } }
            }
            @if permission != RunPermission::NotOffered { (allow_button(run_id, permission, origin)) }
            @if let Some(lake) = lake.filter(|lake| !lake.arguments().is_empty()) {
                p.small.muted { "On the command line:" }
                (components::shell(&format!("datalake process {} --allow-mass-delete-of {run_id}", lake.arguments())))
            }
        }
    }
}

/// A button that starts a run with the permission; without JavaScript the curl command.
fn allow_button(run_id: &RunId, permission: RunPermission, origin: &str) -> Markup {
    let token = match permission {
        RunPermission::Open | RunPermission::NotOffered => "",
        RunPermission::NeedsToken | RunPermission::SignedIn => " -H \"Authorization: Bearer $TOKEN\"",
    };
    let curl = format!("curl{token} -H 'Content-Type: application/json' -d '{{\"allow_mass_delete_of\":\"{run_id}\"}}'");
    html! {
        div #allow-once data-needs-token[permission == RunPermission::NeedsToken] {
            button.primary type="button" data-allow=(run_id) hidden { "Allow once" }
            (components::command(&curl, origin, &ApiAddress::new("/data")))
            p #run-state role="status" {}
        }
    }
}
