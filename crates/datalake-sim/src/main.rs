//! `datalake-sim explore|simulate|planted|replay`: one command for each full check. The last line counts what was done; the exit status is
//! not 0 if an invariant does not hold.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a tool for the terminal")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use datalake_sim::{
    explorer::{Counts, Explorer, Pass, replay},
    planted::{Detection, hunt},
    random::{Family, simulate},
    scenario::{Scenario, StoreKind},
    schedule::Schedule,
    world::Machine,
};
use datalake_store::simulation::Bug;

const USAGE: &str = "usage: datalake-sim explore [--seconds N] [--scenario NAME] [--store KIND] [--switches N] [--out DIR]
       datalake-sim simulate [--seconds N] [--seeds N] [--first SEED] [--seed SEED] [--out DIR]
       datalake-sim planted [--bug NAME] [--threads N]
       datalake-sim replay FILE";

/// Options as `--name value`, and what is not one.
struct Arguments {
    options: BTreeMap<String, String>,
    rest: Vec<String>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut options, mut rest) = (BTreeMap::new(), Vec::new());
        let mut arguments = arguments.skip(1);
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    options.insert(name.to_owned(), value);
                }
                None => rest.push(argument),
            }
        }
        Ok(Self { options, rest })
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &String| text.parse().map_err(|_| format!("--{name} {text} is no number"));
        self.options.get(name).map(parse).transpose()
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::parse(std::env::args()).and_then(|arguments| match arguments.rest.first().map(String::as_str) {
        Some("explore") => explore(&arguments),
        Some("simulate") => simulate_seeds(&arguments),
        Some("planted") => planted(&arguments),
        Some("replay") => replay_file(&arguments),
        _ => Err(USAGE.to_owned()),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// The real clock: only the time boxes of this tool depend on it.
#[expect(clippy::disallowed_methods, reason = "a time box is one of real time")]
fn real_now() -> Instant {
    Instant::now()
}

fn explore(arguments: &Arguments) -> Result<bool, String> {
    let seconds = arguments.number("seconds")?.map_or(Duration::MAX, Duration::from_secs);
    let switches_last = u32::try_from(arguments.number("switches")?.unwrap_or(64)).unwrap_or(u32::MAX);
    let started = real_now();
    let machine = Machine::new();
    let is_chosen = |option: &str, name: &str| arguments.options.get(option).is_none_or(|chosen| *chosen == name);
    let mut explorers = Vec::new();
    for kind in StoreKind::ALL {
        for scenario in Scenario::all() {
            if is_chosen("scenario", &scenario.name) && is_chosen("store", &kind.to_string()) {
                let explorer =
                    Explorer::new(&machine, &scenario, kind, None).map_err(|violation| format!("{}: {violation}", scenario.name))?;
                explorers.push((explorer, false));
            }
        }
    }
    if explorers.is_empty() {
        return Err("no scenario is chosen".to_owned());
    }
    let mut reported = 0;
    'passes: for switches in 0..=switches_last {
        let open = explorers.iter().filter(|(_, is_done)| !is_done).count();
        for (index, (explorer, is_done)) in explorers.iter_mut().filter(|(_, is_done)| !is_done).enumerate() {
            let elapsed = started.elapsed();
            if elapsed >= seconds {
                break 'passes;
            }
            // What is left of the time is shared among those that are left of the pass.
            let share = seconds.saturating_sub(elapsed) / u32::try_from(open - index).unwrap_or(1);
            let pass_started = real_now();
            let pass = explorer.pass(switches, |_| pass_started.elapsed() > share);
            *is_done = pass == Pass::Exhausted;
            let Counts {
                executions,
                states,
                ends,
                pauses,
                ..
            } = explorer.counts();
            let took = pass_started.elapsed().as_secs_f64();
            eprintln!(
                "{:<36} {switches} switches: {pass:?}, {executions} executions, {states} states, {ends} ends, {pauses} pauses, {took:.1} s",
                explorer.name()
            );
            for found in explorer.found() {
                let name = format!("{}-{:?}", explorer.name().replace(' ', "-"), found.violation.invariant);
                if report(arguments, &name, &format!("# {}\n{}", found.violation, found.schedule))? {
                    reported += 1;
                    println!("VIOLATION after {} executions: {name}: {}", found.executions, found.violation);
                }
            }
        }
        if explorers.iter().all(|(_, is_done)| *is_done) {
            break;
        }
    }
    let mut total = Counts::default();
    for (explorer, _) in &explorers {
        total.add(&explorer.counts());
    }
    let exhausted = explorers.iter().filter(|(_, is_done)| *is_done).count();
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{} scenarios, {exhausted} exhausted; {} executions, {} steps, {} states, {} pruned, {} ends checked, {} pauses; {elapsed:.0} s; {reported} violations",
        explorers.len(),
        total.executions,
        total.steps,
        total.states,
        total.pruned,
        total.ends,
        total.pauses,
    );
    Ok(reported == 0)
}

