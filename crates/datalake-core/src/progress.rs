//! The progress of a run, and its forms: on the standard error of a run's process, from which the server reads it, and as an object in the lake.
//!
//! A line of progress begins with the record separator, which no log line does, so the server keeps it out of the log.

use serde::{Deserialize, Serialize};

/// The environment variable with which the server requests lines of progress.
pub const VARIABLE: &str = "DATALAKE_PROGRESS";

/// What a line of progress begins with: the separator of RFC 7464.
const PREFIX: &str = "\u{1e}progress ";

/// A phase of a run. A run that starts over repeats phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The sources are being listed.
    Listing,
    /// The changed sources are being read.
    Reading,
    /// The images of changed rows are being copied.
    Copying,
    /// The new data files are being written and committed.
    Committing,
    /// `output.csv` and the image copies are being published.
    Publishing,
}

impl Phase {
    /// All phases, in the order of a run.
    pub const ALL: [Self; 5] = [Self::Listing, Self::Reading, Self::Copying, Self::Committing, Self::Publishing];

    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Reading => "reading",
            Self::Copying => "copying",
            Self::Committing => "committing",
            Self::Publishing => "publishing",
        }
    }

    /// What the run is doing.
    pub fn label(self) -> &'static str {
        match self {
            Self::Listing => "listing sources",
            Self::Reading => "reading sources",
            Self::Copying => "copying images",
            Self::Committing => "committing",
            Self::Publishing => "publishing",
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The current phase.
    pub phase: Phase,
    /// Objects listed, or rows done; 0 in phases that count nothing.
    pub done: u64,
    /// All rows of the phase, if their number is known.
    pub total: Option<u64>,
}

impl RunProgress {
    /// The line, with a line feed.
    pub fn to_line(self) -> String {
        format!("{PREFIX}{}\n", self.to_json())
    }

    /// Parses a line without its line feed; none if it is not one of progress.
    pub fn parse_line(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(PREFIX)?).ok()
    }

    /// The object in the lake.
    pub fn to_json(self) -> String {
        serde_json::to_string(&self).expect("progress consists of numbers and a name")
    }

    /// Parses the object; none if it is not one of progress.
    pub fn parse_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether bytes at the start of a line may be those of progress.
    pub fn is_line_start(bytes: &[u8]) -> bool {
        let prefix = PREFIX.as_bytes();
        let length = bytes.len().min(prefix.len());
        bytes.get(..length) == prefix.get(..length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_parsed_as_it_was_written() {
        for phase in Phase::ALL {
            let progress = RunProgress {
                phase,
                done: 3,
                total: Some(10),
            };
            let line = progress.to_line();
            assert!(line.contains(phase.as_str()), "{line}");
            assert_eq!(RunProgress::parse_line(line.trim_end()), Some(progress));
            assert_eq!(RunProgress::parse_json(progress.to_json().as_bytes()), Some(progress));
        }
    }

    #[test]
    fn other_lines_are_not_progress() {
        assert_eq!(RunProgress::parse_line("{\"message\":\"run started\"}"), None);
        assert_eq!(RunProgress::parse_line("\u{1e}progress {}"), None);
        assert!(RunProgress::is_line_start(b"\x1epro") && RunProgress::is_line_start(b"\x1eprogress {\"phase\""));
        assert!(!RunProgress::is_line_start(b"progress") && !RunProgress::is_line_start(b"\x1eother"));
    }
}
