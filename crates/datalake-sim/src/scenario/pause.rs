//! How long actors sleep, and what happens meanwhile.

use std::fmt;

/// How long an actor sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// Longer than a fence lasts.
    Minutes,
    /// Longer than notes on images are young.
    Hours,
    /// Longer than staged files stay.
    Day,
    /// Longer than the retention of data files.
    TenDays,
    /// Longer than the retention of log entries.
    FortyDays,
    /// Minutes, for which the store's clock is ten days ahead.
    ClockAhead,
}

impl Length {
    /// Every length.
    pub const ALL: [Self; 6] = [
        Self::Minutes,
        Self::Hours,
        Self::Day,
        Self::TenDays,
        Self::FortyDays,
        Self::ClockAhead,
    ];

    /// As schedules spell it.
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

/// What happens while an actor sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meanwhile {
    /// Nothing: no run begins.
    Quiet,
    /// The change is undone, and no run begins.
    QuietUndo,
    /// Runs, and no edit.
    Nothing,
    /// The change is undone.
    Undo,
    /// Further changes, committed one by one.
    More,
    /// The changed sources become invalid.
    Spoil,
    /// The operator removes the newest version, and a run commits another one of its number.
    Rollback,
    /// The operator removes the newest version, and runs commit further ones.
    RollbackAndMore,
    /// The operator rebuilds the table. Only readers sleep meanwhile: an operator suspends all runs before a rebuild.
    Rebuild,
}

impl Meanwhile {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Quiet,
        Self::QuietUndo,
        Self::Nothing,
        Self::Undo,
        Self::More,
        Self::Spoil,
        Self::Rollback,
        Self::RollbackAndMore,
        Self::Rebuild,
    ];

    /// As schedules spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::QuietUndo => "quiet-undo",
            Self::Nothing => "nothing",
            Self::Undo => "undo",
            Self::More => "more",
            Self::Spoil => "spoil",
            Self::Rollback => "rollback",
            Self::RollbackAndMore => "rollback-and-more",
            Self::Rebuild => "rebuild",
        }
    }
}

/// A pause of one actor, and what happens before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// How long.
    pub length: Length,
    /// What happens in the meantime.
    pub meanwhile: Meanwhile,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.length.name(), self.meanwhile.name())
    }
}

/// Every combination.
pub(super) fn pauses(lengths: &[Length], meanwhile: &[Meanwhile]) -> Vec<Pause> {
    let of = |length: &Length| {
        let length = *length;
        meanwhile.iter().map(move |meanwhile| Pause {
            length,
            meanwhile: *meanwhile,
        })
    };
    lengths.iter().flat_map(of).collect()
}

impl Pause {
    /// The pause that a schedule spells so.
    pub fn parse(text: &str) -> Option<Self> {
        pauses(&Length::ALL, &Meanwhile::ALL)
            .into_iter()
            .find(|pause| pause.to_string() == text)
    }

    /// Those of the scenarios with two runs.
    pub(super) fn usual() -> Vec<Self> {
        pauses(
            &[Length::Minutes, Length::Day, Length::TenDays, Length::FortyDays],
            &[Meanwhile::Nothing, Meanwhile::Undo, Meanwhile::More, Meanwhile::Spoil],
        )
    }

    /// Those after which the sleeper meets a further run: that run and its vacuum work while the sleeper goes on.
    pub(super) fn before_company() -> Vec<Self> {
        let mut all = Self::usual();
        all.extend(pauses(&[Length::Hours, Length::TenDays, Length::FortyDays], &[Meanwhile::Quiet]));
        all.extend(pauses(&[Length::ClockAhead], &[Meanwhile::Nothing, Meanwhile::Undo]));
        all
    }
}
