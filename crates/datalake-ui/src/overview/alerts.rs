//! What stands above all else on the overview because somebody may have to do something. The decision is pure.

use datalake_core::{keys, report::RunOutcome};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::{
    components::{self, Tone},
    page::{
        live::{Known, Overdue},
        run_permission::RunPermission,
    },
    run::unusable_advice,
};
use datalake_api::snapshots::watch::TableState;
use datalake_runs::run::Run;

/// What somebody has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Warning<'a> {
    /// The store has not answered since this server started.
    NotRead,
    /// No run has succeeded yet; one may be under way.
    NoTable(Option<&'a Run>),
    /// What is shown may not be the newest.
    StoreDown { since: Timestamp, checked_at: Option<Timestamp> },
    /// It is too long ago that a run confirmed the data.
    Old(SignedDuration, Overdue),
    /// The last run that ended did not succeed.
    RunFailed(&'a Run, RunOutcome),
}

/// The banners, the gravest first; none where all is well.
pub(crate) fn banners(known: &Known, starting: RunPermission, now: Timestamp) -> Markup {
    html! {
        @for warning in warnings(known) { (banner(&warning, starting, now)) }
    }
}

fn warnings(known: &Known) -> Vec<Warning<'_>> {
    let table = &known.table;
    let ended = known.runs.iter().filter_map(|run| Some((run, run.state.outcome()?)));
    // Whoever stops a run knows of it.
    let last = { ended }.find(|(_, outcome)| *outcome != RunOutcome::Stopped);
    let failed = last.filter(|(_, outcome)| *outcome != RunOutcome::Succeeded);
    let store_down = table.failing_since.map(|since| Warning::StoreDown {
        since,
        checked_at: table.checked_at,
    });
    let of_table = match &table.state {
        TableState::Loading => Some(Warning::NotRead),
        TableState::Missing => Some(Warning::NoTable(known.runs.iter().find(|run| run.state.is_active()))),
        TableState::Loaded(_) => known
            .data_age()
            .zip(known.overdue())
            .map(|(age, overdue)| Warning::Old(age, overdue)),
    };
    let store_down = store_down.filter(|_| of_table != Some(Warning::NotRead));
    let failed = failed.map(|(run, outcome)| Warning::RunFailed(run, outcome));
    store_down.into_iter().chain(of_table).chain(failed).collect()
}

fn banner(warning: &Warning<'_>, starting: RunPermission, now: Timestamp) -> Markup {
    match warning {
        Warning::NotRead => components::banner(
            Tone::Bad,
            "not-read",
            "The lake has not been read yet",
            &html! { p { "The store has not answered since this server started. " (components::prose(CHECK_STORE)) } },
        ),
        Warning::NoTable(run) => components::banner(Tone::Plain, "no-table", "There is no table yet", &first_run(*run)),
        Warning::StoreDown { since, checked_at } => components::banner(
            Tone::Bad,
            "store-down",
            "The store does not answer",
            &html! {
                p {
                    "It, or the table in it, could not be read since " (components::time(*since, now)) ". "
                    @if let Some(checked_at) = checked_at {
                        "What is shown here was confirmed last at " (components::time(*checked_at, now)) ", and is served on. "
                    }
                    (components::prose(CHECK_STORE))
                }
            },
        ),
        Warning::Old(age, overdue) => components::banner(
            Tone::Bad,
            "old",
            "The data is older than promised",
            &html! {
                p {
                    "No run has confirmed it for " (components::duration(*age)) "; "
                    @match overdue {
                        Overdue::Run(due) => { "one was due at " (components::moment(*due)) ". " },
                        Overdue::Hour => "an hour is promised. ",
                    }
                    "See " a href="/page/runs" { "what became of the runs" } ", and whether the schedule still starts them"
                    @match starting {
                        RunPermission::Open | RunPermission::NeedsToken | RunPermission::SignedIn => "; or start one here.",
                        RunPermission::NotOffered => ".",
                    }
                }
            },
        ),
        Warning::RunFailed(run, outcome) => failed(run, *outcome, now),
    }
}

