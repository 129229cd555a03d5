//! Concurrent runs over one lake, which are paused, continued and killed at random while sources change.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use fastrand::Rng;

use super::{
    check::{History, check_converges},
    lake::{LOG, Lake, OUTPUT, SOURCES},
    process::{Ended, POLL, Run, TIMEOUT, now, wait_until},
    scenario::Sources,
    settings,
};

/// Rounds over one lake. The next rounds start with a lake without a table.
const ROUNDS_PER_LAKE: u64 = 10;

/// Users that are edited.
const USERS: usize = 8;

/// This user's row counts the edits, so every state of the sources is unique and later ones are recognized.
const COUNTER: &str = "counter";

/// Counts for the output of the test.
#[derive(Debug, Default)]
struct Counts {
    rounds: u64,
    runs: u64,
    pauses: u64,
    kills: u64,
    edits: u64,
    failures: u64,
    versions: u64,
    states_seen: u64,
}

/// Runs all rounds over lakes that `create` returns.
pub(super) fn check_concurrent_runs(create: impl Fn() -> Lake) {
    let (rounds, seed) = (settings::rounds(), settings::seed());
    let mut counts = Counts::default();
    let mut lake = None;
    for round in 0..rounds {
        let mut rng = Rng::with_seed(seed + round);
        let concurrent_runs = match lake.take().filter(|_| round % ROUNDS_PER_LAKE != 0) {
            Some(concurrent_runs) => concurrent_runs,
            None => ConcurrentRuns::new(create()),
        };
        lake = Some(concurrent_runs.check_round(&format!("round of seed {}", seed + round), &mut rng, &mut counts));
    }
    println!("{counts:?}");
}

/// A lake and its current sources.
struct ConcurrentRuns {
    lake: Lake,
    sources: Sources,
    edits: u64,
    watcher: Watcher,
}

impl ConcurrentRuns {
    fn new(lake: Lake) -> Self {
        let mut sources = Sources::default();
        for user in 0..USERS {
            sources.csv(&user.to_string(), "First").png(&user.to_string(), user);
        }
        sources.csv(COUNTER, &count_as_name(0));
        sources.put("never-valid.csv", Vec::new());
        lake.set_sources(&sources.0);
        Self {
            watcher: Watcher::start(&lake),
            lake,
            sources,
            edits: 0,
        }
    }

    /// One round: concurrent runs, then one without disturbance.
    fn check_round(mut self, context: &str, rng: &mut Rng, counts: &mut Counts) -> Self {
        let start = now();
        let mut waiting = rng.usize(2..=8);
        let mut running: Vec<(Run, State)> = Vec::new();
        let mut ended: Vec<Ended> = Vec::new();
        while waiting > 0 || !running.is_empty() {
            assert!(start.elapsed() < TIMEOUT, "{context}: the round does not end");
            if waiting > 0 && rng.u8(..10) == 0 {
                waiting -= 1;
                counts.runs += 1;
                let arguments: &[&str] = if rng.u8(..4) == 0 { &["--full"] } else { &[] };
                running.push((Run::start(&self.lake, arguments, None), State::Running));
            }
            if rng.u8(..30) == 0 {
                self.edit(rng);
                counts.edits += 1;
            }
            for (run, state) in &mut running {
                *state = state.next(run, rng, counts);
            }
            let (done, rest) = running.into_iter().partition(|(_, state)| *state == State::Ended);
            running = rest;
            ended.extend(Vec::into_iter(done).map(|(run, _)| run.end()));
            thread::sleep(POLL);
        }
        for ended in &ended {
            // Not the status of a killed run.
            assert!(matches!(ended.status, None | Some(0 | 1)), "{context}: {ended:?}");
            counts.failures += u64::from(ended.status == Some(1));
        }
        check_converges(&self.lake, &History::default(), &context);
        self.watcher.check(self.edits, context);
        counts.rounds += 1;
        counts.versions = counts.versions.max(self.lake.keys(LOG).len().try_into().unwrap());
        counts.states_seen += std::mem::take(&mut *self.watcher.seen.lock().unwrap());
        self
    }

