//! Hooks by which tests make runs deterministic and plant bugs in them. Without the feature `testing` every hook is a constant.
//!
//! A simulation lives on one thread: it polls each actor (a run, a vacuum, a reader) itself, and says which one it polls.

/// A defect that the explorer and the simulation must find. Each stands for a line of code whose absence or change is the defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bug {
    /// The commit does not check before its create that the base entry is the one that was read.
    CommitSkipsBaseCheck,
    /// The commit trusts a create that succeeded, and does not read the base entry again.
    CommitSkipsCheckAfter,
    /// The create of the log entry does not expire.
    CommitIsNotFenced,
    /// The commit does not refuse data files that were staged long ago.
    CommitIgnoresStagedAge,
    /// The commit does not check that its staged files exist.
    CommitSkipsStagedCheck,
    /// A reader applies the next entry without comparing the base digest that it records.
    ReaderSkipsBaseDigest,
    /// A run takes a missing next entry for the proof that its version is the newest.
    NewestTrustsMissingEntry,
    /// A checkpoint is written without checking that its entry is still there.
    CheckpointSkipsEntryCheck,
    /// The pointer to the newest checkpoint may go back.
    PointerGoesBack,
    /// The vacuum removes files that no entry names after an hour.
    VacuumRemovesYoungFiles,
    /// Log entries are removed in descending order.
    CleanupDescends,
    /// The commit checks neither the age of its staged files nor that they exist.
    CommitTrustsStagedFiles,
    /// The commit relies on the create alone: it does not expire, and the base is read neither before nor after it.
    CommitTrustsCreate,
    /// The log entry replaces one that exists.
    CommitReplacesEntry,
    /// A run whose commit has an unknown outcome reports that it committed nothing.
    UnknownCommitIsDenied,
    /// A reader that follows the table compares versions by number alone.
    ReaderComparesNumbers,
    /// The time of a version is that of its writer's clock, however far that is ahead.
    AsOfTrustsWriterClock,
    /// Log entries are removed whether or not a checkpoint replaces them.
    CleanupIgnoresCheckpoints,
    /// An entry that is dated in the future keeps the entries after it.
    CleanupStopsAtFutureEntry,
    /// The vacuum removes the file of rejects that the newest version names.
    VacuumForgetsRejectsFile,
    /// The vacuum removes data files that left the table within the retention.
    VacuumForgetsRemovedFiles,
    /// A lost data file stops every run.
    HealingIsOff,
    /// The image intents of dead runs are never removed.
    ExpiredIntentsStay,
    /// Processes of one run share one object of image intents.
    IntentsAreNamedByRun,
    /// The guard against mass deletion spares lakes of ten users and fewer.
    GuardSparesSmallLakes,
    /// A source is read whatever its ETag.
    SourceReadIsUnconditional,
    /// A table that comes from another store is not checked for create-if-absent again.
    StoreIsNotChecked,
    /// Processes share the object by which they check create-if-absent.
    CreateProofIsShared,
    /// A run records no intent before it changes image copies.
    NoImageIntent,
    /// A run removes copies that an intent of an active run names and no row links yet.
    ReconcileRemovesForYoungIntents,
    /// A run removes the intents of other runs that may be active.
    OtherIntentsAreRemovedAtOnce,
    /// Copies are not compared again with rows that changed during the reconciliation.
    ReconcileSkipsRecheck,
    /// Copies and removals of images after the commit do not expire.
    ReconcileIsNotFenced,
    /// An image is copied whatever its source's ETag.
    ImageCopyIsUnconditional,
    /// A row whose image was rejected stays linked although its bytes are in neither copy nor source.
    RejectedImageStaysLinked,
    /// A replaced image is copied before the commit that links it.
    ReplacedImageIsCopiedBeforeCommit,
    /// A newly linked image is not copied before the commit that links it.
    NewImageIsNotCopiedBeforeCommit,
    /// `output.csv` is replaced without checking that the version is the newest.
    PublishSkipsFirstCheck,
    /// After `output.csv` was replaced, a newer version is not looked for.
    PublishSkipsSecondCheck,
    /// `output.csv` is replaced whatever its ETag.
    PublishIsUnconditional,
    /// `output.csv` counts as current by table and number alone.
    PublishComparesNumbers,
    /// A row whose image has no bytes any more is not read again.
    LostImagesAreIgnored,
    /// A first run records no image intents.
    IntentsOfFirstRunsAreSkipped,
    /// Rows of a lost data file do not count as known users for the guards.
    HealingForgetsLostRows,
    /// A vacuum that is dated in the future is not due.
    VacuumTrustsFutureSchedule,
}

