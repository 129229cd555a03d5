//! Small lakes and the actors over them, for the explorer.

use std::fmt;

use datalake_core::{keys, report::RunMode};
use datalake_store::{
    memory::{Expiry, MemoryBucket, Tags},
    simulation::Bug,
};
use jiff::SignedDuration;

use crate::{
    oracle::Violation,
    sources::{broken_csv, broken_png, csv, png},
    world::{Edit, Machine, Role, World},
};

/// What kind of store a scenario runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// What ETags are made of.
    pub tags: Tags,
    /// How fenced writes expire.
    pub expiry: Expiry,
}

impl StoreKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::new(Tags::BytesAndMetadata, Expiry::Timed),
        Self::new(Tags::Bytes, Expiry::Timed),
        Self::new(Tags::BytesAndMetadata, Expiry::Swept),
        Self::new(Tags::Bytes, Expiry::Never),
        Self::new(Tags::BytesAndMetadata, Expiry::Never),
        Self::new(Tags::Bytes, Expiry::Swept),
    ];

    const fn new(tags: Tags, expiry: Expiry) -> Self {
        Self { tags, expiry }
    }

    /// An empty store of this kind.
    pub fn store(self) -> MemoryBucket {
        MemoryBucket::new().tagged_by(self.tags).expiring(self.expiry).frozen()
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = match self.tags {
            Tags::BytesAndMetadata => "unique",
            Tags::Bytes => "content",
        };
        let expiry = match self.expiry {
            Expiry::Timed => "timed",
            Expiry::Swept => "swept",
            Expiry::Never => "never",
        };
        write!(f, "{tags}-{expiry}")
    }
}

/// What the data owner changed before the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new user.
    Add,
    /// Other values of a user.
    Values,
    /// A user goes.
    Delete,
    /// A first image of a user.
    Link,
    /// A user's image goes.
    Unlink,
    /// Another image of a user.
    Replace,
    /// A CSV becomes invalid.
    Reject,
    /// An image becomes invalid.
    RejectImage,
    /// The same bytes are stored again.
    Touch,
}

impl Change {
    /// Every kind of change.
    pub const ALL: [Self; 9] = [
        Self::Add,
        Self::Values,
        Self::Delete,
        Self::Link,
        Self::Unlink,
        Self::Replace,
        Self::Reject,
        Self::RejectImage,
        Self::Touch,
    ];

    /// As scenarios spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Values => "values",
            Self::Delete => "delete",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Replace => "replace",
            Self::Reject => "reject",
            Self::RejectImage => "reject-image",
            Self::Touch => "touch",
        }
    }

    /// The edits that make it of the prepared lake.
    fn edits(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![put("5.csv", csv("Five"))],
            Self::Values => vec![put("1.csv", csv("Changed"))],
            Self::Delete => vec![remove("2.csv"), remove("2.png")],
            Self::Link => vec![put("3.png", png("three"))],
            Self::Unlink => vec![remove("1.png")],
            Self::Replace => vec![put("1.png", png("replaced"))],
            Self::Reject => vec![put("1.csv", broken_csv("one"))],
            Self::RejectImage => vec![put("1.png", broken_png("one"))],
            Self::Touch => vec![salted("1.csv", csv("One"), 7), salted("1.png", png("one"), 7)],
        }
    }

    /// The edits that undo it.
    fn undo(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![remove("5.csv")],
            Self::Values | Self::Reject => vec![put("1.csv", csv("One"))],
            Self::Delete => vec![put("2.csv", csv("Two")), put("2.png", png("two"))],
            Self::Link => vec![remove("3.png")],
            Self::Unlink | Self::Replace | Self::RejectImage => vec![put("1.png", png("one"))],
            Self::Touch => vec![put("1.csv", csv("One")), put("1.png", png("one"))],
        }
    }

    /// The edits that make the changed sources invalid.
    fn spoil(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![put("5.csv", broken_csv("spoiled"))],
            Self::Values | Self::Reject => vec![put("1.csv", broken_csv("spoiled"))],
            Self::Delete => vec![put("2.csv", broken_csv("spoiled"))],
            Self::Link => vec![put("3.png", broken_png("spoiled"))],
            Self::Unlink | Self::Replace | Self::RejectImage | Self::Touch => vec![put("1.png", broken_png("spoiled"))],
        }
    }
}

/// Replaces a source.
pub(crate) fn put(name: &str, bytes: bytes::Bytes) -> Edit {
    salted(name, bytes, 0)
}

/// Replaces a source by bytes that are under another ETag than without the salt, where ETags are unique.
pub(crate) fn salted(name: &str, bytes: bytes::Bytes, salt: u32) -> Edit {
    Edit {
        key: keys::source(name),
        bytes: Some(bytes),
        salt,
    }
}

