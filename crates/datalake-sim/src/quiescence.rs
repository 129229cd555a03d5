//! The checks at quiescence: what must hold after a run during which no other run was active.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use datalake_core::{
    error_chain::error_chain,
    keys::{self, LogKey},
    plan::DeletionGuard,
    run::{RunMode, RunOutcome},
};
use datalake_processor::{options::Lake, run};
use datalake_store::{memory::MemoryBucket, simulation::Bug};
use datalake_table::{delta::version::committed_by, table::Table};
use futures_util::{FutureExt, TryStreamExt};
use jiff::SignedDuration;

use crate::{
    fingerprints::Fingerprints,
    invariant::{Invariant, Violation, violation},
    loaded_version::Loaded,
    oracle::{ToleratedFaults, check_copies, check_leftovers},
    world::{SETTINGS, World, options},
};

/// Longer than the time without other runs that the guarantees of a run require.
const QUIET_TIME: SignedDuration = SignedDuration::from_mins(10);

/// Longer than the interval of the vacuum, which removes the remains of killed runs.
const DAY: SignedDuration = SignedDuration::from_hours(26);

/// How long versions remain readable.
const RETENTION: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How long log entries remain that a checkpoint replaces.
const LOG_RETENTION: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Runs the processor until the lake must agree with the sources, and checks that it does.
pub(crate) fn check(world: &mut World) -> Result<(), Violation> {
    if world.has_only_succeeded() && world.oracle.tolerated == ToleratedFaults::default() {
        world.check_output()?;
    }
    world.advance(QUIET_TIME);
    world.run_alone("Q1", 900)?;
    let newest = check_table(world)?;
    // No run has seen the effect of an outdated write yet; the daily vacuum repairs it.
    if !world.may_have_outdated_writes() {
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
    let newest = check_table(world)?;
    check_copies(world.store(), &newest)?;
    check_leftovers(world.store(), &newest)?;
    check_log(world.store())?;
    check_as_of(world, &newest)?;
    check_retained(world)
}

fn check_table(world: &World) -> Result<Rc<Loaded>, Violation> {
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

/// Maximum number of cached rebuilds.
const REBUILDS_MAX: usize = 10_000;

/// `output.csv` by the planted bug and the fingerprint of the sources.
type Rebuilds = HashMap<(Option<Bug>, u64), Rc<str>>;

thread_local! {
    static REBUILDS: RefCell<Rebuilds> = RefCell::default();
}

/// `output.csv` of a rebuild in an empty lake.
fn rebuilt(world: &World) -> Result<Rc<str>, Violation> {
    let key = (world.bug(), world.fingerprints().sources);
    if let Some(output) = REBUILDS.with_borrow(|rebuilds| rebuilds.get(&key).cloned()) {
        return Ok(output);
    }
    let store = MemoryBucket::new().with_etags_of(world.kind().etags).frozen();
    store.set_now(world.store().now());
    let declaration = world.store().peek(keys::DECLARATION);
    for source in world.store().peek_all(keys::SOURCES).into_iter().chain(declaration) {
        store.restore(source);
    }
    let lake = Lake {
        bucket: Arc::new(store.clone()),
        requests: Arc::default(),
    };
    let options = options("rebuild", RunMode::Incremental, DeletionGuard::Off);
    let _entered = world.enter_runtime();
    let report = run::run(&lake, &options).now_or_never();
    let output = store.peek(keys::OUTPUT);
    match (report, output) {
        (Some(report), Some(output)) if report.outcome == RunOutcome::Succeeded => {
            let output: Rc<str> = String::from_utf8_lossy(&output.bytes).into();
            REBUILDS.with_borrow_mut(|rebuilds| {
                if rebuilds.len() >= REBUILDS_MAX {
                    rebuilds.clear();
                }
                rebuilds.insert(key, Rc::clone(&output));
            });
            Ok(output)
        }
        (report, _) => Err(violation(
            Invariant::Convergence,
            format!("a rebuild fails: {:?}", report.and_then(|report| report.error)),
        )),
    }
}

/// The vacuum removed the log before the newest checkpoint whose version is older than the retention. An entry counts as at least as old as
/// later entries.
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
    let leftover = logged().find(|(key, _)| matches!(key, LogKey::Entry(number) | LogKey::Checkpoint(number) if *number < first_kept));
    match leftover {
        Some((_, object)) => Err(violation(Invariant::NoLeftovers, format!("{} was not removed", object.meta.key))),
        None => Ok(()),
    }
}

/// The version as of the current time is the newest one.
fn check_as_of(world: &World, newest: &Loaded) -> Result<(), Violation> {
    let table = Table::with_settings(Arc::new(world.store().clone()), SETTINGS);
    let finding = async {
        let Some(retained) = table.retained().await? else { return Ok(None) };
        let facts: Vec<_> = table.facts(retained.collect()).try_collect().await?;
        let commits = facts.iter().map(|facts| (facts.number, facts.committed_at));
        Ok::<_, datalake_table::error::TableError>(committed_by(commits, world.store().now()))
    };
    match finding.now_or_never().expect("the in-memory store responds at once") {
        Ok(Some(found)) if found == newest.number => Ok(()),
        Ok(found) => Err(violation(
            Invariant::AsOf,
            format!(
                "the version as of the current time is {found:?}, but the newest is {}",
                newest.number
            ),
        )),
        Err(error) => Err(violation(Invariant::AsOf, error_chain(&error))),
    }
}

/// Every version whose entry is within the retention loads, unless its files were removed on purpose.
///
/// Ages are those of the store's clock, the only clock that runs share. If that clock jumps ahead, every object becomes older, and the vacuum
/// removes objects whose retention has ended by that clock.
fn check_retained(world: &World) -> Result<(), Violation> {
    if world.clock_has_jumped() {
        return Ok(());
    }
    let store = world.store();
    let table = Table::with_settings(Arc::new(store.clone()), SETTINGS);
    let loading = async {
        let Some(retained) = table.retained().await? else { return Ok(()) };
        for number in retained {
            let entry = store.peek(&keys::log_entry(number));
            let is_retained = entry.is_some_and(|entry| store.now().duration_since(entry.meta.modified) < RETENTION);
            if is_retained {
                let version = table.at(number).await?;
                table.all_rows(&version).try_for_each(async |_| Ok(())).await?;
            }
        }
        Ok::<_, datalake_table::error::TableError>(())
    };
    let loaded = loading.now_or_never().expect("the in-memory store responds at once");
    match loaded {
        Err(error) if !world.lost_files() => Err(violation(Invariant::Retention, error_chain(&error))),
        _ => Ok(()),
    }
}

/// A digest of the state on which [`check`] depends.
pub(crate) fn state(world: &World) -> u64 {
    let Fingerprints { all, .. } = world.fingerprints();
    *all ^ u64::from_ne_bytes(world.now().as_millisecond().to_ne_bytes()).rotate_left(17)
}
