//! Store operations, as schedules name them.

use std::fmt;

use datalake_store::faults::OperationKind;

/// A store operation that an actor requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The kind of operation.
    pub kind: OperationKind,
    /// The key, the prefix of a listing, or the target of a copy. Empty for a fence and a sweep.
    pub key: String,
    /// The source key of a copy.
    pub source: Option<String>,
    /// Whether it has a precondition.
    pub is_conditional: bool,
    /// Whether it is sent through a view whose writes expire.
    pub is_fenced: bool,
    /// Whether only the response of an operation that was executed earlier remains.
    pub is_completion: bool,
}

impl Operation {
    pub(super) fn new(kind: OperationKind, key: &str) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            source: None,
            is_conditional: false,
            is_fenced: false,
            is_completion: false,
        }
    }

    /// Whether it may change an object.
    pub fn is_write(&self) -> bool {
        !self.is_completion && matches!(self.kind, OperationKind::Put | OperationKind::Copy | OperationKind::Delete)
    }

    /// The name of its kind in schedules.
    pub fn name(&self) -> &'static str {
        match (self.is_completion, self.kind) {
            (true, _) => "complete",
            (false, OperationKind::List) => "list",
            (false, OperationKind::Get) => "get",
            (false, OperationKind::Put) => "put",
            (false, OperationKind::Copy) => "copy",
            (false, OperationKind::Delete) => "delete",
            (false, OperationKind::Head) => "head",
            (false, OperationKind::Fence) => "fence",
            (false, OperationKind::Sweep) => "sweep",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), if self.key.is_empty() { "-" } else { &self.key })
    }
}
