//! Which operations of different actors can conflict: the partial order that the explorer keeps to.

use std::collections::{BTreeMap, HashMap};

use datalake_store::faults::OperationKind;

use crate::{gate::Operation, world::ActorId};

/// Every sweep writes it, and every fenced write reads it.
const FENCES: &str = "fences";

/// Sets of actors, a bit each.
type Actors = u32;

fn bit(actor: ActorId) -> Actors {
    1 << actor
}

/// Who accessed what.
#[derive(Clone, Debug, Default)]
struct Table {
    reads: HashMap<String, Actors>,
    writes: HashMap<String, Actors>,
    /// By prefix.
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

    /// Whether another actor has an access that conflicts: one of the two writes, and their keys overlap.
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

/// Keys that an operation reads or writes, listings aside.
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

/// Learns which operations can conflict with one of another actor.
///
/// An operation that conflicts with nothing that any other actor does in any execution commutes with everything: it is carried out along
/// with the operation before it, and no order around it is explored. What others do is learned as the exploration goes on; once it shows
/// that an operation was taken along wrongly, the exploration starts again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accesses {
    seen: Table,
    taken_along: Table,
}

impl Accesses {
    /// Whether the order of this operation and those of others can matter, as far as is known.
    pub(crate) fn is_visible(&self, actor: ActorId, operation: &Operation) -> bool {
        self.seen.conflicts(actor, operation)
    }

    /// Notes an operation, and whether it was taken along without a decision. Returns false if an operation was taken along wrongly.
    pub(crate) fn note(&mut self, actor: ActorId, operation: &Operation, is_taken_along: bool) -> bool {
        let is_right = !self.taken_along.conflicts(actor, operation);
        self.seen.add(actor, operation);
        if is_taken_along {
            self.taken_along.add(actor, operation);
        }
        is_right
    }

    /// Forgets what was taken along, before the exploration starts again.
    pub(crate) fn restart(&mut self) {
        self.taken_along = Table::default();
    }
}
