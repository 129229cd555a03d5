//! Small lakes and the actors over them, for the explorer.

mod change;
mod lake;
mod pause;
mod store_kind;

use datalake_core::report::RunMode;
use datalake_store::memory::Expiry;

pub(crate) use self::change::{put, remove, salted};
use self::pause::pauses;
pub use self::{
    change::Change,
    pause::{Length, Meanwhile, Pause},
    store_kind::StoreKind,
};
use crate::{
    sources::{broken_png, csv, png},
    world::Role,
};

/// How a lake looks before the actors begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// There is no table.
    Empty,
    /// A table of two versions: the next one is checkpointed.
    BeforeCheckpoint,
    /// A table of three versions, the last one checkpointed.
    AfterCheckpoint,
    /// A table whose first versions are past their retention: the vacuum, which is due, removes their entries.
    Aged,
    /// A table whose data files are past their retention, and whose newest version is of three days ago.
    Recent,
    /// The last vacuum was a day ago.
    VacuumDue,
    /// The vacuum's note is from the future: a clock was once ahead. An image copy is left that no row links.
    FutureVacuum,
    /// A data file of the newest version is lost.
    LostFile,
    /// Every data file is lost, and so are the sources.
    LostEverything,
    /// The file of the rejects is lost.
    LostRejects,
    /// The last entry was removed by the operator.
    RolledBack,
    /// Every user's sources are gone; a file that is no source is listed.
    Emptied,
    /// One entry is from the future: the store's clock was once ahead. The others are past their retention.
    FutureEntry,
    /// The table comes from another store.
    Copied,
}

/// What must come of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Once the actors have ended, a run makes everything as the sources say.
    Convergence,
    /// The guard against mass deletion refuses every run.
    Refusal,
    /// The store has no conditional creates: every run says so, and commits nothing.
    Misconfiguration,
}

/// A lake and the actors over it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Unique.
    pub name: String,
    start: Start,
    changes: Vec<Change>,
    /// Names and roles. The numbers of actors follow from their order.
    pub actors: Vec<(&'static str, Role)>,
    /// How the last living actor may sleep, at every operation.
    pub pauses: Vec<Pause>,
    /// Whether a further run begins when a sleeper goes on.
    pub has_companion: bool,
    /// Whether it needs a store on which writes expire with the time.
    expires_in_time: bool,
    /// What must come of it.
    pub expectation: Expectation,
}

fn two_runs() -> Vec<(&'static str, Role)> {
    vec![("A", Role::run("run-a")), ("B", Role::run("run-b"))]
}

