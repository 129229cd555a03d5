//! Scenarios for the explorer: small lakes, changes of their sources, and actors.

mod change;
mod lake;
mod pause;

use datalake_core::run::RunMode;
use datalake_store::memory::Expiry;

pub(crate) use self::change::{declare, put, remove, salted};
use self::pause::pauses;
pub use self::{
    change::Change,
    pause::{DuringPause, Pause, PauseLength},
};
use crate::{
    sources::{broken_png, csv, png},
    store_kind::StoreKind,
    world::Role,
};

/// The state of the lake before the actors start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InitialState {
    /// There is no table.
    Empty,
    /// A table with two versions: the next commit writes a checkpoint.
    BeforeCheckpoint,
    /// A table with three versions and a checkpoint of the last one.
    AfterCheckpoint,
    /// The first versions are past their retention, and the next vacuum removes their entries.
    Aged,
    /// The data files are past their retention, and the newest version is three days old.
    Recent,
    /// The last vacuum was a day ago.
    VacuumOverdue,
    /// The last vacuum is dated in the future because a clock was ahead, and an image copy exists that no row links.
    FutureVacuum,
    /// A data file of the newest version is missing.
    LostDataFile,
    /// Every data file and every source is missing.
    LostEverything,
    /// The file of rejected and ignored sources is missing.
    LostRejectsFile,
    /// The operator removed the last entry.
    RolledBack,
    /// The sources of every user were removed, and one ignored file is listed.
    SourcesRemoved,
    /// One entry is dated in the future because the store's clock was ahead. The others are past their retention.
    FutureEntry,
    /// The table was copied from another store.
    CopiedTable,
}

/// The expected end of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// After the actors have ended, a run brings the lake into agreement with the sources.
    Convergence,
    /// The guard against mass deletion stops every run.
    Blocked,
    /// Every run reports that the store has no conditional creates, and commits nothing.
    Misconfigured,
}

/// A lake and its actors.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The unique name.
    pub name: String,
    initial: InitialState,
    changes: Vec<Change>,
    /// Names and roles. The order determines the numbers of the actors.
    pub actors: Vec<(&'static str, Role)>,
    /// The pauses of the last active actor, at every operation.
    pub pauses: Vec<Pause>,
    /// Whether another run starts when a paused actor continues.
    pub has_concurrent_run: bool,
    /// Whether it requires a store on which writes expire with time.
    requires_timed_expiry: bool,
    /// The expected end.
    pub expectation: Expectation,
}

fn two_runs() -> Vec<(&'static str, Role)> {
    vec![("A", Role::run("run-a")), ("B", Role::run("run-b"))]
}

