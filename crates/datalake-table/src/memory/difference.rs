//! What differs between two versions that a reader holds.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use datalake_core::row::RowView;

use crate::memory::snapshot::{Part, Snapshot};

/// A row that two versions show differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What the earlier version shows; none where the row was added.
    pub before: Option<RowView<'a>>,
    /// What the later one shows; none where the row was removed.
    pub after: Option<RowView<'a>>,
}

/// The differences of two versions by user id, found as they are taken. Data files that both hold are skipped unread.
#[derive(Debug)]
pub struct Difference {
    before: Side,
    after: Side,
}

/// What one version holds and the other does not, and how far it has been compared.
#[derive(Debug)]
struct Side {
    parts: Vec<Arc<Part>>,
    part: usize,
    index: usize,
}

/// A row's place within a [`Side`].
type Place = (usize, usize);

impl Difference {
    /// What turned `before` into `after`.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        Self {
            before: Side::of(before, after),
            after: Side::of(after, before),
        }
    }

    /// The next row that differs; none at the end.
    pub fn next_change(&mut self) -> Option<Change<'_>> {
        loop {
            let (before, after) = (self.before.place(), self.after.place());
            let order = match (before, after) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => self.before.row(before).user_id.cmp(self.after.row(after).user_id),
            };
            let before = before.filter(|_| order.is_le());
            let after = after.filter(|_| order.is_ge());
            if before.is_some() {
                self.before.advance();
            }
            if after.is_some() {
                self.after.advance();
            }
            let is_same = before.map(|place| self.before.row(place)) == after.map(|place| self.after.row(place));
            if !is_same {
                return Some(Change {
                    before: before.map(|place| self.before.row(place)),
                    after: after.map(|place| self.after.row(place)),
                });
            }
        }
    }
}

impl Side {
    fn of(snapshot: &Snapshot, other: &Snapshot) -> Self {
        let held: BTreeSet<&[Box<str>]> = other.parts.iter().map(|part| &*part.paths).collect();
        let parts = snapshot.parts.iter().filter(|part| !held.contains(&*part.paths)).cloned();
        Self {
            parts: parts.collect(),
            part: 0,
            index: 0,
        }
    }

    /// Where the next row is. No part of a snapshot is empty.
    fn place(&self) -> Option<Place> {
        (self.part < self.parts.len()).then_some((self.part, self.index))
    }

    fn row(&self, (part, index): Place) -> RowView<'_> {
        self.parts[part].rows.row(index)
    }

    fn advance(&mut self) {
        self.index += 1;
        if self.parts.get(self.part).is_some_and(|part| self.index >= part.rows.len()) {
            (self.part, self.index) = (self.part + 1, 0);
        }
    }
}

impl Snapshot {
    /// The rows that are in memory because of these snapshots alone, and would not be for `newest`: data files that they share count once.
    pub fn rows_not_in<'a>(newest: &Self, snapshots: impl IntoIterator<Item = &'a Self>) -> usize {
        let mut seen: BTreeSet<*const Part> = newest.parts.iter().map(Arc::as_ptr).collect();
        let parts = snapshots.into_iter().flat_map(|snapshot| &snapshot.parts);
        parts
            .filter(|part| seen.insert(Arc::as_ptr(part)))
            .map(|part| part.rows.len())
            .sum()
    }
}
