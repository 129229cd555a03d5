//! The lake of a scenario: its preparation, and the changes during a pause.

use datalake_core::{keys, plan::DeletionGuard};
use datalake_store::{memory::MemoryBucket, simulation::Bug};
use jiff::SignedDuration;

use crate::{
    invariant::Violation,
    scenario::{
        DuringPause, Expectation, InitialState, Pause, PauseLength, Scenario,
        change::{put, remove},
    },
    sources::{broken_csv, csv, png},
    store_kind::StoreKind,
    world::{Edit, SimRuntime, World},
};

impl Scenario {
    /// Prepares the lake with runs.
    pub fn prepare(&self, runtime: &SimRuntime, kind: StoreKind, bug: Option<Bug>) -> Result<MemoryBucket, Violation> {
        let mut world = World::new(runtime, &kind.store(), kind, bug);
        for (name, bytes) in [
            ("1.csv", csv("One")),
            ("1.png", png("one")),
            ("2.csv", csv("Two")),
            ("2.png", png("two")),
            ("3.csv", csv("Three")),
        ] {
            world.edit(&put(name, bytes))?;
        }
        if self.initial == InitialState::Empty {
            return Ok(world.store().snapshot());
        }
        let hour = SignedDuration::from_hours(1);
        world.run_alone("setup", 1_000)?;
        world.advance(hour);
        world.edit(&put("4.csv", csv("Four")))?;
        world.run_alone("setup", 1_001)?;
        world.advance(hour);
        if !matches!(
            self.initial,
            InitialState::BeforeCheckpoint | InitialState::VacuumOverdue | InitialState::LostEverything
        ) {
            world.edit(&put("4.csv", broken_csv("four")))?;
            world.run_alone("setup", 1_002)?;
            world.advance(hour);
        }
        self.apply_initial_state(&mut world)?;
        for edit in self.changes.iter().flat_map(|change| change.edits()) {
            world.edit(&edit)?;
        }
        Ok(world.store().snapshot())
    }

    /// Brings the prepared lake into the initial state.
    fn apply_initial_state(&self, world: &mut World) -> Result<(), Violation> {
        let day = SignedDuration::from_hours(24);
        match self.initial {
            InitialState::Empty | InitialState::BeforeCheckpoint | InitialState::AfterCheckpoint => {}
            InitialState::Aged => {
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.advance(day * 31);
            }
            InitialState::Recent => {
                world.advance(day * 31);
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.advance(day * 3);
            }
            InitialState::VacuumOverdue => world.advance(day),
            InitialState::FutureVacuum => {
                world.add_unlinked_copy("9");
                world.advance(day * 365);
                world.rewrite_last_vacuum();
                world.advance(day * -365);
                world.advance(SignedDuration::from_hours(30));
            }
            InitialState::LostDataFile => remove_last(world, keys::TABLE, |key| keys::parse_data_file(key).is_some()),
            InitialState::LostEverything => {
                while world
                    .store()
                    .peek_all(keys::TABLE)
                    .iter()
                    .any(|object| is_data_file(&object.meta.key))
                {
                    remove_last(world, keys::TABLE, is_data_file);
                }
                remove_all_users(world)?;
            }
            InitialState::SourcesRemoved => remove_all_users(world)?,
            InitialState::FutureEntry => {
                let year = day * 365;
                world.shift_store_clock(year);
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.shift_store_clock(-year);
                for (number, name) in (1_004..).zip(["Four more", "Four and more"]) {
                    world.edit(&put("4.csv", csv(name)))?;
                    world.run_alone("setup", number)?;
                }
                world.advance(day * 31);
            }
            InitialState::CopiedTable => {
                for check in world.store().peek_all(&format!("{}store-", keys::INGEST)) {
                    world.remove_object(&check.meta.key);
                }
            }
            InitialState::LostRejectsFile => remove_last(world, keys::INGEST, keys::is_rejects_file),
            InitialState::RolledBack => world.roll_back(),
        }
        Ok(())
    }

