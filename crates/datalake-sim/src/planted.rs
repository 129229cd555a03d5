//! Planted bugs: each must be found by the explorer or within a thousand seeds, or the checks do not check.

use std::collections::{BTreeMap, btree_map::Entry};

use datalake_store::simulation::Bug;

use crate::{
    explorer::Explorer,
    hints::{Hint, hint},
    oracle::Violation,
    random::simulate,
    scenario::{Scenario, StoreKind},
    world::Machine,
};

/// Seeds within which a bug must be found that the explorer does not find.
pub const SEEDS_MAX: u64 = 1_000;

/// Changes between living actors, at most: what needs more is left to seeds.
const SWITCHES_MAX: usize = 8;

/// Executions of the scenario that a hint names, before the whole search begins.
const HINTED_EXECUTIONS_MAX: u64 = 20_000;

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

/// One turn of a hunt: many scenarios a little find more than one in depth.
struct Turn {
    /// Seeds, after those of the turn before.
    seeds: u64,
    /// Kinds of stores of each scenario.
    kinds: usize,
    /// Executions of each scenario over each kind.
    executions: u64,
}

const TURNS: [Turn; 3] = [
    Turn {
        seeds: 100,
        kinds: 1,
        executions: 50,
    },
    Turn {
        seeds: 300,
        kinds: 2,
        executions: 200,
    },
    Turn {
        seeds: 600,
        kinds: StoreKind::ALL.len(),
        executions: 1_000,
    },
];

/// Looks for a planted bug, until it is found or everything is tried.
pub fn hunt(machine: &Machine, bug: Bug) -> Option<Detection> {
    let mut hunt = Hunt {
        machine,
        bug,
        executions: 0,
    };
    hunt.by_hint().or_else(|| hunt.by_turns())
}

struct Hunt<'a> {
    machine: &'a Machine,
    bug: Bug,
    executions: u64,
}

impl Hunt<'_> {
    /// What found the bug before is tried first.
    fn by_hint(&mut self) -> Option<Detection> {
        match hint(self.bug) {
            Hint::Seed(seed) => self.by_seed(seed),
            Hint::Scenario(name, kind) => {
                let scenario = Scenario::named(name)?;
                match Explorer::new(self.machine, &scenario, kind, Some(self.bug)) {
                    Ok(mut explorer) => self.by_explorer(&mut explorer, HINTED_EXECUTIONS_MAX),
                    Err(violation) => Some(self.in_preparation(&scenario, kind, violation)),
                }
            }
        }
    }

    fn by_turns(&mut self) -> Option<Detection> {
        let mut seeds = 1..=SEEDS_MAX;
        let mut explorers: BTreeMap<(usize, usize), Explorer> = BTreeMap::new();
        for turn in TURNS {
            for seed in seeds.by_ref().take(usize::try_from(turn.seeds).unwrap_or(usize::MAX)) {
                if let Some(found) = self.by_seed(seed) {
                    return Some(found);
                }
            }
            for (index, scenario) in Scenario::all().into_iter().enumerate() {
                for offset in 0..turn.kinds {
                    let kind = StoreKind::ALL[(index + offset) % StoreKind::ALL.len()];
                    if !scenario.suits(kind) {
                        continue;
                    }
                    let explorer = match explorers.entry((index, offset)) {
                        Entry::Occupied(explorer) => explorer.into_mut(),
                        Entry::Vacant(entry) => match Explorer::new(self.machine, &scenario, kind, Some(self.bug)) {
                            Ok(explorer) => entry.insert(explorer),
                            Err(violation) => return Some(self.in_preparation(&scenario, kind, violation)),
                        },
                    };
                    if let Some(found) = self.by_explorer(explorer, turn.executions) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    fn by_seed(&mut self, seed: u64) -> Option<Detection> {
        self.executions += 1;
        let violation = simulate(self.machine, seed, Some(self.bug)).violation?;
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

    /// A run of the preparation broke an invariant.
    fn in_preparation(&self, scenario: &Scenario, kind: StoreKind, violation: Violation) -> Detection {
        Detection {
            by: format!("preparing {} {kind}", scenario.name),
            executions: self.executions,
            violation,
        }
    }
}
