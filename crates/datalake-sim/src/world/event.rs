//! The steps of an execution.

use std::fmt;

use crate::gate::Operation;

/// The next step of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// A pending operation.
    Operation(Operation),
    /// A timer.
    Timer,
    /// None: the actor has ended or was killed.
    Ended,
}

/// A step of an execution.
#[derive(Clone, Debug)]
pub struct Event {
    /// The actor.
    pub actor: String,
    /// The operation, the timer, or what happened to the actor.
    pub step: String,
    /// The result.
    pub result: &'static str,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actor, self.step)?;
        if self.result.is_empty() {
            Ok(())
        } else {
            write!(f, "  # {}", self.result)
        }
    }
}
