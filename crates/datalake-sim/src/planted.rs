//! Planted bugs: each must be found by the explorer or within a thousand seeds, or the checks do not check.

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

/// Executions of a scenario in one turn. The simplest violations come first, so that many scenarios a little find more than one in depth.
const EXECUTIONS_A_TURN: u64 = 400;

/// Seeds before the explorer begins, after its first turn, and after its second turn.
const SEEDS_A_TURN: [u64; 3] = [100, 300, 600];

/// Looks for a planted bug, until it is found or everything is tried.
pub fn hunt(machine: &Machine, bug: Bug) -> Option<Detection> {
    let mut executions = 0;
    let mut seed = 0;
    let mut explorers: Option<Vec<Explorer>> = None;
    for (turn, seeds) in SEEDS_A_TURN.into_iter().enumerate() {
        for _ in 0..seeds {
            seed += 1;
            executions += 1;
            if let Some(violation) = simulate(machine, seed, Some(bug)).violation {
                return Some(Detection {
                    by: format!("seed {seed}"),
                    executions,
                    violation,
                });
            }
        }
        if turn == 0 {
            match prepare(machine, bug) {
                Ok(prepared) => explorers = Some(prepared),
                Err(violation) => {
                    return Some(Detection {
                        by: "the preparation of a scenario".to_owned(),
                        executions,
                        violation,
                    });
                }
            }
        }
        let switches = if turn == 0 { 0 } else { 2 };
        for explorer in explorers.iter_mut().flatten() {
            let before = explorer.counts().executions;
            explorer.pass(switches, |explorer| {
                explorer.counts().executions - before >= EXECUTIONS_A_TURN || !explorer.found().is_empty()
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
    None
}

fn prepare(machine: &Machine, bug: Bug) -> Result<Vec<Explorer>, Violation> {
    let mut explorers = Vec::new();
    for (index, scenario) in Scenario::all().into_iter().enumerate() {
        // Each scenario over one kind of store that expires, and over one that does not.
        let kinds = [StoreKind::ALL[index % 3], StoreKind::ALL[3 + index % 2]];
        for kind in kinds {
            explorers.push(Explorer::new(machine, &scenario, kind, Some(bug))?);
        }
    }
    Ok(explorers)
}
