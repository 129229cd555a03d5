//! Merging reports with the launcher's runs, and their order.

use datalake_core::run::RunOutcome;

use super::*;
use crate::run::RunState;

fn run(run_id: &str, started_at: Option<i64>, ended_at: Option<i64>) -> Run {
    let at = |second| Timestamp::from_second(second).unwrap();
    let state = ended_at.map_or(RunState::Pending, |_| RunState::Ended(RunOutcome::Stopped));
    Run {
        started_at: started_at.map(at),
        ended_at: ended_at.map(at),
        ..Run::new(RunId::parse(run_id).unwrap(), state)
    }
}

/// Whether a report of a run from second 90 to 100 is merged with `launched`, or wins over it.
#[track_caller]
fn check_report_is_used(launched: Option<&Run>, expected: bool) {
    let reported = run("a", Some(90), Some(100));
    let merged = merge(Some(reported.clone()), launched.cloned());
    assert_eq!(merged == Some(reported), expected, "{launched:?}");
}

#[test]
fn report_of_an_earlier_process_is_not_used() {
    check_report_is_used(None, true);
    check_report_is_used(Some(&run("a", Some(89), Some(101))), true);
    // Launchers may report whole seconds.
    check_report_is_used(Some(&run("a", Some(100), Some(100))), true);
    check_report_is_used(Some(&run("a", Some(101), Some(102))), false);
    check_report_is_used(Some(&run("a", Some(101), None)), false);
    // The start is unknown.
    check_report_is_used(Some(&run("a", None, Some(110))), true);
    // The report is that of a later process.
    check_report_is_used(Some(&run("a", Some(80), Some(89))), true);
    assert_eq!(merge(None, None), None);
    assert_eq!(merge(None, Some(run("a", None, None))), Some(run("a", None, None)));
}

#[test]
fn merge_keeps_trigger_and_log_of_the_launcher() {
    let reported = || Some(run("a", Some(90), Some(100)));
    let launched = Run {
        trigger: Some(Trigger::Schedule),
        log_tail: Some("a line".into()),
        ..run("a", Some(89), Some(101))
    };
    let merged = merge(reported(), Some(launched)).unwrap();
    assert_eq!(
        (merged.trigger, merged.log_tail.as_deref()),
        (Some(Trigger::Schedule), Some("a line"))
    );
    assert_eq!(merged.ended_at, Some(Timestamp::from_second(100).unwrap()));
    let of_another_process = Run {
        log_tail: Some("a line".into()),
        ..run("a", Some(80), Some(89))
    };
    let merged = merge(reported(), Some(of_another_process)).unwrap();
    assert_eq!(merged.log_tail, None);
}

#[test]
fn runs_are_ordered_by_start_and_pending_ones_are_the_newest() {
    let mut runs = [
        run("stopped-before-start", None, Some(20)),
        run("pending", None, None),
        run("first", Some(10), Some(100)),
        run("last", Some(30), Some(31)),
    ];
    runs.sort_by_key(recency);
    assert_eq!(
        runs.map(|run| run.run_id.to_string()),
        ["first", "stopped-before-start", "last", "pending"]
    );
}
