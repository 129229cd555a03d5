//! `planted`: searches for every planted bug.

use std::sync::atomic::{AtomicUsize, Ordering};

use datalake_sim::{
    planted::{Detection, find_bug},
    world::SimRuntime,
};
use datalake_store::simulation::Bug;

use crate::{Arguments, on_threads, real_now};

pub(crate) fn planted(arguments: &Arguments) -> Result<bool, String> {
    let is_chosen = |bug: &Bug| arguments.allows("bug", &format!("{bug:?}"));
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(is_chosen).collect();
    if bugs.is_empty() {
        return Err("no planted bug matches --bug".to_owned());
    }
    let started = real_now();
    let next = AtomicUsize::new(0);
    let missed = on_threads(arguments.threads()?, |_| {
        let runtime = SimRuntime::new();
        let mut missed = Vec::new();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let search_started = real_now();
            let found = find_bug(&runtime, *bug);
            let elapsed = search_started.elapsed().as_secs_f64();
            if let Some(Detection { by, executions, violation }) = found {
                println!("{bug:?}: found by {by} after {executions} executions, {elapsed:.1} s: {violation}");
            } else {
                println!("{bug:?}: NOT FOUND, {elapsed:.1} s");
                missed.push(*bug);
            }
        }
        Ok(missed)
    })?;
    let missed = missed.concat();
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{} planted bugs, {} found; {elapsed:.0} s; not found: {missed:?}",
        bugs.len(),
        bugs.len() - missed.len()
    );
    Ok(missed.is_empty())
}
