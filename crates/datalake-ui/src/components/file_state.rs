//! Whether a page can show a file of a row.

/// Whether there is a file to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// The latest version has a file, which is available.
    Available {
        version: u64,
    },
    /// An earlier version had a file. Files are kept only for the latest version.
    NotKept,
    None,
}

impl FileState {
    /// The file of a row at `version`.
    pub(crate) fn of(has_file: bool, version: u64, latest: u64) -> Self {
        match has_file {
            true if version == latest => Self::Available { version },
            true => Self::NotKept,
            false => Self::None,
        }
    }
}
