//! The differences between two snapshots.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use datalake_core::row::RowView;

use crate::memory::snapshot::{Part, Snapshot};

/// A row that differs between two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The row in the earlier version. None if the row was added.
    pub before: Option<RowView<'a>>,
    /// The row in the later version. None if the row was removed.
    pub after: Option<RowView<'a>>,
}

/// Finds the differences of two versions one by one, by ID. Skips data files that both versions contain.
#[derive(Debug)]
pub struct Difference {
    before: Side,
    after: Side,
}

/// The data files that only one of the versions contains, and the position of the comparison in them.
#[derive(Debug)]
struct Side {
    parts: Vec<Arc<Part>>,
    part: usize,
    index: usize,
}

/// The position of a row within a [`Side`].
type RowPosition = (usize, usize);

impl Difference {
    /// The changes from `before` to `after`.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        Self {
            before: Side::of(before, after),
            after: Side::of(after, before),
        }
    }

    /// The next difference. None at the end.
    pub fn next_change(&mut self) -> Option<Change<'_>> {
        loop {
            let (before, after) = (self.before.position(), self.after.position());
            let order = match (before, after) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => self.before.row(before).row_id.cmp(self.after.row(after).row_id),
            };
            let before = before.filter(|_| order.is_le());
            let after = after.filter(|_| order.is_ge());
            if before.is_some() {
                self.before.advance();
            }
            if after.is_some() {
                self.after.advance();
            }
            let is_same = before.map(|position| self.before.row(position)) == after.map(|position| self.after.row(position));
            if !is_same {
                return Some(Change {
                    before: before.map(|position| self.before.row(position)),
                    after: after.map(|position| self.after.row(position)),
                });
            }
        }
    }
}

impl Side {
    fn of(snapshot: &Snapshot, other: &Snapshot) -> Self {
        let shared: BTreeSet<&[Box<str>]> = other.parts.iter().map(|part| &*part.paths).collect();
        let parts = snapshot.parts.iter().filter(|part| !shared.contains(&*part.paths)).cloned();
        Self {
            parts: parts.collect(),
            part: 0,
            index: 0,
        }
    }

    /// The position of the next row. No part of a snapshot is empty.
    fn position(&self) -> Option<RowPosition> {
        (self.part < self.parts.len()).then_some((self.part, self.index))
    }

    fn row(&self, (part, index): RowPosition) -> RowView<'_> {
        self.parts[part].rows.row(index)
    }

    fn advance(&mut self) {
        self.index += 1;
        if self.parts.get(self.part).is_some_and(|part| self.index >= part.rows.len()) {
            (self.part, self.index) = (self.part + 1, 0);
        }
    }
}
