//! Planted bugs: each must be found by the explorer or within a thousand seeds, or the checks do not check.

use std::collections::{BTreeMap, btree_map::Entry};

use datalake_store::simulation::Bug;

use crate::{
    explorer::Explorer,
    oracle::Violation,
    random::simulate,
    scenario::{Scenario, StoreKind},
    world::Machine,
};

/// Seeds within which a bug must be found that the explorer does not find.
pub const SEEDS_MAX: u64 = 1_000;

/// How a bug was found.
#[derive(Clone, Debug)]
pub struct Detection {
    /// The scenario or the seed.
    pub by: String,
    /// Executions until then, those of both searches.
    pub executions: u64,
    /// What did not hold.
    pub violation: Violation,
}

/// One turn of a hunt: many scenarios a little find more than one in depth, because the simplest executions come first.
struct Turn {
    /// Seeds, after those of the turn before.
    seeds: u64,
    /// Kinds of stores of each scenario.
    kinds: usize,
    /// Executions of each scenario over each kind.
    executions: u64,
    /// Changes between living actors, at most.
    switches: u32,
}

const TURNS: [Turn; 4] = [
    Turn {
        seeds: 200,
        kinds: 1,
        executions: 100,
        switches: 0,
    },
    Turn {
        seeds: 800,
        kinds: 1,
        executions: 300,
        switches: 1,
    },
    Turn {
        seeds: 0,
        kinds: 2,
        executions: 1_500,
        switches: 2,
    },
    Turn {
        seeds: 0,
        kinds: StoreKind::ALL.len(),
        executions: 10_000,
        switches: 4,
    },
];

/// Looks for a planted bug, until it is found or everything is tried.
pub fn hunt(machine: &Machine, bug: Bug) -> Option<Detection> {
    let mut executions = 0;
    let mut seeds = 1..=SEEDS_MAX;
    let mut explorers: BTreeMap<(usize, usize), Explorer> = BTreeMap::new();
    for turn in TURNS {
        for seed in seeds.by_ref().take(usize::try_from(turn.seeds).unwrap_or(usize::MAX)) {
            executions += 1;
            if let Some(violation) = simulate(machine, seed, Some(bug)).violation {
                return Some(Detection {
                    by: format!("seed {seed}"),
                    executions,
                    violation,
                });
            }
        }
        for (index, scenario) in Scenario::all().into_iter().enumerate() {
            for offset in 0..turn.kinds {
                let kind = StoreKind::ALL[(index + offset) % StoreKind::ALL.len()];
                let explorer = match explorers.entry((index, offset)) {
                    Entry::Occupied(explorer) => explorer.into_mut(),
                    Entry::Vacant(place) => match Explorer::new(machine, &scenario, kind, Some(bug)) {
                        Ok(explorer) => place.insert(explorer),
                        Err(violation) => {
                            return Some(Detection {
                                by: format!("preparing {} {kind}", scenario.name),
                                executions,
                                violation,
                            });
                        }
                    },
                };
                let before = explorer.counts().executions;
                explorer.pass(turn.switches, |explorer| {
                    explorer.counts().executions - before >= turn.executions || !explorer.found().is_empty()
                });
                executions += explorer.counts().executions - before;
                if let Some(found) = explorer.found().first() {
                    return Some(Detection {
                        by: explorer.name(),
                        executions,
                        violation: found.violation.clone(),
                    });
                }
            }
        }
    }
    None
}
