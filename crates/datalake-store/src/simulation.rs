//! Hooks by which tests make runs deterministic and plant bugs. Without the feature `testing`, every hook is a constant.
//!
//! A simulation uses one thread. It polls each actor (a run, a vacuum, a reader) itself, and sets which one it polls.

/// A defect that the explorer and the simulation must find. Each is a line of code that is missing or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bug {
    /// The commit does not check the base entry before its create.
    CommitSkipsBaseCheck,
    /// After a successful create, the commit does not read the base entry again.
    CommitSkipsCheckAfter,
    /// The create of the log entry does not expire.
    CommitIsNotFenced,
    /// The commit accepts data files that were staged long ago.
    CommitIgnoresStagedAge,
    /// The commit does not check that its staged files exist.
    CommitSkipsStagedCheck,
    /// A reader applies the next entry without comparing the base digest that it records.
    ReaderSkipsBaseDigest,
    /// A run concludes from a missing next entry that its version is the newest.
    NewestTrustsMissingEntry,
    /// A checkpoint is written without checking that its entry still exists.
    CheckpointSkipsEntryCheck,
    /// `_last_checkpoint` may be set to an earlier checkpoint.
    PointerGoesBack,
    /// The vacuum removes files that no entry names after an hour.
    VacuumRemovesYoungFiles,
    /// Log entries are removed in descending order.
    CleanupDescends,
    /// The commit checks neither the age of its staged files nor that they exist.
    CommitTrustsStagedFiles,
    /// The commit relies on the create alone: it does not expire, and the base is read neither before nor after it.
    CommitTrustsCreate,
    /// The log entry replaces an existing one.
    CommitReplacesEntry,
    /// A run whose commit has an unknown outcome reports that it committed nothing.
    UnknownCommitIsDenied,
    /// A reader compares versions by number only.
    ReaderComparesNumbers,
    /// The time of a version is that of its writer's clock, even if that is ahead.
    AsOfTrustsWriterClock,
    /// Log entries are removed even if no checkpoint replaces them.
    CleanupIgnoresCheckpoints,
    /// Cleanup stops at an entry that is dated in the future.
    CleanupStopsAtFutureEntry,
    /// The vacuum removes the rejects file that the newest version names.
    VacuumForgetsRejectsFile,
    /// The vacuum removes data files that left the table within the retention.
    VacuumForgetsRemovedFiles,
    /// Runs do not repair a lost data file.
    HealingIsOff,
    /// The image intents of dead runs are never removed.
    ExpiredIntentsStay,
    /// Processes of one run share one object of image intents.
    IntentsAreNamedByRun,
    /// The guard against mass deletion does not apply to lakes of ten users or fewer.
    GuardSparesSmallLakes,
    /// A source is read without a condition on its ETag.
    SourceReadIsUnconditional,
    /// A table that was copied to another store is not checked for create-if-absent again.
    StoreIsNotChecked,
    /// Processes use the same object to check create-if-absent.
    CreateProofIsShared,
    /// A run records no intent before it changes image copies.
    NoImageIntent,
    /// A run removes copies that an intent of an active run names and no row links yet.
    ReconcileRemovesForYoungIntents,
    /// A run removes the intents of other runs that may be active.
    OtherIntentsAreRemovedAtOnce,
    /// Copies are not compared with rows that changed during the reconciliation.
    ReconcileSkipsRecheck,
    /// Copies and removals of images after the commit do not expire.
    ReconcileIsNotFenced,
    /// An image is copied without a condition on the ETag of its source.
    ImageCopyIsUnconditional,
    /// A row stays linked to a rejected image whose bytes are in neither the copy nor the source.
    RejectedImageStaysLinked,
    /// A replaced image is copied before the commit that links it.
    ReplacedImageIsCopiedBeforeCommit,
    /// A newly linked image is not copied before the commit that links it.
    NewImageIsNotCopiedBeforeCommit,
    /// `output.csv` is replaced without checking that the version is the newest.
    PublishSkipsFirstCheck,
    /// After `output.csv` was replaced, the run does not check for a newer version.
    PublishSkipsSecondCheck,
    /// `output.csv` is replaced without a condition on its ETag.
    PublishIsUnconditional,
    /// `output.csv` counts as current if only its table and number match.
    PublishComparesNumbers,
    /// A row whose image bytes are lost is not read again.
    LostImagesAreIgnored,
    /// A first run records no image intents.
    IntentsOfFirstRunsAreSkipped,
    /// The guards do not count the rows of a lost data file as users.
    HealingForgetsLostRows,
    /// A vacuum that is dated in the future is not due.
    VacuumTrustsFutureSchedule,
}

impl Bug {
    /// All defects.
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
        static CACHE: RefCell<HashMap<u64, Box<dyn Any>>> = RefCell::default();
    }

    /// The number of results that a thread caches. Each takes a few KiB.
    const CACHED_MAX: usize = 20_000;

    /// This thread simulates until the value is dropped.
    #[derive(Debug)]
    pub struct Simulation(PhantomData<*const ()>);

    impl Simulation {
        /// Starts a simulation on this thread with a planted bug.
        pub fn enter(bug: Option<Bug>) -> Self {
            assert!(!ACTIVE.replace(true), "a thread has one simulation at a time");
            BUG.set(bug);
            ACTOR.set(0);
            UNIQUES.with_borrow_mut(BTreeMap::clear);
            Self(PhantomData)
        }

        /// Sets which actor is polled next. Unique names come from its own sequence, so they do not depend on other actors.
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

    /// Whether this thread runs a simulation, so no work may run on another thread.
    pub fn is_active() -> bool {
        ACTIVE.get()
    }

    /// Whether this bug is planted.
    pub fn has(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }

    /// The planted bug.
    pub fn bug() -> Option<Bug> {
        BUG.get()
    }

    /// The result of a pure function of `input`, cached while this thread runs a simulation: executions repeat the same work thousands of
    /// times. `function` is the name of the function.
    pub fn memoize<T: Clone + 'static, E>(function: &'static str, input: impl Hash, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if !is_active() {
            return work();
        }
        let mut hasher = DefaultHasher::new();
        (function, input).hash(&mut hasher);
        let key = hasher.finish();
        let hit = CACHE.with_borrow(|cached| cached.get(&key).and_then(|result| result.downcast_ref::<T>()).cloned());
        if let Some(hit) = hit {
            return Ok(hit);
        }
        let result = work()?;
        CACHE.with_borrow_mut(|cached| {
            if cached.len() >= CACHED_MAX {
                cached.clear();
            }
            cached.insert(key, Box::new(result.clone()));
        });
        Ok(result)
    }

    /// The next number of the polled actor's sequence of unique names. None outside of a simulation.
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

    /// Always false.
    pub const fn is_active() -> bool {
        false
    }

    /// Whether this bug is planted.
    pub const fn has(_: Bug) -> bool {
        false
    }

    /// The result of `work`, which is not cached.
    pub fn memoize<T: Clone + 'static, E>(_: &'static str, _: impl std::hash::Hash, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        work()
    }

    /// Always none, because this thread runs no simulation.
    pub const fn next_unique() -> Option<u128> {
        None
    }
}

pub use hooks::*;