const CHECK_STORE: &str = "`datalake doctor --lake URL` says what is wrong with it.";

fn first_run(run: Option<&Run>) -> Markup {
    html! {
        @match run {
            Some(run) => p {
                "The first run that succeeds makes it. Run " a href={ "/page/runs/" (run.run_id) } { (run.run_id) } " is "
                (components::run_badge(run.state)) "."
            },
            None => p { "The first run that succeeds makes it." },
        }
        p { "Sources are files named " code { (keys::SOURCES) "{user_id}.csv" } " and " code { (keys::SOURCES) "{user_id}.png" } " in the lake." }
    }
}

fn failed(run: &Run, outcome: RunOutcome, now: Timestamp) -> Markup {
    let (tone, title, advice) = match outcome {
        RunOutcome::Refused => (
            Tone::Warn,
            "The last run was refused by a guard",
            "Nothing was changed, and no retry helps: see whether the sources are as they should be.",
        ),
        RunOutcome::Misconfigured => (
            Tone::Bad,
            "The last run cannot work as it is configured",
            unusable_advice(run.report.as_ref().map_or(Some(false), |report| report.committed)),
        ),
        RunOutcome::Succeeded | RunOutcome::Failed | RunOutcome::Stopped => (
            Tone::Bad,
            "The last run failed",
            "What was there before is served on. The next run tries again; if it fails as well, the reason has to be mended.",
        ),
    };
    let words = html! {
        p {
            "Run " a href={ "/page/runs/" (run.run_id) } { (run.run_id) }
            @if let Some(ended_at) = run.ended_at { ", ended " (components::time(ended_at, now)) }
            ". " (advice)
        }
        @if let Some(error) = &run.error {
            p { code.wrap { (error) } }
        }
    };
    components::banner(tone, outcome.as_str(), title, &words)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datalake_core::report::RunId;

    use super::*;
    use datalake_api::snapshots::watch::TableStatus;
    use datalake_runs::run::RunState;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(state: RunState) -> Run {
        Run {
            run_id: RunId::parse("run-1").unwrap(),
            state,
            mode: None,
            parameters: None,
            trigger: None,
            started_at: Some(at(10)),
            ended_at: Some(at(20)),
            error: Some("<b>no</b>".to_owned()),
            log_tail: None,
            report: None,
        }
    }

    /// The banners where there is no table, or none that was read, and these runs, the newest first.
    #[track_caller]
    fn check(state: TableState, is_failing: bool, states: &[RunState], expected: &[&str]) {
        let table = TableStatus {
            state,
            checked_at: Some(at(5)),
            failing_since: is_failing.then(|| at(6)),
        };
        let known = Known {
            table: Arc::new(table),
            runs: states.iter().copied().map(run).collect(),
            due: None,
            now: at(30),
        };
        let text = banners(&known, RunPermission::Open, at(30)).into_string();
        let names: Vec<&str> = text
            .split("data-banner=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert_eq!(names, expected, "failing: {is_failing}, {states:?}");
        assert!(!text.contains("<b>"), "{text}");
    }

    #[test]
    fn what_is_said() {
        use RunOutcome::{Failed, Misconfigured, Refused, Stopped, Succeeded};
        use RunState::{Ended, Pending, Running};
        check(TableState::Loading, false, &[], &["not-read"]);
        check(TableState::Loading, true, &[], &["not-read"]);
        check(TableState::Missing, false, &[], &["no-table"]);
        check(TableState::Missing, true, &[], &["store-down", "no-table"]);
        check(TableState::Missing, false, &[Pending], &["no-table"]);
        check(TableState::Missing, false, &[Ended(Failed)], &["no-table", "failed"]);
        check(TableState::Missing, false, &[Running, Ended(Refused)], &["no-table", "refused"]);
        check(
            TableState::Missing,
            false,
            &[Ended(Stopped), Ended(Misconfigured)],
            &["no-table", "misconfigured"],
        );
        check(TableState::Missing, false, &[Ended(Succeeded), Ended(Failed)], &["no-table"]);
    }
}
