//! The lake of a scenario: how it is prepared, and what happens to it while an actor sleeps.

use datalake_core::{keys, plan::DeletionGuard};
use datalake_store::{memory::MemoryBucket, simulation::Bug};
use jiff::SignedDuration;

use crate::{
    oracle::Violation,
    scenario::{
        Expectation, Length, Meanwhile, Pause, Scenario, Start, StoreKind,
        change::{put, remove},
    },
    sources::{broken_csv, csv, png},
    world::{Edit, Machine, World},
};

impl Scenario {
    /// The lake before the actors begin, made by runs.
    pub fn prepare(&self, machine: &Machine, kind: StoreKind, bug: Option<Bug>) -> Result<MemoryBucket, Violation> {
        let mut world = World::new(machine, &kind.store(), kind, bug);
        for (name, bytes) in [
            ("1.csv", csv("One")),
            ("1.png", png("one")),
            ("2.csv", csv("Two")),
            ("2.png", png("two")),
            ("3.csv", csv("Three")),
        ] {
            world.edit(&put(name, bytes))?;
        }
        if self.start == Start::Empty {
            return Ok(world.store().snapshot());
        }
        let hour = SignedDuration::from_hours(1);
        world.run_alone("setup", 1_000)?;
        world.advance(hour);
        world.edit(&put("4.csv", csv("Four")))?;
        world.run_alone("setup", 1_001)?;
        world.advance(hour);
        if !matches!(self.start, Start::BeforeCheckpoint | Start::VacuumDue | Start::LostEverything) {
            world.edit(&put("4.csv", broken_csv("four")))?;
            world.run_alone("setup", 1_002)?;
            world.advance(hour);
        }
        self.begin_with(&mut world)?;
        for edit in self.changes.iter().flat_map(|change| change.edits()) {
            world.edit(&edit)?;
        }
        Ok(world.store().snapshot())
    }

    /// What happened to the lake.
    fn begin_with(&self, world: &mut World) -> Result<(), Violation> {
        let day = SignedDuration::from_hours(24);
        match self.start {
            Start::Empty | Start::BeforeCheckpoint | Start::AfterCheckpoint => {}
            Start::Aged => {
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.advance(day * 31);
            }
            Start::Recent => {
                world.advance(day * 31);
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.advance(day * 3);
            }
            Start::VacuumDue => world.advance(day),
            Start::FutureVacuum => {
                world.leave_copy("9");
                world.advance(day * 365);
                world.touch_vacuum_note();
                world.advance(day * -365);
                world.advance(SignedDuration::from_hours(30));
            }
            Start::LostFile => lose_last(world, keys::TABLE, |key| keys::parse_data_file(key).is_some()),
            Start::LostEverything => {
                while world
                    .store()
                    .peek_all(keys::TABLE)
                    .iter()
                    .any(|object| is_data_file(&object.meta.key))
                {
                    lose_last(world, keys::TABLE, is_data_file);
                }
                empty(world)?;
            }
            Start::Emptied => empty(world)?,
            Start::FutureEntry => {
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
            Start::Copied => {
                for check in world.store().peek_all(&format!("{}store-", keys::INGEST)) {
                    world.lose(&check.meta.key);
                }
            }
            Start::LostRejects => lose_last(world, keys::INGEST, keys::is_rejects_file),
            Start::RolledBack => world.roll_back(),
        }
        Ok(())
    }

    /// The world at its beginning: every actor is before its first operation.
    pub fn begin(&self, machine: &Machine, kind: StoreKind, start: &MemoryBucket, bug: Option<Bug>) -> Result<World, Violation> {
        let mut world = World::new(machine, start, kind, bug);
        if matches!(
            self.start,
            Start::LostFile | Start::LostEverything | Start::LostRejects | Start::RolledBack
        ) {
            world.note_lost_files();
        }
        match self.expectation {
            Expectation::Convergence => {}
            Expectation::Refusal => world.guard(DeletionGuard::On),
            Expectation::Misconfiguration => world.ignore_create(),
        }
        for ((name, role), number) in self.actors.iter().zip(1..) {
            world.spawn(name, number, role)?;
        }
        Ok(world)
    }

    /// Everything that happens while an actor sleeps.
    pub(crate) fn sleep(&self, world: &mut World, pause: Pause) -> Result<(), Violation> {
        let ahead = SignedDuration::from_hours(10 * 24);
        let is_clock_ahead = pause.length == Length::ClockAhead;
        if is_clock_ahead {
            world.shift_store_clock(ahead);
        }
        match pause.meanwhile {
            Meanwhile::Rollback | Meanwhile::RollbackAndMore => world.roll_back(),
            Meanwhile::Rebuild => world.remove_log(),
            _ => {}
        }
        let edits: Vec<Vec<Edit>> = match pause.meanwhile {
            Meanwhile::Quiet | Meanwhile::Nothing | Meanwhile::Rebuild => Vec::new(),
            Meanwhile::Undo | Meanwhile::QuietUndo => vec![self.changes.iter().flat_map(|change| change.undo()).collect()],
            Meanwhile::Spoil => vec![self.changes.iter().flat_map(|change| change.spoil()).collect()],
            // A version with the number of the one that was removed.
            Meanwhile::Rollback => vec![vec![put("6.csv", csv("Six"))]],
            // As many versions as let a checkpoint follow the one after which the log is cleaned up.
            Meanwhile::More | Meanwhile::RollbackAndMore => (0..5)
                .map(|round| {
                    let undo = self.changes.iter().filter(|_| round == 2).flat_map(|change| change.undo());
                    undo.chain([put("6.csv", csv(&format!("Six {round}")))]).collect()
                })
                .collect(),
        };
        // The first runs follow at once, the last ones shortly before the sleeper goes on.
        let moments: &[i64] = match pause.meanwhile {
            Meanwhile::Quiet | Meanwhile::QuietUndo => &[],
            Meanwhile::More | Meanwhile::RollbackAndMore => &[40, 80, 500, 940, 960],
            _ => &[40, 960],
        };
        let mut edits = edits.into_iter();
        let mut now = 0;
        for (number, moment) in (0..).zip(moments) {
            world.advance(part_of(pause.length, moment - now));
            now = *moment;
            for edit in edits.next().unwrap_or_default() {
                world.edit(&edit)?;
            }
            world.run_alone(&format!("F{number}"), 100 + number)?;
        }
        world.advance(part_of(pause.length, 1_000 - now));
        // Edits that no run has seen yet.
        for edit in edits.flatten() {
            world.edit(&edit)?;
        }
        if is_clock_ahead {
            world.shift_store_clock(-ahead);
        }
        Ok(())
    }
}

/// The data owner removes every user.
fn empty(world: &mut World) -> Result<(), Violation> {
    world.edit(&put("notes.txt", csv("not a user")))?;
    for source in ["1.csv", "1.png", "2.csv", "2.png", "3.csv", "4.csv"] {
        world.edit(&remove(source))?;
    }
    Ok(())
}

fn is_data_file(key: &str) -> bool {
    keys::parse_data_file(key).is_some()
}

/// Loses the last object of a kind.
fn lose_last(world: &mut World, prefix: &str, is_of_kind: impl Fn(&str) -> bool) {
    let objects = world.store().peek_all(prefix);
    if let Some(object) = objects.iter().rfind(|object| is_of_kind(&object.meta.key)) {
        world.lose(&object.meta.key);
    }
}

fn part_of(length: Length, thousandths: i64) -> SignedDuration {
    SignedDuration::from_secs(length.minutes() * 60 * thousandths / 1_000)
}
