//! Where each planted bug is searched first. A hint only saves time: a bug that it does not lead to is searched everywhere.

use datalake_store::simulation::Bug;

use crate::store_kind::StoreKind;

/// A seed or scenario that finds a bug.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hint {
    Seed(u64),
    Scenario(&'static str, StoreKind),
}

const UNIQUE_TIMED: StoreKind = StoreKind::ALL[0];
const CONTENT_TIMED: StoreKind = StoreKind::ALL[1];
const UNIQUE_SWEPT: StoreKind = StoreKind::ALL[2];
const UNIQUE_NEVER: StoreKind = StoreKind::ALL[4];

/// The hint for a bug.
pub(crate) fn hint(bug: Bug) -> Hint {
    let (name, kind) = match bug {
        Bug::CommitSkipsBaseCheck => ("pause-rollback", UNIQUE_TIMED),
        Bug::CommitSkipsCheckAfter => ("pause-checkpoint-replace", UNIQUE_NEVER),
        Bug::CommitIsNotFenced => ("pause-checkpoint-add", UNIQUE_SWEPT),
        Bug::CheckpointSkipsEntryCheck | Bug::CommitTrustsCreate | Bug::NewestTrustsMissingEntry => ("pause-forty-days", UNIQUE_TIMED),
        Bug::PointerGoesBack => ("pause-checkpoint-values", UNIQUE_NEVER),
        Bug::CommitSkipsStagedCheck | Bug::PublishSkipsFirstCheck | Bug::PublishIsUnconditional | Bug::VacuumForgetsRejectsFile => {
            ("pause-values", UNIQUE_TIMED)
        }
        Bug::PublishSkipsSecondCheck => ("pause-values", CONTENT_TIMED),
        Bug::CommitIgnoresStagedAge | Bug::CommitTrustsStagedFiles | Bug::VacuumRemovesYoungFiles => ("pause-undisturbed", UNIQUE_TIMED),
        Bug::ReconcileIsNotFenced => ("pause-checkpoint-unlink", UNIQUE_TIMED),
        Bug::RejectedImageStaysLinked | Bug::ReplacedImageIsCopiedBeforeCommit => ("pause-replace", UNIQUE_TIMED),
        Bug::NewImageIsNotCopiedBeforeCommit => ("pause-link", UNIQUE_TIMED),
        Bug::ReaderSkipsBaseDigest | Bug::ReaderComparesNumbers => ("reader-pause", UNIQUE_TIMED),
        Bug::VacuumForgetsRemovedFiles => ("vacuum-recent", UNIQUE_TIMED),
        Bug::CleanupDescends => ("log-cleanup", UNIQUE_TIMED),
        Bug::CleanupIgnoresCheckpoints => ("log-cleanup-idle", UNIQUE_TIMED),
        Bug::CleanupStopsAtFutureEntry => ("future-entry", UNIQUE_TIMED),
        Bug::VacuumTrustsFutureSchedule => ("future-vacuum", UNIQUE_TIMED),
        Bug::CommitReplacesEntry => ("two-runs-values", UNIQUE_TIMED),
        Bug::NoImageIntent => ("two-runs-replace", UNIQUE_TIMED),
        Bug::ExpiredIntentsStay => ("two-runs-link", UNIQUE_TIMED),
        Bug::IntentsAreNamedByRun => ("owner-pods-of-one-job", UNIQUE_TIMED),
        Bug::IntentsOfFirstRunsAreSkipped => ("owner-first-runs", UNIQUE_TIMED),
        Bug::ReconcileRemovesForYoungIntents => ("owner-upload", UNIQUE_TIMED),
        Bug::OtherIntentsAreRemovedAtOnce => ("owner-replace-twice", UNIQUE_TIMED),
        Bug::ReconcileSkipsRecheck => ("owner-relink", UNIQUE_TIMED),
        Bug::ImageCopyIsUnconditional | Bug::LostImagesAreIgnored => ("owner-one-run-replace-twice", UNIQUE_TIMED),
        Bug::SourceReadIsUnconditional => ("owner-aba", UNIQUE_TIMED),
        Bug::PublishComparesNumbers => ("rolled-back", UNIQUE_TIMED),
        Bug::HealingForgetsLostRows => ("lost-everything", UNIQUE_TIMED),
        Bug::HealingIsOff => ("lost-file", UNIQUE_TIMED),
        Bug::GuardSparesSmallLakes => ("sources-removed", UNIQUE_TIMED),
        Bug::StoreIsNotChecked => ("store-without-create", UNIQUE_TIMED),
        Bug::CreateProofIsShared => ("first-runs", UNIQUE_TIMED),
        Bug::UnknownCommitIsDenied => return Hint::Seed(2),
        Bug::AsOfTrustsWriterClock => return Hint::Seed(3),
    };
    Hint::Scenario(name, kind)
}
