//! Partial-order reduction: which operations of different actors conflict.

use std::collections::{BTreeMap, HashMap};

use datalake_store::faults::OperationKind;

use crate::{gate::Operation, world::ActorId};

/// A pseudo key that every sweep writes and every fenced write reads.
const FENCES: &str = "fences";

/// A set of actors, one bit each.
type Actors = u32;

fn bit(actor: ActorId) -> Actors {
    1 << actor
}

/// The actors that accessed each key.
#[derive(Clone, Debug, Default)]
struct Table {
    reads: HashMap<String, Actors>,
    writes: HashMap<String, Actors>,
    /// Listings by prefix.
    lists: BTreeMap<String, Actors>,
}

impl Table {
    fn add(&mut self, actor: ActorId, operation: &Operation) {
        for (key, is_write) in touched(operation) {
            let accesses = if is_write { &mut self.writes } else { &mut self.reads };
            match accesses.get_mut(key) {
                Some(actors) => *actors |= bit(actor),
                None => drop(accesses.insert(key.to_owned(), bit(actor))),
            }
        }
        if operation.kind == OperationKind::List && !operation.is_completion {
            *self.lists.entry(operation.key.clone()).or_default() |= bit(actor);
        }
    }

    /// Whether another actor has a conflicting access: the keys overlap, and at least one of the two writes.
    fn conflicts(&self, actor: ActorId, operation: &Operation) -> bool {
        let by_others = |actors: Option<&Actors>| actors.is_some_and(|actors| actors & !bit(actor) != 0);
        if operation.kind == OperationKind::List && !operation.is_completion {
            let prefix = operation.key.as_str();
            return self
                .writes
                .iter()
                .any(|(key, actors)| key.starts_with(prefix) && by_others(Some(actors)));
        }
        touched(operation).any(|(key, is_write)| {
            let is_listed = || {
                self.lists
                    .iter()
                    .any(|(prefix, actors)| key.starts_with(prefix) && by_others(Some(actors)))
            };
            by_others(self.writes.get(key)) || is_write && (by_others(self.reads.get(key)) || is_listed())
        })
    }
}

/// The keys that an operation reads or writes, without listings.
fn touched(operation: &Operation) -> impl Iterator<Item = (&str, bool)> {
    let key = operation.key.as_str();
    let own = match (operation.is_completion, operation.kind) {
        (true, _) | (_, OperationKind::List | OperationKind::Fence) => None,
        (_, OperationKind::Sweep) => Some((FENCES, true)),
        (_, OperationKind::Get | OperationKind::Head) => Some((key, false)),
        (_, OperationKind::Put | OperationKind::Copy | OperationKind::Delete) => Some((key, true)),
    };
    let source = operation
        .source
        .as_deref()
        .filter(|_| !operation.is_completion)
        .map(|key| (key, false));
    let fence = (operation.is_fenced && operation.is_write()).then_some((FENCES, false));
    own.into_iter().chain(source).chain(fence)
}

/// Learns which operations can conflict with those of other actors.
///
/// An operation that conflicts with no operation of another actor in any execution is independent: it is merged with the operation before it,
/// and no other order of it is explored. The accesses of others are learned during the exploration. When they show that a merged operation
/// conflicts, the exploration starts again.
#[derive(Clone, Debug, Default)]
pub(super) struct Accesses {
    all: Table,
    merged: Table,
}

impl Accesses {
    /// Whether the operation conflicts with a known operation of another actor.
    pub(super) fn is_dependent(&self, actor: ActorId, operation: &Operation) -> bool {
        self.all.conflicts(actor, operation)
    }

    /// Records an operation, and whether it was merged. Returns false if a merged operation conflicts with it.
    pub(super) fn record(&mut self, actor: ActorId, operation: &Operation, is_merged: bool) -> bool {
        let is_consistent = !self.merged.conflicts(actor, operation);
        self.all.add(actor, operation);
        if is_merged {
            self.merged.add(actor, operation);
        }
        is_consistent
    }

    /// Forgets the merged operations, before the exploration starts again.
    pub(super) fn restart(&mut self) {
        self.merged = Table::default();
    }
}
