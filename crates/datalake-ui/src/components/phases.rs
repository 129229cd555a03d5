//! The phases of an active run, with the counts of the current one.

use std::cmp::Ordering;

use datalake_core::{
    progress::{Phase, RunProgress},
    text::capitalized,
};
use maud::{Markup, html};

use crate::components::format::number;

/// The list; the script updates it. Nothing without progress: a Job reports it from its fifth second on, and runs of other servers do not.
pub(crate) fn list(progress: Option<RunProgress>) -> Markup {
    let Some(progress) = progress else { return html! {} };
    html! {
        ol.phases #phases {
            @for phase in Phase::ALL {
                @let is_current = progress.phase == phase;
                li data-phase=(phase.as_str()) data-state=(state(phase, progress)) aria-current=[is_current.then_some("step")] {
                    (capitalized(phase.label())) " "
                    span.count { @if is_current { (count(progress)) } }
                }
            }
        }
    }
}

/// The bar: its length is known only in phases that count users.
pub(crate) fn bar(progress: Option<RunProgress>) -> Markup {
    let counted = progress.and_then(|progress| Some((progress.done, progress.total.filter(|total| *total > 0)?)));
    html! {
        @match counted {
            Some((done, total)) => progress aria-label="Progress of the phase" max=(total) value=(done) {},
            None => progress aria-label="Run in progress" {},
        }
    }
}

fn state(phase: Phase, progress: RunProgress) -> &'static str {
    match progress.phase.cmp(&phase) {
        Ordering::Equal => "active",
        Ordering::Greater => "done",
        Ordering::Less => "waiting",
    }
}

fn count(progress: RunProgress) -> String {
    match (progress.done, progress.total) {
        (done, Some(total)) if total > 0 => format!("{} of {}", number(done), number(total)),
        (0, _) => String::new(),
        (done, _) => number(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_before_the_current_one_are_done() {
        let progress = RunProgress {
            phase: Phase::Copying,
            done: 1_234,
            total: Some(50_000),
        };
        let text = list(Some(progress)).into_string();
        let states: Vec<_> = text
            .split("data-state=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert_eq!(states, ["done", "done", "active", "waiting", "waiting"]);
        assert!(text.contains("<span class=\"count\">1,234 of 50,000</span>"), "{text}");
    }

    #[test]
    fn run_without_progress_has_no_list() {
        assert_eq!(list(None).into_string(), "");
    }

    #[test]
    fn bar_has_a_length_if_the_total_is_known() {
        let progress = |total| RunProgress {
            phase: Phase::Reading,
            done: 3,
            total,
        };
        assert!(bar(Some(progress(Some(9)))).into_string().contains("max=\"9\" value=\"3\""));
        assert!(!bar(Some(progress(Some(0)))).into_string().contains("max="));
        assert!(!bar(None).into_string().contains("value="));
    }
}
