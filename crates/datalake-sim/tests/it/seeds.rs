//! Random executions.

use std::collections::BTreeMap;

use datalake_sim::{
    random::{Family, simulate},
    world::Machine,
};

#[test]
fn a_seed_replays_with_the_same_trace() {
    let machine = Machine::new();
    for seed in 1..=6 {
        let first = simulate(&machine, seed, None);
        assert_eq!(first.violation, None, "seed {seed}");
        let hashes = [&machine, &Machine::new()].map(|machine| simulate(machine, seed, None).trace_hash);
        assert_eq!(hashes, [first.trace_hash; 2], "seed {seed}");
    }
}

#[test]
fn every_family_of_faults_strikes() {
    let machine = Machine::new();
    let mut struck = BTreeMap::<Family, u64>::new();
    for seed in 100..160 {
        let outcome = simulate(&machine, seed, None);
        assert_eq!(outcome.violation, None, "seed {seed}");
        for (family, strikes) in outcome.activations {
            *struck.entry(family).or_default() += strikes;
        }
    }
    let silent: Vec<_> = Family::ALL
        .into_iter()
        .filter(|family| struck.get(family).is_none_or(|strikes| *strikes == 0))
        .collect();
    assert_eq!(silent, [], "{struck:?}");
}
