//! Why a version of the table cannot be read.

/// Why a version cannot be read. One variant for each reaction of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionError {
    /// The table has not been loaded since this server started.
    Unknown,
    /// There is no table yet.
    NoTable,
    /// The version does not exist yet.
    NotYet {
        /// The latest version.
        newest: u64,
    },
    /// The requested time is before the first version of the table.
    BeforeFirst,
    /// The version existed, but its log entry or its files are removed.
    Gone,
    /// Too many other versions are being loaded.
    TooBusy,
    /// The store does not respond.
    StoreUnavailable,
    /// The table contradicts its log; the server's log has the details.
    Damaged,
}
