//! What must hold once everything is quiet: after a run during which no other run was active.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use datalake_core::{
    keys::{self, LogKey},
    plan::DeletionGuard,
    report::{RunMode, RunOutcome},
};
use datalake_processor::{options::Lake, run};
use datalake_store::{memory::MemoryBucket, simulation::Bug};
use datalake_table::{delta::version::committed_by, table::Table};
use futures_util::{FutureExt, TryStreamExt};
use jiff::SignedDuration;

use crate::{
    observed::{Fingerprints, Loaded, words},
    oracle::{Invariant, Leniency, Violation, check_copies, check_leftovers, violation},
    world::{SETTINGS, World, options},
};

/// Longer than a run must be alone for its guarantees to hold.
const REST: SignedDuration = SignedDuration::from_mins(10);

/// After which the daily vacuum is due, and what dead runs left is removed.
const DAY: SignedDuration = SignedDuration::from_hours(26);

/// How long versions stay readable.
const RETENTION: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How long log entries stay that a checkpoint replaces.
const LOG_RETENTION: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Runs the processor until everything must be as the sources say, and checks that it is.
pub(crate) fn settle(world: &mut World) -> Result<(), Violation> {
    if world.has_only_succeeded() && world.oracle.leniency == Leniency::default() {
        world.check_output()?;
    }
    world.advance(REST);
    world.run_alone("Q1", 900)?;
    let newest = check(world)?;
    // A removal that arrived late was seen by no run: the daily vacuum repairs what it did.
    if !world.has_late_writes() {
        check_copies(world.store(), &newest)?;
    }
    world.advance(SignedDuration::from_mins(1));
    let before = world.fingerprints().clone();
    let report = world.run_alone("Q2", 901)?;
    let written = before.differing(world.fingerprints());
    if let Some(key) = written.iter().find(|key| !key.starts_with(keys::RUNS) && *key != keys::LAST_VACUUM) {
        return Err(violation(
            Invariant::Idempotence,
            format!("a second run writes {key}, counts: {:?}", report.counts),
        ));
    }
    world.advance(DAY);
    world.run_alone("Q3", 902)?;
    let newest = check(world)?;
    check_copies(world.store(), &newest)?;
    check_leftovers(world.store(), &newest)?;
    check_log(world.store())?;
    check_as_of(world, &newest)?;
    check_retained(world)
}

fn check(world: &World) -> Result<Rc<Loaded>, Violation> {
    let newest = world.oracle.newest().cloned();
    let newest = newest.ok_or_else(|| violation(Invariant::Convergence, "there is no table after a run"))?;
    world.check_output()?;
    let rebuilt = rebuilt(world)?;
    let comparable = |output: &str| -> String {
        let is_rejected = |line: &str| {
            let user_id = line.split(',').next().unwrap_or_default();
            newest.rejected.iter().any(|rejected| rejected == user_id)
        };
        let lines = output.lines().filter(|line| !is_rejected(line));
        lines.flat_map(|line| [line, "\n"]).collect()
    };
    if comparable(&newest.output) != comparable(&rebuilt) {
        return Err(violation(
            Invariant::IncrementalIsFull,
            format!("the table has\n{}a rebuild has\n{rebuilt}", newest.output),
        ));
    }
    Ok(newest)
}

/// Rebuilds that are remembered, by the sources and the planted bug.
const REBUILDS_MAX: usize = 10_000;

/// `output.csv` by the planted bug and the fingerprint of the sources.
type Rebuilds = HashMap<(Option<Bug>, u64), Rc<str>>;

thread_local! {
    static REBUILDS: RefCell<Rebuilds> = RefCell::default();
}

/// `output.csv` of a rebuild in an empty lake.
fn rebuilt(world: &World) -> Result<Rc<str>, Violation> {
    let known = (world.bug(), world.fingerprints().sources);
    if let Some(output) = REBUILDS.with_borrow(|rebuilds| rebuilds.get(&known).cloned()) {
        return Ok(output);
    }
    let store = MemoryBucket::new().with_etags_of(world.kind().tags).frozen();
    store.set_now(world.store().now());
    for source in world.store().peek_all(keys::SOURCES) {
        store.restore(source);
    }
    let lake = Lake {
        bucket: Arc::new(store.clone()),
        requests: Arc::default(),
    };
    let options = options("rebuild", RunMode::Incremental, DeletionGuard::Off);
    let _entered = world.enter();
    let report = run::run(&lake, &options).now_or_never();
    let output = store.peek(keys::OUTPUT);
    match (report, output) {
        (Some(report), Some(output)) if report.outcome == RunOutcome::Succeeded => {
            let output: Rc<str> = String::from_utf8_lossy(&output.bytes).into();
            REBUILDS.with_borrow_mut(|rebuilds| {
                if rebuilds.len() >= REBUILDS_MAX {
                    rebuilds.clear();
                }
                rebuilds.insert(known, Rc::clone(&output));
            });
            Ok(output)
        }
        (report, _) => Err(violation(
            Invariant::Convergence,
            format!("a rebuild fails: {:?}", report.and_then(|report| report.error)),
        )),
    }
}

