//! A small exploration without a violation, and one with a planted bug that is found and replayed.

use datalake_sim::{
    explorer::{Explorer, Pass, replay},
    scenario::{Scenario, StoreKind},
    schedule::Schedule,
    world::Machine,
};
use datalake_store::simulation::Bug;

fn explorer(name: &str, kind: StoreKind, bug: Option<Bug>) -> Explorer {
    let scenario = Scenario::named(name).expect("the scenario exists");
    Explorer::new(&Machine::new(), &scenario, kind, bug).expect("the lake is prepared without a violation")
}

#[test]
fn two_runs_in_every_order_with_one_change_between_them() {
    for kind in [StoreKind::ALL[0], StoreKind::ALL[1]] {
        let mut explorer = explorer("first-reader", kind, None);
        let pass = explorer.pass(1, |explorer| explorer.counts().executions > 2_000);
        assert!(matches!(pass, Pass::Bounded | Pass::Exhausted), "{pass:?}");
        let counts = explorer.counts();
        assert!(counts.executions > 20 && counts.ends > 0, "{counts:?}");
        assert!(explorer.found().is_empty(), "{:?}", explorer.found());
    }
}

#[test]
fn a_planted_bug_is_found_and_its_schedule_replays() {
    let bug = Some(Bug::CommitIgnoresStagedAge);
    let mut explorer = explorer("sleeper-values", StoreKind::ALL[0], bug);
    explorer.pass(0, |explorer| !explorer.found().is_empty() || explorer.counts().executions > 5_000);
    let found = explorer.found().first().unwrap();
    let text = found.schedule.to_string();
    let schedule: Schedule = text.parse().unwrap();
    assert_eq!(schedule, found.schedule, "{text}");
    let (violation, _) = *replay(&Machine::new(), &schedule, bug).unwrap_err();
    assert_eq!(violation, found.violation);
    assert!(
        replay(&Machine::new(), &schedule, None).is_ok(),
        "without the bug nothing is violated"
    );
}
