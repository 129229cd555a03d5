//! Planted bugs: the explorer or the random simulation must find each of them, which proves that the checks are effective.

use std::collections::{BTreeMap, btree_map::Entry};

use datalake_store::simulation::Bug;

use crate::{
    bug_hints::{Hint, hint},
    explorer::Explorer,
    invariant::Violation,
    random::simulate,
    scenario::Scenario,
    store_kind::StoreKind,
    world::SimRuntime,
};

/// Maximum number of seeds that are searched for a bug that the explorer does not find.
pub const SEEDS_MAX: u64 = 1_000;

/// Maximum number of context switches between active actors. Bugs that need more must be found by seeds.
const SWITCHES_MAX: usize = 8;

/// Maximum number of executions of the scenario of a hint, before the full search starts.
const HINTED_EXECUTIONS_MAX: u64 = 20_000;

/// How a bug was found.
#[derive(Clone, Debug)]
pub struct Detection {
    /// The scenario or the seed.
    pub by: String,
    /// The number of executions of both searches before.
    pub executions: u64,
    /// The violated invariant.
    pub violation: Violation,
}

/// One round of a search. Many scenarios with few executions find more than one with many.
struct Round {
    /// The number of seeds, after those of the previous round.
    seeds: u64,
    /// The kinds of stores for each scenario.
    kinds: usize,
    /// The executions of each scenario over each kind.
    executions: u64,
}

const ROUNDS: [Round; 3] = [
    Round {
        seeds: 100,
        kinds: 1,
        executions: 50,
    },
    Round {
        seeds: 300,
        kinds: 2,
        executions: 200,
    },
    Round {
        seeds: 600,
        kinds: StoreKind::ALL.len(),
        executions: 1_000,
    },
];

/// Searches for a planted bug until it is found or every round has ended.
pub fn find_bug(runtime: &SimRuntime, bug: Bug) -> Option<Detection> {
    let mut search = Search {
        runtime,
        bug,
        executions: 0,
    };
    search.by_hint().or_else(|| search.by_rounds())
}

struct Search<'a> {
    runtime: &'a SimRuntime,
    bug: Bug,
    executions: u64,
}

impl Search<'_> {
    /// Searches where the bug is expected.
    fn by_hint(&mut self) -> Option<Detection> {
        match hint(self.bug) {
            Hint::Seed(seed) => self.by_seed(seed),
            Hint::Scenario(name, kind) => {
                let scenario = Scenario::named(name)?;
                match Explorer::new(self.runtime, &scenario, kind, Some(self.bug)) {
                    Ok(mut explorer) => self.by_explorer(&mut explorer, HINTED_EXECUTIONS_MAX),
                    Err(violation) => Some(self.in_preparation(&scenario, kind, violation)),
                }
            }
        }
    }

    fn by_rounds(&mut self) -> Option<Detection> {
        let mut seeds = 1..=SEEDS_MAX;
        let mut explorers: BTreeMap<(usize, usize), Explorer> = BTreeMap::new();
        for round in ROUNDS {
            for seed in seeds.by_ref().take(usize::try_from(round.seeds).unwrap_or(usize::MAX)) {
                if let Some(found) = self.by_seed(seed) {
                    return Some(found);
                }
            }
            for (index, scenario) in Scenario::all().into_iter().enumerate() {
                for offset in 0..round.kinds {
                    let kind = StoreKind::ALL[(index + offset) % StoreKind::ALL.len()];
                    if !scenario.supports(kind) {
                        continue;
                    }
                    let explorer = match explorers.entry((index, offset)) {
                        Entry::Occupied(explorer) => explorer.into_mut(),
                        Entry::Vacant(entry) => match Explorer::new(self.runtime, &scenario, kind, Some(self.bug)) {
                            Ok(explorer) => entry.insert(explorer),
                            Err(violation) => return Some(self.in_preparation(&scenario, kind, violation)),
                        },
                    };
                    if let Some(found) = self.by_explorer(explorer, round.executions) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    fn by_seed(&mut self, seed: u64) -> Option<Detection> {
        self.executions += 1;
        let violation = simulate(self.runtime, seed, Some(self.bug)).violation?;
        Some(Detection {
            by: format!("seed {seed}"),
            executions: self.executions,
            violation,
        })
    }

    fn by_explorer(&mut self, explorer: &mut Explorer, executions_max: u64) -> Option<Detection> {
        let before = explorer.counts().executions;
        explorer.explore(SWITCHES_MAX, |explorer| {
            explorer.counts().executions - before >= executions_max || !explorer.found().is_empty()
        });
        self.executions += explorer.counts().executions - before;
        let found = explorer.found().first()?;
        Some(Detection {
            by: explorer.name(),
            executions: self.executions,
            violation: found.violation.clone(),
        })
    }

    /// A run of the preparation violated an invariant.
    fn in_preparation(&self, scenario: &Scenario, kind: StoreKind, violation: Violation) -> Detection {
        Detection {
            by: format!("preparing {} {kind}", scenario.name),
            executions: self.executions,
            violation,
        }
    }
}