impl Scenario {
    fn new(name: impl Into<String>, initial: InitialState, changes: &[Change], actors: Vec<(&'static str, Role)>) -> Self {
        Self {
            name: name.into(),
            initial,
            changes: changes.to_vec(),
            actors,
            pauses: Pause::usual(),
            has_concurrent_run: false,
            requires_timed_expiry: false,
            expectation: Expectation::Convergence,
        }
    }

    /// Every scenario.
    pub fn all() -> Vec<Self> {
        let mut all = Self::of_two_runs();
        all.extend(Self::of_pauses());
        all.extend(Self::of_vacuum_and_damage());
        all.extend(Self::of_readers());
        all.extend(Self::of_owners());
        all
    }

    /// Two concurrent runs, for each kind of change.
    fn of_two_runs() -> Vec<Self> {
        let of_change = |(index, change): (usize, Change)| {
            let start = if index % 2 == 0 {
                InitialState::BeforeCheckpoint
            } else {
                InitialState::AfterCheckpoint
            };
            Self::new(format!("two-runs-{}", change.name()), start, &[change], two_runs())
        };
        let mut all: Vec<Self> = Change::ALL.into_iter().enumerate().map(of_change).collect();
        let mixed = [Change::Add, Change::Delete, Change::Link, Change::Replace, Change::Reject];
        all.push(Self::new("two-runs-mixed", InitialState::BeforeCheckpoint, &mixed, two_runs()));
        all.push(Self::new("first-runs", InitialState::Empty, &[], two_runs()));
        let pods = vec![("A", Role::run("run-a")), ("B", Role::run("run-a"))];
        all.push(Self::new("first-runs-of-one-id", InitialState::Empty, &[], pods.clone()));
        all.push(Self::new("pods-of-one-job", InitialState::AfterCheckpoint, &[Change::Link], pods));
        let full = Role::Run {
            run_id: "run-b".to_owned(),
            mode: RunMode::Full,
        };
        let with_full = vec![("A", Role::run("run-a")), ("B", full)];
        all.push(Self::new("full-run", InitialState::BeforeCheckpoint, &[Change::Replace], with_full));
        all
    }

    /// A run that is paused. Another run starts when it continues.
    fn of_pauses() -> Vec<Self> {
        let mut all = Vec::new();
        for (infix, start) in [
            ("", InitialState::AfterCheckpoint),
            ("checkpoint-", InitialState::BeforeCheckpoint),
            ("vacuum-", InitialState::VacuumOverdue),
        ] {
            for change in Change::ALL {
                let one_run = vec![("A", Role::run("run-a"))];
                all.push(Self {
                    pauses: Pause::before_concurrent_run(),
                    has_concurrent_run: true,
                    ..Self::new(format!("pause-{infix}{}", change.name()), start, &[change], one_run)
                });
            }
        }
        // No other run is active during the pause: the vacuum starts when the paused run continues.
        all.push(Self {
            pauses: pauses(&[PauseLength::Hours, PauseLength::TenDays], &[DuringPause::UndoOnly]),
            has_concurrent_run: true,
            ..Self::new(
                "pause-undisturbed",
                InitialState::VacuumOverdue,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        all.push(Self {
            pauses: pauses(&[PauseLength::FortyDays], &[DuringPause::MoreVersions]),
            ..Self::new(
                "pause-forty-days",
                InitialState::BeforeCheckpoint,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        all
    }

    /// Vacuums, and damaged or unusual lakes.
    fn of_vacuum_and_damage() -> Vec<Self> {
        let mut all = Vec::new();
        for change in [Change::Values, Change::Unlink, Change::Replace] {
            let name = format!("vacuum-{}", change.name());
            all.push(Self::new(name, InitialState::VacuumOverdue, &[change], two_runs()));
        }
        for (name, start) in [
            ("future-vacuum", InitialState::FutureVacuum),
            ("lost-file", InitialState::LostDataFile),
            ("lost-rejects", InitialState::LostRejectsFile),
            ("rolled-back", InitialState::RolledBack),
            ("future-entry", InitialState::FutureEntry),
            ("vacuum-recent", InitialState::Recent),
        ] {
            all.push(Self::new(name, start, &[Change::Values], two_runs()));
        }
        let cleanups: [(&str, &[Change]); 2] = [("log-cleanup", &[Change::Values]), ("log-cleanup-idle", &[])];
        for (name, changes) in cleanups {
            all.push(Self::new(name, InitialState::Aged, changes, two_runs()));
        }
        // Before a rollback, the operator waits until the writes of active runs have expired.
        all.push(Self {
            pauses: pauses(&[PauseLength::Hours], &[DuringPause::Rollback, DuringPause::RollbackAndMore]),
            requires_timed_expiry: true,
            ..Self::new(
                "pause-rollback",
                InitialState::AfterCheckpoint,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        for (name, start, expectation) in [
            ("lost-everything", InitialState::LostEverything, Expectation::Blocked),
            ("sources-removed", InitialState::SourcesRemoved, Expectation::Blocked),
            ("store-without-create", InitialState::CopiedTable, Expectation::Misconfigured),
        ] {
            let changes: &[Change] = if start == InitialState::CopiedTable {
                &[Change::Values]
            } else {
                &[]
            };
            all.push(Self {
                pauses: Vec::new(),
                expectation,
                ..Self::new(name, start, changes, two_runs())
            });
        }
        all
    }

    fn of_readers() -> Vec<Self> {
        let reader = |polls| ("R", Role::Reader { polls });
        let mut all = Vec::new();
        for (name, start) in [
            ("reader", InitialState::BeforeCheckpoint),
            ("reader-vacuum", InitialState::VacuumOverdue),
            ("reader-cleanup", InitialState::Aged),
        ] {
            let actors = vec![reader(4), ("A", Role::run("run-a"))];
            all.push(Self::new(name, start, &[Change::Values, Change::Link], actors));
        }
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new("first-reader", InitialState::Empty, &[], vec![reader(4), ("A", Role::run("run-a"))])
        });
        let during = [
            DuringPause::Undo,
            DuringPause::MoreVersions,
            DuringPause::Rollback,
            DuringPause::RollbackAndMore,
            DuringPause::Rebuild,
        ];
        all.push(Self {
            pauses: pauses(
                &[PauseLength::Minutes, PauseLength::Day, PauseLength::TenDays, PauseLength::FortyDays],
                &during,
            ),
            ..Self::new("reader-pause", InitialState::AfterCheckpoint, &[Change::Values], vec![reader(5)])
        });
        all
    }

    /// The data owner edits sources while runs are active.
    fn of_owners() -> Vec<Self> {
        let mut all = Vec::new();
        for (name, edits) in [
            ("upload", vec![put("3.png", png("three"))]),
            ("withdraw", vec![remove("1.png"), put("1.png", png("other"))]),
            ("replace-twice", vec![put("1.png", png("other")), put("1.png", png("third"))]),
            ("invalidate", vec![put("1.png", png("other")), put("1.png", broken_png("other"))]),
            ("undo", vec![put("1.csv", csv("Changed")), put("1.csv", csv("One"))]),
            ("relink", vec![remove("1.png"), put("1.png", png("one"))]),
            ("delete", vec![remove("2.csv"), put("2.csv", csv("Two"))]),
            ("declare", vec![declare("string"), declare("integer")]),
        ] {
            let owner = ("O", Role::Owner { edits });
            for (infix, runs) in [("one-run-", vec![("A", Role::run("run-a"))]), ("", two_runs())] {
                all.push(Self {
                    pauses: Vec::new(),
                    ..Self::new(
                        format!("owner-{infix}{name}"),
                        InitialState::AfterCheckpoint,
                        &[],
                        [runs, vec![owner.clone()]].concat(),
                    )
                });
            }
        }
        let edits = vec![put("1.csv", csv("Other")), put("1.csv", csv("Changed"))];
        let actors = vec![("A", Role::run("run-a")), ("O", Role::Owner { edits })];
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new("owner-aba", InitialState::AfterCheckpoint, &[Change::Values], actors)
        });
        let edits = vec![put("1.png", png("other"))];
        let pods = vec![("A", Role::run("run-a")), ("B", Role::run("run-a")), ("O", Role::Owner { edits })];
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new("owner-pods-of-one-job", InitialState::AfterCheckpoint, &[Change::Replace], pods)
        });
        let edits = vec![put("1.png", png("other")), put("1.png", png("one"))];
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new(
                "owner-first-runs",
                InitialState::Empty,
                &[],
                [two_runs(), vec![("O", Role::Owner { edits })]].concat(),
            )
        });
        all
    }

    /// Whether the scenario applies to this kind of store.
    pub fn supports(&self, kind: StoreKind) -> bool {
        !self.requires_timed_expiry || kind.expiry == Expiry::Timed
    }

    /// The scenario with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }
}
