//! `simulate`: random executions, one for each seed.

use std::collections::BTreeMap;

use datalake_sim::{
    random::{self, Family},
    world::Machine,
};

use crate::{Arguments, on_threads, real_now};

/// What the seeds of one thread did.
#[derive(Default)]
struct Simulated {
    seeds: u64,
    steps: u64,
    violations: u64,
    /// Seeds in which a family was on, and how often it struck.
    families: BTreeMap<Family, (u64, u64)>,
}

/// Fewer seeds say nothing about shares.
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
        let machine = Machine::new();
        let mut simulated = Simulated::default();
        for seed in (first..=last).skip(thread).step_by(threads) {
            if started.elapsed() >= seconds {
                break;
            }
            let outcome = random::simulate(&machine, seed, None);
            simulated.seeds += 1;
            simulated.steps += outcome.steps;
            for (family, strikes) in outcome.activations {
                simulated.count(family, (1, strikes));
            }
            if let Some(violation) = outcome.violation {
                simulated.violations += 1;
                println!("VIOLATION seed {seed}: {violation}");
                let events: Vec<_> = outcome.events.iter().map(ToString::to_string).collect();
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
    fn count(&mut self, family: Family, (on, struck): (u64, u64)) {
        let counts = self.families.entry(family).or_default();
        counts.0 += on;
        counts.1 += struck;
    }

    /// Shows how often each family was on and struck, and returns whether each was on in about half of the seeds and struck.
    fn show_families(&self) -> bool {
        let mut is_balanced = true;
        for family in Family::ALL {
            let (on, struck) = self.families.get(&family).copied().unwrap_or_default();
            println!("{family:?}: on in {on} of {} seeds, struck {struck} times", self.seeds);
            let is_shared = on * 10 >= self.seeds * 4 && on * 10 <= self.seeds * 6;
            is_balanced &= self.seeds < SEEDS_FOR_SHARES_MIN || (is_shared && struck > 0);
        }
        if !is_balanced {
            println!("a family of faults is on in fewer than 40 % or in more than 60 % of the seeds, or never struck");
        }
        is_balanced
    }
}

/// Shows every event of one seed, and returns whether it violates nothing.
fn show(seed: u64) -> bool {
    let outcome = random::simulate(&Machine::new(), seed, None);
    for event in &outcome.events {
        println!("{event}");
    }
    println!(
        "trace {:016x}, {} steps, {:?}",
        outcome.trace_hash, outcome.steps, outcome.activations
    );
    if let Some(violation) = &outcome.violation {
        println!("VIOLATION: {violation}");
    }
    outcome.violation.is_none()
}