/// Writes what was found to a file, and returns whether it is new.
fn report(arguments: &Arguments, name: &str, text: &str) -> Result<bool, String> {
    let folder = arguments.options.get("out").map_or("target/violations", String::as_str);
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {folder}: {error}"))?;
    let path = format!("{folder}/{name}.txt");
    let is_new = fs::read_to_string(&path).is_ok_and(|before| before == text);
    fs::write(&path, text).map_err(|error| format!("cannot write {path}: {error}"))?;
    Ok(!is_new)
}

fn simulate_seeds(arguments: &Arguments) -> Result<bool, String> {
    let seconds = arguments.number("seconds")?.map_or(Duration::MAX, Duration::from_secs);
    let machine = Machine::new();
    if let Some(seed) = arguments.number("seed")? {
        let outcome = simulate(&machine, seed, None);
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
        return Ok(outcome.violation.is_none());
    }
    let first = arguments.number("first")?.unwrap_or(1);
    let last = arguments.number("seeds")?.map_or(u64::MAX, |seeds| first.saturating_add(seeds - 1));
    let started = real_now();
    let (mut seeds, mut steps, mut violations) = (0_u64, 0, 0);
    let mut families: BTreeMap<Family, (u64, u64)> = BTreeMap::new();
    for seed in first..=last {
        if started.elapsed() >= seconds {
            break;
        }
        let outcome = simulate(&machine, seed, None);
        seeds += 1;
        steps += outcome.steps;
        for (family, strikes) in outcome.activations {
            let (on, struck) = families.entry(family).or_default();
            *on += 1;
            *struck += strikes;
        }
        if let Some(violation) = outcome.violation {
            violations += 1;
            println!("VIOLATION seed {seed}: {violation}");
            let events = outcome.events.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            report(arguments, &format!("seed-{seed}"), &format!("# {violation}\n{events}"))?;
        }
    }
    let mut is_balanced = true;
    for family in Family::ALL {
        let (on, struck) = families.get(&family).copied().unwrap_or_default();
        println!("{family:?}: on in {on} of {seeds} seeds, struck {struck} times");
        // Few seeds say nothing about shares.
        is_balanced &= seeds < 500 || (on * 10 >= seeds * 4 && on * 10 <= seeds * 6 && struck > 0);
    }
    if !is_balanced {
        println!("a family of faults is on in fewer than 40 % or in more than 60 % of the seeds, or never struck");
    }
    let elapsed = started.elapsed().as_secs_f64();
    println!("{seeds} seeds, {steps} steps; {elapsed:.0} s; {violations} violations");
    Ok(violations == 0 && is_balanced)
}

fn planted(arguments: &Arguments) -> Result<bool, String> {
    let threads = arguments.number("threads")?.unwrap_or(2);
    let is_chosen = |bug: &Bug| arguments.options.get("bug").is_none_or(|name| *name == format!("{bug:?}"));
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(is_chosen).collect();
    let started = real_now();
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let machine = Machine::new();
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bug_started = real_now();
                    let found = hunt(&machine, *bug);
                    let took = bug_started.elapsed().as_secs_f64();
                    if let Some(Detection { by, executions, violation }) = found {
                        println!("{bug:?}: found by {by} after {executions} executions, {took:.1} s: {violation}");
                    } else {
                        println!("{bug:?}: NOT FOUND, {took:.1} s");
                        missed.lock().unwrap_or_else(PoisonError::into_inner).push(*bug);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{} planted bugs, {} found; {elapsed:.0} s; not found: {missed:?}",
        bugs.len(),
        bugs.len() - missed.len()
    );
    Ok(missed.is_empty())
}

fn replay_file(arguments: &Arguments) -> Result<bool, String> {
    let path = arguments.rest.get(1).ok_or(USAGE)?;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let schedule: Schedule = text.parse()?;
    let replayed = replay(&Machine::new(), &schedule, None);
    let (world, violation) = match replayed {
        Ok(world) => (world, None),
        Err(broken) => (broken.1, Some(broken.0)),
    };
    let mut lines = String::new();
    for event in world.events() {
        writeln!(lines, "{event}").map_err(|error| error.to_string())?;
    }
    print!("{lines}");
    match &violation {
        Some(violation) => println!("VIOLATION: {violation}"),
        None => println!("no violation"),
    }
    Ok(violation.is_none())
}
