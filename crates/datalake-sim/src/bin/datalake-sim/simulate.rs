//! `simulate`: random executions with faults, one for each seed.

use std::collections::BTreeMap;

use datalake_sim::{
    random::{self, FaultFamily},
    world::SimRuntime,
};

use crate::{Arguments, on_threads, real_now};

/// The results of the seeds of one thread.
#[derive(Default)]
struct Simulated {
    seeds: u64,
    steps: u64,
    violations: u64,
    /// For each family, the seeds in which it was enabled and the faults that it injected.
    families: BTreeMap<FaultFamily, (u64, u64)>,
}

/// Minimum number of seeds for which the share of seeds with an enabled family is checked.
const SEEDS_FOR_SHARES_MIN: u64 = 500;

pub(crate) fn simulate(arguments: &Arguments) -> Result<bool, String> {
    if let Some(seed) = arguments.number("seed")? {
        return Ok(show(seed));
    }
    let seconds = arguments.seconds()?;
    let threads = arguments.threads()?;
    let first = arguments.number("first")?.unwrap_or(1);
    let last = arguments
        .number("seeds")?
        .map_or(u64::MAX, |seeds| first.saturating_add(seeds.saturating_sub(1)));
    let started = real_now();
    let by_thread = on_threads(threads, |thread| {
        let runtime = SimRuntime::new();
        let mut simulated = Simulated::default();
        for seed in (first..=last).skip(thread).step_by(threads) {
            if started.elapsed() >= seconds {
                break;
            }
            let result = random::simulate(&runtime, seed, None);
            simulated.seeds += 1;
            simulated.steps += result.steps;
            for (family, faults) in result.injected {
                simulated.count(family, (1, faults));
            }
            if let Some(violation) = result.violation {
                simulated.violations += 1;
                println!("VIOLATION seed {seed}: {violation}");
                let events: Vec<_> = result.events.iter().map(ToString::to_string).collect();
                arguments.report(&format!("seed-{seed}"), &format!("# {violation}\n{}", events.join("\n")))?;
            }
        }
        Ok(simulated)
    })?;
    let mut total = Simulated::default();
    for simulated in by_thread {
        total.seeds += simulated.seeds;
        total.steps += simulated.steps;
        total.violations += simulated.violations;
        for (family, counts) in simulated.families {
            total.count(family, counts);
        }
    }
    let is_balanced = total.show_families();
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{} seeds, {} steps; {elapsed:.0} s; {} violations",
        total.seeds, total.steps, total.violations
    );
    Ok(total.violations == 0 && is_balanced)
}

impl Simulated {
    fn count(&mut self, family: FaultFamily, (enabled, injected): (u64, u64)) {
        let counts = self.families.entry(family).or_default();
        counts.0 += enabled;
        counts.1 += injected;
    }

    /// Prints how often each family was enabled and injected faults. Returns whether each was enabled in about half of the seeds and injected
    /// faults.
    fn show_families(&self) -> bool {
        let mut is_balanced = true;
        for family in FaultFamily::ALL {
            let (enabled, injected) = self.families.get(&family).copied().unwrap_or_default();
            println!("{family:?}: enabled in {enabled} of {} seeds, {injected} faults", self.seeds);
            let is_half = enabled * 10 >= self.seeds * 4 && enabled * 10 <= self.seeds * 6;
            is_balanced &= self.seeds < SEEDS_FOR_SHARES_MIN || (is_half && injected > 0);
        }
        if !is_balanced {
            println!("a family of faults was enabled in fewer than 40 % or in more than 60 % of the seeds, or injected no fault");
        }
        is_balanced
    }
}

/// Prints every step of one seed, and returns whether no invariant is violated.
fn show(seed: u64) -> bool {
    let result = random::simulate(&SimRuntime::new(), seed, None);
    for event in &result.events {
        println!("{event}");
    }
    println!("trace {:016x}, {} steps, {:?}", result.trace_hash, result.steps, result.injected);
    if let Some(violation) = &result.violation {
        println!("VIOLATION: {violation}");
    }
    result.violation.is_none()
}
