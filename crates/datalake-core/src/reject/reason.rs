//! The message of a rejected or ignored source.

use std::fmt;

/// Why an object is rejected or ignored: the three parts of the message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The cause: what was found, with its value.
    pub found: Box<str>,
    /// What was expected instead.
    pub expected: Box<str>,
    /// What to do about it.
    pub remedy: Box<str>,
}

impl Reason {
    /// A reason of these three texts, each without a final period.
    pub fn new(found: impl Into<Box<str>>, expected: impl Into<Box<str>>, remedy: impl Into<Box<str>>) -> Self {
        Self {
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}; {}", self.found, self.expected, self.remedy)
    }
}
