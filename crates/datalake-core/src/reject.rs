//! Rejected and ignored sources: why they are excluded, and where in the source the cause is.
//!
//! A source is *rejected* if its content is invalid: it was evaluated, and the last valid row is kept. An object is *ignored* if it is
//! not a source, usually because of its name: it is counted and never read. Both together are *excluded* sources. Nothing here evaluates a
//! source: `source.rs` and `image.rs` do.

mod codes;
mod excerpt;
mod excluded;
mod ignored;
mod reason;

use jiff::Timestamp;

pub(crate) use self::excerpt::excerpt;
pub use self::{
    codes::{IgnoreCode, Notice, RejectCode},
    excluded::{ExcludedSource, Exclusion, ExclusionKind, ignored_total_if_truncated},
    reason::Reason,
};

/// A position in the bytes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// From 1; lines end with LF, CRLF or CR, also within quotes. None in an image, which has no lines.
    pub line: Option<u32>,
    /// From 1, in bytes of the line.
    pub column: Option<u32>,
    /// From 0, in bytes of the source.
    pub byte_offset: u64,
}

/// Why a source was rejected, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The stable code.
    pub code: RejectCode,
    /// The name of the column, if the reason concerns one.
    pub column_name: Option<Box<str>>,
    /// The position of the cause, if it has one.
    pub position: Option<Position>,
    /// The line around the position, at most [`Reject::EXCERPT_BYTES_MAX`] bytes; invisible characters are shown by their code points.
    pub excerpt: Option<Box<str>>,
    /// The position in the text of the excerpt, in bytes: the start of a character, or the end of the text if the position is the end of the
    /// line. None without an excerpt.
    pub excerpt_offset: Option<u8>,
    /// The cause, what was expected, and the remedy.
    pub reason: Box<Reason>,
    /// The time from which a run accepts the same bytes; none if the result does not depend on the time.
    pub valid_from: Option<Timestamp>,
}

impl Reject {
    /// Maximum length of an excerpt, as the input rules define it.
    pub const EXCERPT_BYTES_MAX: usize = 80;

    /// A reject without column, position and excerpt.
    pub fn whole(code: RejectCode, reason: Reason) -> Self {
        Self {
            code,
            column_name: None,
            position: None,
            excerpt: None,
            excerpt_offset: None,
            reason: Box::new(reason),
            valid_from: None,
        }
    }

    /// Whether a run at this time may get another result although the listing shows the same version: the source is then read again.
    pub fn may_change_by(&self, run_at: Timestamp) -> bool {
        match self.code {
            // A listing shows neither permissions nor active writers.
            RejectCode::Unreadable | RejectCode::Unstable => true,
            _ => self.valid_from.is_some_and(|from| run_at >= from),
        }
    }

    /// A source that cannot be read because of `cause`, although the store is available.
    pub fn unreadable(cause: &str) -> Self {
        let reason = Reason::new(
            format!("the object cannot be read: {cause}"),
            "an object that the processor may read",
            "check the permissions, the storage class and the encryption key of this object",
        );
        Self::whole(RejectCode::Unreadable, reason)
    }

    /// A source that changed during each of `attempts` attempts to read it.
    pub fn unstable(attempts: u32) -> Self {
        let reason = Reason::new(
            format!("the object changed during each of {attempts} attempts to read it"),
            "an object that stays the same while it is read",
            "wait until its writer has finished; the next run reads it again",
        );
        Self::whole(RejectCode::Unstable, reason)
    }

    /// Adds the position of a byte in a source without lines.
    pub(crate) fn at_byte(mut self, offset: usize) -> Self {
        self.position = Some(Position {
            line: None,
            column: None,
            byte_offset: u64::try_from(offset).unwrap_or(u64::MAX),
        });
        self
    }
}
#[cfg(test)]
impl Reject {
    /// Fails unless the reject has this code and a message with these parts.
    #[track_caller]
    pub(crate) fn assert_has(&self, code: RejectCode, parts: &[&str]) {
        let message = self.reason.to_string();
        assert_eq!(self.code, code, "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
}