/// The vacuum removed what precedes the newest checkpoint of a version that is older than the retention. An entry is at least as old as those
/// after it.
fn check_log(store: &MemoryBucket) -> Result<(), Violation> {
    let objects = store.peek_all(keys::LOG);
    let logged = || {
        objects
            .iter()
            .filter_map(|object| Some((keys::parse_log(&object.meta.key)?, object)))
    };
    let is_old = |number: u64| {
        logged().any(|(key, object)| {
            matches!(key, LogKey::Entry(entry) if entry >= number) && store.now().duration_since(object.meta.modified) > LOG_RETENTION
        })
    };
    let checkpoints = logged().filter_map(|(key, _)| match key {
        LogKey::Checkpoint(number) if is_old(number) => Some(number),
        LogKey::Checkpoint(_) | LogKey::Entry(_) => None,
    });
    let first_kept = checkpoints.max().unwrap_or(0);
    let left = logged().find(|(key, _)| matches!(key, LogKey::Entry(number) | LogKey::Checkpoint(number) if *number < first_kept));
    match left {
        Some((_, object)) => Err(violation(Invariant::NoLeftovers, format!("{} is left", object.meta.key))),
        None => Ok(()),
    }
}

/// A reader that asks for the version as of now gets the newest one.
fn check_as_of(world: &World, newest: &Loaded) -> Result<(), Violation> {
    let table = Table::with_settings(Arc::new(world.store().clone()), SETTINGS);
    let finding = async {
        let Some(retained) = table.retained().await? else { return Ok(None) };
        let facts: Vec<_> = table.facts(retained.collect()).try_collect().await?;
        let commits = facts.iter().map(|facts| (facts.number, facts.committed_at));
        Ok::<_, datalake_table::error::TableError>(committed_by(commits, world.store().now()))
    };
    match finding.now_or_never().expect("the store in memory answers at once") {
        Ok(Some(found)) if found == newest.number => Ok(()),
        Ok(found) => Err(violation(
            Invariant::AsOf,
            format!("as of now the version is {found:?}; the newest is {}", newest.number),
        )),
        Err(error) => Err(violation(Invariant::AsOf, words(&error))),
    }
}

/// Every version whose entry is within the retention loads, unless a repair took its files away.
///
/// Ages are those of the store's clock, which is the only one that runs share: a clock that leapt ahead makes every object older by as much, and
/// the vacuum of that time removes what the clock says is past its retention.
fn check_retained(world: &World) -> Result<(), Violation> {
    if world.has_leapt() {
        return Ok(());
    }
    let store = world.store();
    let table = Table::with_settings(Arc::new(store.clone()), SETTINGS);
    let loading = async {
        let Some(retained) = table.retained().await? else { return Ok(()) };
        for number in retained {
            let entry = store.peek(&keys::log_entry(number));
            let is_young = entry.is_some_and(|entry| store.now().duration_since(entry.meta.modified) < RETENTION);
            if is_young {
                let version = table.at(number).await?;
                table.all_rows(&version).try_for_each(async |_| Ok(())).await?;
            }
        }
        Ok::<_, datalake_table::error::TableError>(())
    };
    let loaded = loading.now_or_never().expect("the store in memory answers at once");
    match loaded {
        Err(error) if !world.lost_files() => Err(violation(Invariant::Retention, words(&error))),
        _ => Ok(()),
    }
}

/// The state of the objects that count for [`settle`].
pub(crate) fn state(world: &World) -> u64 {
    let Fingerprints { all, .. } = world.fingerprints();
    *all ^ u64::from_ne_bytes(world.now().as_millisecond().to_ne_bytes()).rotate_left(17)
}
