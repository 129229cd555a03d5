//! `datalake-sim explore|simulate|planted|replay`: one command for each check. The last line of the output is a summary; the exit status is not 0
//! if an invariant is violated.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command-line tool")]

mod explore;
mod planted;
mod simulate;

use std::{
    collections::BTreeMap,
    fs,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use datalake_sim::{explorer::replay, schedule::Schedule, world::SimRuntime};
use datalake_store::simulation::Bug;

const USAGE: &str = "usage: datalake-sim explore [--seconds N] [--threads N] [--scenario NAME] [--store KIND] [--switches N] [--out DIR]
       datalake-sim simulate [--seconds N] [--threads N] [--seeds N] [--first SEED] [--out DIR]
       datalake-sim simulate --seed SEED
       datalake-sim planted [--threads N] [--bug NAME]
       datalake-sim replay FILE [--bug NAME]";

/// Options as `--name value`, and positional arguments.
struct Arguments {
    options: BTreeMap<String, String>,
    positional: Vec<String>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut options, mut positional) = (BTreeMap::new(), Vec::new());
        let mut arguments = arguments.skip(1);
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    options.insert(name.to_owned(), value);
                }
                None => positional.push(argument),
            }
        }
        Ok(Self { options, positional })
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &String| text.parse().map_err(|_| format!("--{name} {text} is not a number"));
        self.options.get(name).map(parse).transpose()
    }

    /// Whether an option is missing or has this value.
    fn allows(&self, option: &str, value: &str) -> bool {
        self.options.get(option).is_none_or(|chosen| chosen == value)
    }

    /// The time limit; unlimited without the option.
    fn seconds(&self) -> Result<Duration, String> {
        Ok(self.number("seconds")?.map_or(Duration::MAX, Duration::from_secs))
    }

    fn threads(&self) -> Result<usize, String> {
        let threads = self.number("threads")?.unwrap_or(1).max(1);
        usize::try_from(threads).map_err(|_| format!("--threads {threads} is too large"))
    }

    /// Writes a violation to a file.
    fn report(&self, name: &str, text: &str) -> Result<(), String> {
        let folder = self.options.get("out").map_or("target/violations", String::as_str);
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {folder}: {error}"))?;
        let path = format!("{folder}/{name}.txt");
        fs::write(&path, text).map_err(|error| format!("cannot write {path}: {error}"))
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::parse(std::env::args()).and_then(|arguments| match arguments.positional.first().map(String::as_str) {
        Some("explore") => explore::explore(&arguments),
        Some("simulate") => simulate::simulate(&arguments),
        Some("planted") => planted::planted(&arguments),
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

/// The real clock: only the time limits of this tool depend on it.
#[expect(clippy::disallowed_methods, reason = "time limits are in real time")]
fn real_now() -> Instant {
    Instant::now()
}

/// Runs `work` on each thread with its number, and returns the results.
fn on_threads<T: Send>(threads: usize, work: impl Fn(usize) -> Result<T, String> + Sync) -> Result<Vec<T>, String> {
    let work = &work;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<T, String>>| thread.join().map_err(|_| "a thread panicked".to_owned())?;
        running.into_iter().map(join).collect()
    })
}

fn replay_file(arguments: &Arguments) -> Result<bool, String> {
    let path = arguments.positional.get(1).ok_or(USAGE)?;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let schedule: Schedule = text.parse()?;
    let is_chosen = |bug: &Bug| arguments.options.get("bug").is_some_and(|name| *name == format!("{bug:?}"));
    let replayed = replay(&SimRuntime::new(), &schedule, Bug::ALL.iter().copied().find(is_chosen));
    let (world, violation) = match replayed {
        Ok(world) => (world, None),
        Err(violated) => (violated.1, Some(violated.0)),
    };
    for event in world.events() {
        println!("{event}");
    }
    match &violation {
        Some(violation) => println!("VIOLATION: {violation}"),
        None => println!("no violation"),
    }
    Ok(violation.is_none())
}