/// Removes a source.
pub(crate) fn remove(name: &str) -> Edit {
    Edit {
        key: keys::source(name),
        bytes: None,
        salt: 0,
    }
}

/// How long an actor sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// Longer than a fence lasts.
    Minutes,
    /// Longer than unreferenced files stay.
    Day,
    /// Longer than the retention of files and entries.
    TenDays,
    /// Longer than any retention.
    FortyDays,
}

impl Length {
    /// Every length.
    pub const ALL: [Self; 4] = [Self::Minutes, Self::Day, Self::TenDays, Self::FortyDays];

    /// As schedules spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minutes => "6m",
            Self::Day => "26h",
            Self::TenDays => "10d",
            Self::FortyDays => "40d",
        }
    }

    fn minutes(self) -> i64 {
        match self {
            Self::Minutes => 6,
            Self::Day => 26 * 60,
            Self::TenDays => 10 * 24 * 60,
            Self::FortyDays => 40 * 24 * 60,
        }
    }
}

/// What the data owner does while an actor sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meanwhile {
    /// Nothing.
    Nothing,
    /// The change is undone.
    Undo,
    /// Further changes, committed one by one.
    More,
    /// The changed sources become invalid.
    Spoil,
}

impl Meanwhile {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Undo, Self::More, Self::Spoil];

    /// As schedules spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Undo => "undo",
            Self::More => "more",
            Self::Spoil => "spoil",
        }
    }
}

/// A pause of one actor, and what happens before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// How long.
    pub length: Length,
    /// What the data owner does.
    pub meanwhile: Meanwhile,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.length.name(), self.meanwhile.name())
    }
}

impl Pause {
    /// Every pause.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |length| Meanwhile::ALL.into_iter().map(move |meanwhile| Self { length, meanwhile });
        Length::ALL.into_iter().flat_map(of)
    }

    /// The pause that a schedule spells so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|pause| pause.to_string() == text)
    }
}