    /// Starts an execution: every actor is polled up to its first operation.
    pub fn start(&self, runtime: &SimRuntime, kind: StoreKind, lake: &MemoryBucket, bug: Option<Bug>) -> Result<World, Violation> {
        let mut world = World::new(runtime, lake, kind, bug);
        if matches!(
            self.initial,
            InitialState::LostDataFile | InitialState::LostEverything | InitialState::LostRejectsFile | InitialState::RolledBack
        ) {
            world.set_lost_files();
        }
        match self.expectation {
            Expectation::Convergence => {}
            Expectation::Blocked => world.set_deletion_guard(DeletionGuard::On),
            Expectation::Misconfigured => world.ignore_create(),
        }
        for ((name, role), number) in self.actors.iter().zip(1..) {
            world.spawn(name, number, role)?;
        }
        Ok(world)
    }

    /// Executes everything that happens during a pause.
    pub(crate) fn advance_during_pause(&self, world: &mut World, pause: Pause) -> Result<(), Violation> {
        let ahead = SignedDuration::from_hours(10 * 24);
        let is_clock_ahead = pause.length == PauseLength::ClockAhead;
        if is_clock_ahead {
            world.shift_store_clock(ahead);
        }
        match pause.during {
            DuringPause::Rollback | DuringPause::RollbackAndMore => world.roll_back(),
            DuringPause::Rebuild => world.remove_log(),
            _ => {}
        }
        let edits: Vec<Vec<Edit>> = match pause.during {
            DuringPause::Idle | DuringPause::Runs | DuringPause::Rebuild => Vec::new(),
            DuringPause::Undo | DuringPause::UndoOnly => vec![self.changes.iter().flat_map(|change| change.undo()).collect()],
            DuringPause::Invalidate => vec![self.changes.iter().flat_map(|change| change.invalidate()).collect()],
            // A version with the number of the removed one.
            DuringPause::Rollback => vec![vec![put("6.csv", csv("Six"))]],
            // Enough versions for a checkpoint after the one at which the log is cleaned up.
            DuringPause::MoreVersions | DuringPause::RollbackAndMore => (0..5)
                .map(|round| {
                    let undo = self.changes.iter().filter(|_| round == 2).flat_map(|change| change.undo());
                    undo.chain([put("6.csv", csv(&format!("Six {round}")))]).collect()
                })
                .collect(),
        };
        // In thousandths of the pause: the first runs start soon, the last ones shortly before its end.
        let run_times: &[i64] = match pause.during {
            DuringPause::Idle | DuringPause::UndoOnly => &[],
            DuringPause::MoreVersions | DuringPause::RollbackAndMore => &[40, 80, 500, 940, 960],
            _ => &[40, 960],
        };
        let mut edits = edits.into_iter();
        let mut now = 0;
        for (number, time) in (0..).zip(run_times) {
            world.advance(part_of(pause.length, time - now));
            now = *time;
            for edit in edits.next().unwrap_or_default() {
                world.edit(&edit)?;
            }
            world.run_alone(&format!("F{number}"), 100 + number)?;
        }
        world.advance(part_of(pause.length, 1_000 - now));
        // Edits without a run.
        for edit in edits.flatten() {
            world.edit(&edit)?;
        }
        if is_clock_ahead {
            world.shift_store_clock(-ahead);
        }
        Ok(())
    }
}

/// Removes the sources of every user.
fn remove_all_users(world: &mut World) -> Result<(), Violation> {
    world.edit(&put("notes.txt", csv("not a user")))?;
    for source in ["1.csv", "1.png", "2.csv", "2.png", "3.csv", "4.csv"] {
        world.edit(&remove(source))?;
    }
    Ok(())
}

fn is_data_file(key: &str) -> bool {
    keys::parse_data_file(key).is_some()
}

/// Removes the last object of a kind.
fn remove_last(world: &mut World, prefix: &str, is_of_kind: impl Fn(&str) -> bool) {
    let objects = world.store().peek_all(prefix);
    if let Some(object) = objects.iter().rfind(|object| is_of_kind(&object.meta.key)) {
        world.remove_object(&object.meta.key);
    }
}

fn part_of(length: PauseLength, thousandths: i64) -> SignedDuration {
    SignedDuration::from_secs(length.minutes() * 60 * thousandths / 1_000)
}
