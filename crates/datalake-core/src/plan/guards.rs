//! The guards: limits on what one run may remove or reject, beyond which it changes nothing.

use crate::{run::EmptyFolder, text::grouped};

/// Counts that the guard against mass deletion evaluates before any source is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingStats {
    /// Listed objects without the folder marker.
    pub listed: u64,
    /// Rows known before the run, by a row or by a rejected CSV.
    pub known: u64,
    /// Known rows whose CSV no longer exists.
    pub gone: u64,
}

/// Why a guard stopped a run, which changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message_for(USERS))]
pub enum GuardError {
    /// No object is stored under `src-data/`.
    EmptyListing,
    /// A folder of files has none.
    EmptyFolder(EmptyFolder),
    /// Too many known rows have no CSV.
    MassDeletion {
        /// Rows without a CSV.
        gone: u64,
        /// Rows known before the run.
        known: u64,
    },
    /// The run would remove a different set of rows than the one that was allowed.
    OtherDeletions {
        /// Rows without a CSV.
        gone: u64,
        /// Rows known before the run.
        known: u64,
    },
    /// Too many sources are rejected.
    RejectRatio {
        /// Rejected sources.
        rejected: u64,
        /// Listed sources.
        sources: u64,
        /// The allowed share, from 0 to 1.
        ratio_max: RejectRatio,
    },
}

impl GuardError {
    /// What the guard found in a lake of users, with its limit.
    pub fn cause(&self) -> String {
        self.cause_for(USERS)
    }

    /// What the guard found, with its limit. `rows` names the rows of the dataset in the plural.
    pub fn cause_for(&self, rows: &str) -> String {
        match self {
            Self::EmptyListing if rows == USERS => "there is nothing under src-data/".to_owned(),
            Self::EmptyListing => "there is nothing in the folders of the sources".to_owned(),
            Self::EmptyFolder(folder) => folder.to_string(),
            Self::MassDeletion { gone, known } if gone == known => format!("all {} {rows} would be removed", grouped(*known)),
            Self::MassDeletion { gone, known } => format!(
                "{} of {} {rows} would be removed (limit: {GONE_PERCENT_MAX} % and {GONE_MAX})",
                grouped(*gone),
                grouped(*known)
            ),
            Self::OtherDeletions { gone, known } => format!(
                "{} of {} {rows} would be removed, but a different set was allowed",
                grouped(*gone),
                grouped(*known)
            ),
            Self::RejectRatio {
                rejected,
                sources,
                ratio_max,
            } => format!(
                "{} of {} sources are rejected (limit: a share of {ratio_max})",
                grouped(*rejected),
                grouped(*sources)
            ),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::EmptyListing => "check the lake's URL, upload sources, or pass --allow-mass-delete if the lake is meant to be empty",
            Self::EmptyFolder(_) => "restore the folder, or pass --allow-mass-delete if the files are meant to be removed",
            Self::MassDeletion { .. } => "check the sources, or pass --allow-mass-delete if these users are meant to be removed",
            Self::OtherDeletions { .. } => "allow the removals that this run reports, or restore the sources",
            Self::RejectRatio { .. } => "fix the sources that this run rejected, or raise --max-reject-ratio",
        }
    }

    /// What to do about it. `rows` names the rows of the dataset in the plural.
    pub fn remedy_for(&self, rows: &str) -> String {
        match self {
            Self::MassDeletion { .. } => format!("check the sources, or pass --allow-mass-delete if these {rows} are meant to be removed"),
            Self::EmptyListing | Self::EmptyFolder(_) | Self::OtherDeletions { .. } | Self::RejectRatio { .. } => self.remedy().to_owned(),
        }
    }

    /// The message of a run that the guard blocked. `rows` names the rows of the dataset in the plural.
    pub fn message_for(&self, rows: &str) -> String {
        format!("{}; nothing was changed; {}", self.cause_for(rows), self.remedy_for(rows))
    }

    /// Whether a run with `--allow-mass-delete` is not blocked for this reason.
    pub fn is_about_deletions(&self) -> bool {
        match self {
            Self::EmptyListing | Self::EmptyFolder(_) | Self::MassDeletion { .. } | Self::OtherDeletions { .. } => true,
            Self::RejectRatio { .. } => false,
        }
    }
}

/// The rows of the default dataset.
const USERS: &str = "users";

/// The number of rows that one run may remove, regardless of their share.
const GONE_MAX: u64 = 10;

/// The share of the known rows that one run may remove, regardless of their number.
const GONE_PERCENT_MAX: u64 = 20;

/// Whether the guard against mass deletion is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionGuard {
    /// A run with an empty listing, or without the CSVs of over 20 % and over 10 of the known rows, changes nothing.
    #[default]
    On,
    /// The operator has stated that the sources are meant to be removed.
    Off,
}

/// Fails if the listing is empty, or lacks over 20 % and over 10 of the known rows, or all of them if there are at most 10.
pub fn guard_deletions(stats: ListingStats, guard: DeletionGuard) -> Result<(), GuardError> {
    let ListingStats { listed, known, gone } = stats;
    match guard {
        DeletionGuard::Off => Ok(()),
        DeletionGuard::On if listed == 0 => Err(GuardError::EmptyListing),
        DeletionGuard::On if gone > GONE_MAX && gone.saturating_mul(100) > known.saturating_mul(GONE_PERCENT_MAX) => {
            Err(GuardError::MassDeletion { gone, known })
        }
        DeletionGuard::On if gone > 0 && gone == known => Err(GuardError::MassDeletion { gone, known }),
        DeletionGuard::On => Ok(()),
    }
}

/// Fails if a folder has lost all its files.
pub fn guard_folders(empty: &[EmptyFolder], guard: DeletionGuard) -> Result<(), GuardError> {
    match (guard, empty) {
        (DeletionGuard::On, [folder, ..]) => Err(GuardError::EmptyFolder(folder.clone())),
        (DeletionGuard::Off, _) | (DeletionGuard::On, []) => Ok(()),
    }
}

/// The share of the sources that may be rejected. Invariant: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectRatio(f64);

// The invariant excludes NaN.
impl Eq for RejectRatio {}

impl Default for RejectRatio {
    fn default() -> Self {
        Self(0.5)
    }
}

impl std::fmt::Display for RejectRatio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RejectRatio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = text.parse().map_err(|_| "must be a number from 0 to 1")?;
        (0.0..=1.0)
            .contains(&share)
            .then_some(Self(share))
            .ok_or("must be a number from 0 to 1")
    }
}

/// Fails if more than the allowed share of the listed sources is rejected after the run.
pub fn guard_rejects(rejected: u64, sources: u64, ratio_max: RejectRatio) -> Result<(), GuardError> {
    // No lake lists four thousand million objects within an hour.
    let exact = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    match exact(rejected) > exact(sources) * ratio_max.0 {
        true => Err(GuardError::RejectRatio {
            rejected,
            sources,
            ratio_max,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