impl Scenario {
    fn new(name: impl Into<String>, start: Start, changes: &[Change], actors: Vec<(&'static str, Role)>) -> Self {
        Self {
            name: name.into(),
            start,
            changes: changes.to_vec(),
            actors,
            pauses: Pause::usual(),
            has_companion: false,
            expires_in_time: false,
            expectation: Expectation::Convergence,
        }
    }

    /// Every scenario.
    pub fn all() -> Vec<Self> {
        let mut all = Self::of_two_runs();
        all.extend(Self::of_sleepers());
        all.extend(Self::of_vacuum_and_damage());
        all.extend(Self::of_readers());
        all.extend(Self::of_owners());
        all
    }

    /// Two runs for each kind of change.
    fn of_two_runs() -> Vec<Self> {
        let of_change = |(index, change): (usize, Change)| {
            let start = if index % 2 == 0 {
                Start::BeforeCheckpoint
            } else {
                Start::AfterCheckpoint
            };
            Self::new(format!("two-runs-{}", change.name()), start, &[change], two_runs())
        };
        let mut all: Vec<Self> = Change::ALL.into_iter().enumerate().map(of_change).collect();
        let mixed = [Change::Add, Change::Delete, Change::Link, Change::Replace, Change::Reject];
        all.push(Self::new("two-runs-mixed", Start::BeforeCheckpoint, &mixed, two_runs()));
        all.push(Self::new("first-runs", Start::Empty, &[], two_runs()));
        let pods = vec![("A", Role::run("run-a")), ("B", Role::run("run-a"))];
        all.push(Self::new("first-runs-of-one-id", Start::Empty, &[], pods.clone()));
        all.push(Self::new("pods-of-one-job", Start::AfterCheckpoint, &[Change::Link], pods));
        let full = Role::Run {
            run_id: "run-b".to_owned(),
            mode: RunMode::Full,
        };
        let with_full = vec![("A", Role::run("run-a")), ("B", full)];
        all.push(Self::new("full-run", Start::BeforeCheckpoint, &[Change::Replace], with_full));
        all
    }

    /// A run that sleeps; a further run begins as it wakes up.
    fn of_sleepers() -> Vec<Self> {
        let mut all = Vec::new();
        for (infix, start) in [
            ("", Start::AfterCheckpoint),
            ("checkpoint-", Start::BeforeCheckpoint),
            ("vacuum-", Start::VacuumDue),
        ] {
            for change in Change::ALL {
                let alone = vec![("A", Role::run("run-a"))];
                all.push(Self {
                    pauses: Pause::before_company(),
                    has_companion: true,
                    ..Self::new(format!("sleeper-{infix}{}", change.name()), start, &[change], alone)
                });
            }
        }
        // While the first run sleeps no other one works: the vacuum begins as it goes on.
        all.push(Self {
            pauses: pauses(&[Length::Hours, Length::TenDays], &[Meanwhile::QuietUndo]),
            has_companion: true,
            ..Self::new(
                "sleeper-undisturbed",
                Start::VacuumDue,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        all.push(Self {
            pauses: pauses(&[Length::FortyDays], &[Meanwhile::More]),
            ..Self::new(
                "sleeper-forty-days",
                Start::BeforeCheckpoint,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        all
    }

    /// Vacuums, and lakes that something happened to.
    fn of_vacuum_and_damage() -> Vec<Self> {
        let mut all = Vec::new();
        for change in [Change::Values, Change::Unlink, Change::Replace] {
            let name = format!("vacuum-{}", change.name());
            all.push(Self::new(name, Start::VacuumDue, &[change], two_runs()));
        }
        for (name, start) in [
            ("future-vacuum", Start::FutureVacuum),
            ("lost-file", Start::LostFile),
            ("lost-rejects", Start::LostRejects),
            ("rolled-back", Start::RolledBack),
            ("future-entry", Start::FutureEntry),
            ("vacuum-recent", Start::Recent),
        ] {
            all.push(Self::new(name, start, &[Change::Values], two_runs()));
        }
        let cleanups: [(&str, &[Change]); 2] = [("log-cleanup", &[Change::Values]), ("log-cleanup-idle", &[])];
        for (name, changes) in cleanups {
            all.push(Self::new(name, Start::Aged, changes, two_runs()));
        }
        // An operator who rolls back waits until the fences of runs that are active have expired.
        all.push(Self {
            pauses: pauses(&[Length::Hours], &[Meanwhile::Rollback, Meanwhile::RollbackAndMore]),
            expires_in_time: true,
            ..Self::new(
                "sleeper-rollback",
                Start::AfterCheckpoint,
                &[Change::Values],
                vec![("A", Role::run("run-a"))],
            )
        });
        for (name, start, expectation) in [
            ("lost-everything", Start::LostEverything, Expectation::Refusal),
            ("emptied", Start::Emptied, Expectation::Refusal),
            ("store-without-create", Start::Copied, Expectation::Misconfiguration),
        ] {
            let changes: &[Change] = if start == Start::Copied { &[Change::Values] } else { &[] };
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
            ("reader", Start::BeforeCheckpoint),
            ("reader-vacuum", Start::VacuumDue),
            ("reader-cleanup", Start::Aged),
        ] {
            let actors = vec![reader(4), ("A", Role::run("run-a"))];
            all.push(Self::new(name, start, &[Change::Values, Change::Link], actors));
        }
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new("first-reader", Start::Empty, &[], vec![reader(4), ("A", Role::run("run-a"))])
        });
        let meanwhile = [
            Meanwhile::Undo,
            Meanwhile::More,
            Meanwhile::Rollback,
            Meanwhile::RollbackAndMore,
            Meanwhile::Rebuild,
        ];
        all.push(Self {
            pauses: pauses(&[Length::Minutes, Length::Day, Length::TenDays, Length::FortyDays], &meanwhile),
            ..Self::new("reader-sleeps", Start::AfterCheckpoint, &[Change::Values], vec![reader(5)])
        });
        all
    }

    /// The data owner works while runs are active.
    fn of_owners() -> Vec<Self> {
        let mut all = Vec::new();
        for (name, edits) in [
            ("upload", vec![put("3.png", png("three"))]),
            ("withdraw", vec![remove("1.png"), put("1.png", png("other"))]),
            ("replace-twice", vec![put("1.png", png("other")), put("1.png", png("third"))]),
            ("spoil", vec![put("1.png", png("other")), put("1.png", broken_png("other"))]),
            ("undo", vec![put("1.csv", csv("Changed")), put("1.csv", csv("One"))]),
            ("relink", vec![remove("1.png"), put("1.png", png("one"))]),
            ("delete", vec![remove("2.csv"), put("2.csv", csv("Two"))]),
        ] {
            let owner = ("O", Role::Owner { edits });
            for (infix, runs) in [("one-run-", vec![("A", Role::run("run-a"))]), ("", two_runs())] {
                all.push(Self {
                    pauses: Vec::new(),
                    ..Self::new(
                        format!("owner-{infix}{name}"),
                        Start::AfterCheckpoint,
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
            ..Self::new("owner-aba", Start::AfterCheckpoint, &[Change::Values], actors)
        });
        let edits = vec![put("1.png", png("other"))];
        let pods = vec![("A", Role::run("run-a")), ("B", Role::run("run-a")), ("O", Role::Owner { edits })];
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new("owner-pods-of-one-job", Start::AfterCheckpoint, &[Change::Replace], pods)
        });
        let edits = vec![put("1.png", png("other")), put("1.png", png("one"))];
        all.push(Self {
            pauses: Vec::new(),
            ..Self::new(
                "owner-first-runs",
                Start::Empty,
                &[],
                [two_runs(), vec![("O", Role::Owner { edits })]].concat(),
            )
        });
        all
    }

    /// Whether the scenario has a meaning over this kind of store.
    pub fn suits(&self, kind: StoreKind) -> bool {
        !self.expires_in_time || kind.expiry == Expiry::Timed
    }

    /// The scenario of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }
}
