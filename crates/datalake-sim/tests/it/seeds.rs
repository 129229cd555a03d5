//! Random executions: determinism, and faults of every family.

use std::collections::BTreeMap;

use datalake_sim::{
    random::{FaultFamily, simulate},
    world::SimRuntime,
};

#[test]
fn seed_has_the_same_trace_when_repeated() {
    let runtime = SimRuntime::new();
    for seed in 1..=6 {
        let first = simulate(&runtime, seed, None);
        assert_eq!(first.violation, None, "seed {seed}");
        let hashes = [&runtime, &SimRuntime::new()].map(|runtime| simulate(runtime, seed, None).trace_hash);
        assert_eq!(hashes, [first.trace_hash; 2], "seed {seed}");
    }
}

#[test]
fn every_family_injects_faults() {
    let runtime = SimRuntime::new();
    let mut injected = BTreeMap::<FaultFamily, u64>::new();
    for seed in 100..160 {
        let outcome = simulate(&runtime, seed, None);
        assert_eq!(outcome.violation, None, "seed {seed}");
        for (family, faults) in outcome.injected {
            *injected.entry(family).or_default() += faults;
        }
    }
    let silent: Vec<_> = FaultFamily::ALL
        .into_iter()
        .filter(|family| injected.get(family).is_none_or(|faults| *faults == 0))
        .collect();
    assert_eq!(silent, [], "{injected:?}");
}