    /// Increments the counter and changes one source.
    fn edit(&mut self, rng: &mut Rng) {
        self.edits += 1;
        self.sources.csv(COUNTER, &count_as_name(self.edits));
        let counter = format!("{SOURCES}{COUNTER}.csv");
        self.lake.write(&counter, &self.sources.0[&counter]);

        let user_id = rng.usize(..USERS).to_string();
        let (csv, png) = (format!("{user_id}.csv"), format!("{user_id}.png"));
        match rng.u8(..4) {
            0 => drop(self.sources.csv(&user_id, &count_as_name(self.edits))),
            1 => drop(self.sources.png(&user_id, rng.usize(..90))),
            2 => drop(self.sources.remove(&png)),
            _ => drop(self.sources.remove(&csv).remove(&png)),
        }
        // Users are added again, so that the lake never becomes nearly empty.
        if self.sources.0.len() < USERS {
            self.sources.csv(&user_id, &count_as_name(self.edits));
        }
        for key in [csv, png].map(|name| format!("{SOURCES}{name}")) {
            match self.sources.0.get(&key) {
                Some(bytes) => self.lake.write(&key, bytes),
                None if self.lake.read(&key).is_some() => self.lake.remove(&key),
                None => {}
            }
        }
    }
}

/// A name whose order is that of the numbers.
fn count_as_name(number: u64) -> String {
    format!("Edit{number:06}")
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Ended,
}

impl State {
    /// Pauses, continues or kills a run, or does nothing.
    fn next(self, run: &mut Run, rng: &mut Rng, counts: &mut Counts) -> Self {
        if run.has_ended() {
            return Self::Ended;
        }
        match self {
            Self::Running => match rng.u16(..400) {
                0..10 => {
                    counts.pauses += 1;
                    run.pause();
                    Self::Paused
                }
                10 => {
                    counts.kills += 1;
                    run.kill();
                    wait_until("a killed process ends", || run.has_ended());
                    Self::Ended
                }
                _ => self,
            },
            Self::Paused => match rng.u16(..200) {
                0 => {
                    counts.kills += 1;
                    run.kill();
                    wait_until("a killed process ends", || run.has_ended());
                    Self::Ended
                }
                1..8 => {
                    run.resume();
                    Self::Running
                }
                _ => self,
            },
            Self::Ended => self,
        }
    }
}

/// Polls `output.csv`, which must never return to an earlier state.
struct Watcher {
    stopped: Arc<AtomicBool>,
    seen: Arc<Mutex<u64>>,
    thread: Option<thread::JoinHandle<Result<(), String>>>,
}

impl Watcher {
    fn start(lake: &Lake) -> Self {
        let (stopped, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<u64>>::default());
        let (lake, is_stopped, counted) = (lake.clone(), Arc::clone(&stopped), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            let mut newest: Option<String> = None;
            let mut newest_version: BTreeMap<String, u64> = BTreeMap::new();
            while !is_stopped.load(Ordering::Relaxed) {
                let output = String::from_utf8(lake.read(OUTPUT).unwrap_or_default()).unwrap();
                if let Some(row) = output.lines().find(|row| row.starts_with(&format!("{COUNTER},"))) {
                    if newest.as_deref().is_some_and(|newest| row < newest) {
                        return Err(format!("output.csv returns from {newest:?} to {row:?}"));
                    }
                    if newest.as_deref() != Some(row) {
                        *counted.lock().unwrap() += 1;
                    }
                    newest = Some(row.to_owned());
                }
                let metadata = lake.metadata(OUTPUT);
                if let (Some(table), Some(version)) = (metadata.get("datalake-table"), metadata.get("datalake-version")) {
                    let version: u64 = version.parse().map_err(|_| format!("the version of output.csv is {version:?}"))?;
                    let previous = newest_version.insert(table.clone(), version);
                    if previous.is_some_and(|previous| version < previous) {
                        return Err(format!("output.csv returns from version {previous:?} to {version}"));
                    }
                }
                thread::sleep(POLL);
            }
            Ok(())
        });
        Self {
            stopped,
            seen,
            thread: Some(thread),
        }
    }

    /// Asserts that `output.csv` has not returned to an earlier state.
    #[track_caller]
    fn check(&mut self, edits: u64, context: &str) {
        if self.thread.as_ref().is_some_and(thread::JoinHandle::is_finished) {
            let result = self.thread.take().unwrap().join().unwrap();
            panic!("{context}, after {edits} edits: {result:?}");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}
