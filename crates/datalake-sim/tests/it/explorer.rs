//! Explorations without a violation, and the schedule of a planted bug.

use datalake_sim::{
    explorer::{Explorer, SearchResult, replay},
    scenario::Scenario,
    schedule::Schedule,
    store_kind::StoreKind,
    world::SimRuntime,
};
use datalake_store::simulation::Bug;

fn explorer(name: &str, kind: StoreKind, bug: Option<Bug>) -> Explorer {
    let scenario = Scenario::named(name).expect("the scenario exists");
    Explorer::new(&SimRuntime::new(), &scenario, kind, bug).expect("the lake is prepared without a violation")
}

#[test]
fn small_scenario_is_exhausted_without_a_violation() {
    for kind in [StoreKind::ALL[0], StoreKind::ALL[1]] {
        let mut explorer = explorer("first-reader", kind, None);
        let result = explorer.explore(1, |explorer| explorer.counts().executions > 20_000);
        assert!(matches!(result, SearchResult::Bounded | SearchResult::Exhausted), "{result:?}");
        let counts = explorer.counts();
        assert!(counts.executions > 20 && counts.ends > 0, "{counts:?}");
        assert!(explorer.found().is_empty(), "{:?}", explorer.found());
    }
}

#[test]
fn exploration_is_deterministic() {
    let explore = || {
        let mut explorer = explorer("pause-link", StoreKind::ALL[0], None);
        explorer.explore(8, |explorer| explorer.counts().executions >= 150);
        assert!(explorer.found().is_empty(), "{:?}", explorer.found());
        explorer.counts()
    };
    assert_eq!(explore(), explore());
}

#[test]
fn interrupted_exploration_continues() {
    let mut explorer = explorer("first-reader", StoreKind::ALL[0], None);
    let mut whole = self::explorer("first-reader", StoreKind::ALL[0], None);
    assert_eq!(whole.explore(1, |_| false), SearchResult::Bounded);
    let mut limit = 0;
    while explorer.explore(1, |explorer| explorer.counts().executions >= limit) == SearchResult::Interrupted {
        limit += 7;
    }
    assert_eq!(explorer.counts(), whole.counts());
}

#[test]
fn planted_bug_is_found_and_its_schedule_reproduces_it() {
    let bug = Some(Bug::CommitSkipsBaseCheck);
    let mut explorer = explorer("pause-rollback", StoreKind::ALL[0], bug);
    explorer.explore(8, |explorer| !explorer.found().is_empty() || explorer.counts().executions > 1_000);
    let found = explorer.found().first().unwrap();
    let text = found.schedule.to_string();
    let schedule: Schedule = text.parse().unwrap();
    assert_eq!(schedule, found.schedule, "{text}");
    let (violation, _) = *replay(&SimRuntime::new(), &schedule, bug).unwrap_err();
    assert_eq!(violation, found.violation);
    let mut without = self::explorer("pause-rollback", StoreKind::ALL[0], None);
    assert_eq!(without.explore(8, |_| false), SearchResult::Exhausted);
    assert!(without.found().is_empty(), "{:?}", without.found());
}