impl Bug {
    /// Every defect.
    pub const ALL: &[Self] = &[
        Self::CommitSkipsBaseCheck,
        Self::CommitSkipsCheckAfter,
        Self::CommitIsNotFenced,
        Self::CommitIgnoresStagedAge,
        Self::CommitSkipsStagedCheck,
        Self::ReaderSkipsBaseDigest,
        Self::NewestTrustsMissingEntry,
        Self::CheckpointSkipsEntryCheck,
        Self::PointerGoesBack,
        Self::VacuumRemovesYoungFiles,
        Self::CleanupDescends,
        Self::CommitTrustsStagedFiles,
        Self::CommitTrustsCreate,
        Self::CommitReplacesEntry,
        Self::UnknownCommitIsDenied,
        Self::ReaderComparesNumbers,
        Self::AsOfTrustsWriterClock,
        Self::CleanupIgnoresCheckpoints,
        Self::CleanupStopsAtFutureEntry,
        Self::VacuumForgetsRejectsFile,
        Self::VacuumForgetsRemovedFiles,
        Self::HealingIsOff,
        Self::ExpiredIntentsStay,
        Self::IntentsAreNamedByRun,
        Self::GuardSparesSmallLakes,
        Self::SourceReadIsUnconditional,
        Self::StoreIsNotChecked,
        Self::CreateProofIsShared,
        Self::NoImageIntent,
        Self::ReconcileRemovesForYoungIntents,
        Self::OtherIntentsAreRemovedAtOnce,
        Self::ReconcileSkipsRecheck,
        Self::ReconcileIsNotFenced,
        Self::ImageCopyIsUnconditional,
        Self::RejectedImageStaysLinked,
        Self::ReplacedImageIsCopiedBeforeCommit,
        Self::NewImageIsNotCopiedBeforeCommit,
        Self::PublishSkipsFirstCheck,
        Self::PublishSkipsSecondCheck,
        Self::PublishIsUnconditional,
        Self::PublishComparesNumbers,
        Self::LostImagesAreIgnored,
        Self::IntentsOfFirstRunsAreSkipped,
        Self::HealingForgetsLostRows,
        Self::VacuumTrustsFutureSchedule,
    ];
}

#[cfg(feature = "testing")]
mod hooks {
    use std::{
        any::Any,
        cell::{Cell, RefCell},
        collections::{BTreeMap, HashMap},
        hash::{DefaultHasher, Hash, Hasher},
        marker::PhantomData,
    };

    use super::Bug;

    thread_local! {
        static ACTIVE: Cell<bool> = const { Cell::new(false) };
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
        static ACTOR: Cell<u32> = const { Cell::new(0) };
        static UNIQUES: RefCell<BTreeMap<u32, u64>> = const { RefCell::new(BTreeMap::new()) };
        static REMEMBERED: RefCell<HashMap<u64, Box<dyn Any>>> = RefCell::default();
    }

    /// Results that a thread remembers. Each takes a few KiB.
    const REMEMBERED_MAX: usize = 20_000;

    /// This thread simulates until the value is dropped.
    #[derive(Debug)]
    pub struct Simulation(PhantomData<*const ()>);

    impl Simulation {
        /// Begins a simulation on this thread, with the bug planted.
        pub fn enter(bug: Option<Bug>) -> Self {
            assert!(!ACTIVE.replace(true), "a thread has one simulation at a time");
            BUG.set(bug);
            ACTOR.set(0);
            UNIQUES.with_borrow_mut(BTreeMap::clear);
            Self(PhantomData)
        }

        /// Says which actor is polled next: unique names are drawn from its own sequence, so that they do not depend on other actors.
        pub fn set_actor(&self, actor: u32) {
            ACTOR.set(actor);
        }
    }

    impl Drop for Simulation {
        fn drop(&mut self) {
            ACTIVE.set(false);
            BUG.set(None);
        }
    }

    /// Whether this thread simulates: nothing may then run on another thread.
    pub fn is_active() -> bool {
        ACTIVE.get()
    }

    /// Whether the bug is planted.
    pub fn has(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }

    /// The bug that is planted.
    pub fn bug() -> Option<Bug> {
        BUG.get()
    }

    /// The result of a pure function of `input`, remembered while this thread simulates: executions repeat the same work thousands of times.
    /// `function` tells functions apart.
    pub fn remembered<T: Clone + 'static, E>(
        function: &'static str,
        input: impl Hash,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if !is_active() {
            return work();
        }
        let mut hasher = DefaultHasher::new();
        (function, input).hash(&mut hasher);
        let key = hasher.finish();
        let known = REMEMBERED.with_borrow(|remembered| remembered.get(&key).and_then(|result| result.downcast_ref::<T>()).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let result = work()?;
        REMEMBERED.with_borrow_mut(|remembered| {
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(key, Box::new(result.clone()));
        });
        Ok(result)
    }

    /// The next number of the polled actor's sequence of unique names; none outside of a simulation.
    pub fn next_unique() -> Option<u128> {
        is_active().then(|| {
            let actor = ACTOR.get();
            let number = UNIQUES.with_borrow_mut(|uniques| {
                let next = uniques.entry(actor).or_default();
                *next += 1;
                *next
            });
            u128::from(actor) << 64 | u128::from(number)
        })
    }
}

#[cfg(not(feature = "testing"))]
mod hooks {
    use super::Bug;

    /// Whether this thread simulates.
    pub const fn is_active() -> bool {
        false
    }

    /// Whether the bug is planted.
    pub const fn has(_: Bug) -> bool {
        false
    }

    /// The result of `work`.
    pub fn remembered<T: Clone + 'static, E>(
        _: &'static str,
        _: impl std::hash::Hash,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        work()
    }

    /// The next unique number of a simulation.
    pub const fn next_unique() -> Option<u128> {
        None
    }
}

pub use hooks::*;
