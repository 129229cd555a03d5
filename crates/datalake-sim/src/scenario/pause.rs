//! Pauses of actors: how long they last, and what happens during them.

use std::fmt;

/// The length of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseLength {
    /// Longer than fenced writes are valid.
    Minutes,
    /// Longer than other runs wait before they remove the copies of a recorded intent.
    Hours,
    /// Longer than staged files are kept.
    Day,
    /// Longer than the retention of data files.
    TenDays,
    /// Longer than the retention of log entries.
    FortyDays,
    /// Minutes during which the store's clock is ten days ahead.
    ClockAhead,
}

impl PauseLength {
    /// Every length.
    pub const ALL: [Self; 6] = [
        Self::Minutes,
        Self::Hours,
        Self::Day,
        Self::TenDays,
        Self::FortyDays,
        Self::ClockAhead,
    ];

    /// The name in schedules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minutes => "6m",
            Self::Hours => "3h",
            Self::Day => "26h",
            Self::TenDays => "10d",
            Self::FortyDays => "40d",
            Self::ClockAhead => "clock-ahead",
        }
    }

    pub(super) fn minutes(self) -> i64 {
        match self {
            Self::Minutes | Self::ClockAhead => 6,
            Self::Hours => 3 * 60,
            Self::Day => 26 * 60,
            Self::TenDays => 10 * 24 * 60,
            Self::FortyDays => 40 * 24 * 60,
        }
    }
}

/// What happens during a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DuringPause {
    /// No run and no edit.
    Idle,
    /// The change is undone without a run.
    UndoOnly,
    /// Runs without edits.
    Runs,
    /// The change is undone, with runs.
    Undo,
    /// Further changes, each with a run that commits it.
    MoreVersions,
    /// The changed sources become invalid, with runs.
    Invalidate,
    /// The operator removes the newest version, and a run commits another version with its number.
    Rollback,
    /// The operator removes the newest version, and runs commit further ones.
    RollbackAndMore,
    /// The operator rebuilds the table. Only readers are paused, because an operator suspends all runs before a rebuild.
    Rebuild,
}

impl DuringPause {
    /// Every case.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::UndoOnly,
        Self::Runs,
        Self::Undo,
        Self::MoreVersions,
        Self::Invalidate,
        Self::Rollback,
        Self::RollbackAndMore,
        Self::Rebuild,
    ];

    /// The name in schedules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::UndoOnly => "undo-only",
            Self::Runs => "runs",
            Self::Undo => "undo",
            Self::MoreVersions => "more-versions",
            Self::Invalidate => "invalidate",
            Self::Rollback => "rollback",
            Self::RollbackAndMore => "rollback-and-more",
            Self::Rebuild => "rebuild",
        }
    }
}

/// A pause of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// The length.
    pub length: PauseLength,
    /// What happens during the pause.
    pub during: DuringPause,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.length.name(), self.during.name())
    }
}

/// Every combination.
pub(super) fn pauses(lengths: &[PauseLength], during: &[DuringPause]) -> Vec<Pause> {
    let of = |length: &PauseLength| {
        let length = *length;
        during.iter().map(move |during| Pause { length, during: *during })
    };
    lengths.iter().flat_map(of).collect()
}

impl Pause {
    /// The pause with this name in schedules.
    pub fn parse(text: &str) -> Option<Self> {
        pauses(&PauseLength::ALL, &DuringPause::ALL)
            .into_iter()
            .find(|pause| pause.to_string() == text)
    }

    /// The pauses of most scenarios.
    pub(super) fn usual() -> Vec<Self> {
        pauses(
            &[PauseLength::Minutes, PauseLength::Day, PauseLength::TenDays, PauseLength::FortyDays],
            &[
                DuringPause::Runs,
                DuringPause::Undo,
                DuringPause::MoreVersions,
                DuringPause::Invalidate,
            ],
        )
    }

    /// The pauses after which another run and its vacuum work while the paused run continues.
    pub(super) fn before_concurrent_run() -> Vec<Self> {
        let mut all = Self::usual();
        all.extend(pauses(
            &[PauseLength::Hours, PauseLength::TenDays, PauseLength::FortyDays],
            &[DuringPause::Idle],
        ));
        all.extend(pauses(&[PauseLength::ClockAhead], &[DuringPause::Runs, DuringPause::Undo]));
        all
    }
}
