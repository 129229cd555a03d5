//! `explore`: every scenario over every kind of store, each for its share of the time.

use std::collections::BTreeMap;

use datalake_sim::{
    explorer::{Counts, Explorer, SearchResult},
    scenario::Scenario,
    store_kind::StoreKind,
    world::SimRuntime,
};

use crate::{Arguments, on_threads, real_now};

/// The results of one scenario over all kinds of stores.
#[derive(Clone, Debug, Default)]
struct Explored {
    stores: u32,
    exhausted: u32,
    counts: Counts,
    violations: u32,
}

pub(crate) fn explore(arguments: &Arguments) -> Result<bool, String> {
    let seconds = arguments.seconds()?;
    let switches_max = usize::try_from(arguments.number("switches")?.unwrap_or(64)).unwrap_or(usize::MAX);
    let threads = arguments.threads()?;
    let started = real_now();
    let scenarios = Scenario::all();
    let chosen: Vec<(&Scenario, StoreKind)> = StoreKind::ALL
        .into_iter()
        .flat_map(|kind| scenarios.iter().map(move |scenario| (scenario, kind)))
        .filter(|(scenario, kind)| scenario.supports(*kind))
        .filter(|(scenario, kind)| arguments.allows("scenario", &scenario.name) && arguments.allows("store", &kind.to_string()))
        .collect();
    if chosen.is_empty() {
        return Err("no scenario matches --scenario and --store".to_owned());
    }
    let by_thread = on_threads(threads, |thread| {
        let runtime = SimRuntime::new();
        let mut explored = BTreeMap::<&str, Explored>::new();
        let own: Vec<_> = chosen.iter().skip(thread).step_by(threads).collect();
        for (index, (scenario, kind)) in own.iter().enumerate() {
            // The remaining time is divided among the remaining scenarios.
            let remaining = seconds.saturating_sub(started.elapsed());
            let share = remaining / u32::try_from(own.len() - index).unwrap_or(u32::MAX);
            let scenario_started = real_now();
            let mut explorer = Explorer::new(&runtime, scenario, *kind, None)
                .map_err(|violation| format!("cannot prepare {} {kind}: {violation}", scenario.name))?;
            let result = explorer.explore(switches_max, |_| scenario_started.elapsed() >= share);
            let entry = explored.entry(&scenario.name).or_default();
            entry.stores += 1;
            entry.exhausted += u32::from(result == SearchResult::Exhausted);
            entry.counts.add(&explorer.counts());
            for found in explorer.found() {
                entry.violations += 1;
                let name = format!("{}-{:?}", explorer.name().replace(' ', "-"), found.violation.invariant);
                println!("VIOLATION after {} executions: {name}: {}", found.executions, found.violation);
                arguments.report(&name, &format!("# {}\n{}", found.violation, found.schedule))?;
            }
        }
        Ok(explored)
    })?;
    let mut total = Explored::default();
    let mut by_scenario = BTreeMap::<&str, Explored>::new();
    for (name, explored) in by_thread.into_iter().flatten() {
        total.add(&explored);
        by_scenario.entry(name).or_default().add(&explored);
    }
    for (name, explored) in &by_scenario {
        println!("{name:<32} {}", explored.summary());
    }
    let elapsed = started.elapsed().as_secs_f64();
    println!("{} scenarios, {}; {elapsed:.0} s", by_scenario.len(), total.summary());
    Ok(total.violations == 0)
}

impl Explored {
    fn add(&mut self, other: &Self) {
        self.stores += other.stores;
        self.exhausted += other.exhausted;
        self.counts.add(&other.counts);
        self.violations += other.violations;
    }

    fn summary(&self) -> String {
        let Counts {
            executions,
            steps,
            states,
            pruned,
            ends,
            pauses,
        } = self.counts;
        format!(
            "{} of {} exhausted, {executions} executions, {steps} steps, {states} states, {pruned} pruned, {ends} ends checked, {pauses} pauses, \
             {} violations",
            self.exhausted, self.stores, self.violations
        )
    }
}