/// How a lake looks before the actors begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// There is no table.
    Empty,
    /// A table of two versions: the next one is checkpointed.
    BeforeCheckpoint,
    /// A table of three versions, the last one checkpointed.
    AfterCheckpoint,
    /// A table whose first versions are past their retention: the next checkpoint removes them.
    Aged,
    /// The last vacuum was a day ago.
    VacuumDue,
    /// The vacuum's note is from the future: a clock was once ahead.
    FutureVacuum,
    /// A data file of the newest version is lost.
    LostFile,
    /// The file of the rejects is lost.
    LostRejects,
    /// The last entry was removed by the operator.
    RolledBack,
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
    /// Whether runs sleep at every operation, and processes die.
    pub has_pauses: bool,
    /// Whether a further run begins when a sleeper goes on.
    pub has_companion: bool,
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
            has_pauses: true,
            has_companion: false,
        }
    }

    /// Every scenario.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        // A run that sleeps; a further run begins as it wakes up.
        for (index, change) in Change::ALL.into_iter().enumerate() {
            let start = if index % 2 == 0 {
                Start::AfterCheckpoint
            } else {
                Start::BeforeCheckpoint
            };
            let alone = vec![("A", Role::run("run-a"))];
            all.push(Self {
                has_companion: true,
                ..Self::new(format!("sleeper-{}", change.name()), start, &[change], alone)
            });
        }
        for (index, change) in Change::ALL.into_iter().enumerate() {
            let start = if index % 2 == 0 {
                Start::BeforeCheckpoint
            } else {
                Start::AfterCheckpoint
            };
            all.push(Self::new(format!("two-runs-{}", change.name()), start, &[change], two_runs()));
        }
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
        for change in [Change::Values, Change::Unlink, Change::Replace] {
            all.push(Self::new(
                format!("vacuum-{}", change.name()),
                Start::VacuumDue,
                &[change],
                two_runs(),
            ));
        }
        for start in [Start::FutureVacuum, Start::LostFile, Start::LostRejects, Start::RolledBack] {
            let name = match start {
                Start::FutureVacuum => "future-vacuum",
                Start::LostFile => "lost-file",
                Start::LostRejects => "lost-rejects",
                _ => "rolled-back",
            };
            all.push(Self::new(name, start, &[Change::Values], two_runs()));
        }
        all.push(Self::new("log-cleanup", Start::Aged, &[Change::Values], two_runs()));
        let reader = ("R", Role::Reader { polls: 4 });
        for (name, start) in [("reader", Start::BeforeCheckpoint), ("reader-cleanup", Start::Aged)] {
            let actors = vec![reader.clone(), ("A", Role::run("run-a"))];
            all.push(Self::new(name, start, &[Change::Values, Change::Link], actors));
        }
        all.push(Self {
            has_pauses: false,
            ..Self::new("first-reader", Start::Empty, &[], vec![reader, ("A", Role::run("run-a"))])
        });
        // The data owner works while two runs are active.
        for (name, edits) in [
            ("upload", vec![put("3.png", png("three"))]),
            ("withdraw", vec![remove("1.png"), put("1.png", png("other"))]),
            ("spoil", vec![put("1.png", png("other")), put("1.png", broken_png("other"))]),
        ] {
            let owner = ("O", Role::Owner { edits });
            all.push(Self {
                has_pauses: false,
                ..Self::new(
                    format!("owner-{name}"),
                    Start::AfterCheckpoint,
                    &[],
                    [two_runs(), vec![owner]].concat(),
                )
            });
        }
        all
    }

    /// The scenario of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }

    /// The lake before the actors begin, made by runs without a bug.
    pub fn prepare(&self, machine: &Machine, kind: StoreKind, bug: Option<Bug>) -> Result<MemoryBucket, Violation> {
        let mut world = World::new(machine, &kind.store(), kind.tags, bug);
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
        if !matches!(self.start, Start::BeforeCheckpoint | Start::VacuumDue) {
            world.edit(&put("4.csv", broken_csv("four")))?;
            world.run_alone("setup", 1_002)?;
            world.advance(hour);
        }
        match self.start {
            Start::Empty | Start::BeforeCheckpoint | Start::AfterCheckpoint => {}
            Start::Aged => {
                world.edit(&put("4.csv", csv("Four again")))?;
                world.run_alone("setup", 1_003)?;
                world.advance(SignedDuration::from_hours(24 * 31));
            }
            Start::VacuumDue => world.advance(SignedDuration::from_hours(24)),
            Start::FutureVacuum => {
                let year = SignedDuration::from_hours(24 * 365);
                world.advance(year);
                world.touch_vacuum_note();
                world.advance(-year);
                world.advance(SignedDuration::from_hours(30));
            }
            Start::LostFile => lose_last(&mut world, keys::TABLE, |key| keys::parse_in_table(key).is_some()),
            Start::LostRejects => lose_last(&mut world, keys::INGEST, keys::is_refusals),
            Start::RolledBack => {
                world.lose(&keys::log_entry(2));
                world.lose(&keys::checkpoint(2));
            }
        }
        for edit in self.changes.iter().flat_map(|change| change.edits()) {
            world.edit(&edit)?;
        }
        Ok(world.store().snapshot())
    }

    /// The world at its beginning: every actor is before its first operation.
    pub fn begin(&self, machine: &Machine, kind: StoreKind, start: &MemoryBucket, bug: Option<Bug>) -> Result<World, Violation> {
        let mut world = World::new(machine, start, kind.tags, bug);
        if matches!(self.start, Start::LostFile | Start::LostRejects | Start::RolledBack) {
            world.note_lost_files();
        }
        for ((name, role), number) in self.actors.iter().zip(1..) {
            world.spawn(name, number, role)?;
        }
        Ok(world)
    }

    /// Everything that happens while an actor sleeps.
    pub(crate) fn sleep(&self, world: &mut World, pause: Pause) -> Result<(), Violation> {
        let edits: Vec<Vec<Edit>> = match pause.meanwhile {
            Meanwhile::Nothing => Vec::new(),
            Meanwhile::Undo => vec![self.changes.iter().flat_map(|change| change.undo()).collect()],
            Meanwhile::Spoil => vec![self.changes.iter().flat_map(|change| change.spoil()).collect()],
            // As many versions as let a checkpoint follow the one after which the log is cleaned up.
            Meanwhile::More => (0..5)
                .map(|round| {
                    let undo = self.changes.iter().filter(|_| round == 2).flat_map(|change| change.undo());
                    undo.chain([put("6.csv", csv(&format!("Six {round}")))]).collect()
                })
                .collect(),
        };
        // The first runs follow at once, the last ones shortly before the sleeper goes on.
        let thousandths = [40, 40, 420, 440, 20];
        let runs = if pause.meanwhile == Meanwhile::More { thousandths.len() } else { 2 };
        let mut edits = edits.into_iter();
        let mut number = 100;
        let mut left = 1_000;
        for (index, part) in thousandths.into_iter().enumerate() {
            // Without further edits the first run and the last one decide.
            if index >= runs.div_ceil(2) && index < thousandths.len() - runs / 2 {
                continue;
            }
            let part = if index + 1 == thousandths.len() { left - 40 } else { part };
            left -= part;
            world.advance(part_of(pause.length, part));
            for edit in edits.next().unwrap_or_default() {
                world.edit(&edit)?;
            }
            world.run_alone(&format!("F{}", number - 99), number)?;
            number += 1;
        }
        world.advance(part_of(pause.length, left));
        Ok(())
    }
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
