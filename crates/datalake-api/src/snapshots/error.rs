//! Why a version of the table cannot be read.

/// Why a version cannot be read. One variant for each reaction of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastError {
    /// The store has not answered since this server started.
    Unknown,
    /// There is no table yet.
    NoTable,
    /// There is no such version yet.
    NotYet {
        /// The newest version.
        newest: u64,
    },
    /// The time asked for lies before the table's first version.
    BeforeFirst,
    /// There was one, and its entry or its files are removed.
    Gone,
    /// Too many others are being read.
    TooBusy,
    /// The store does not answer.
    StoreUnavailable,
    /// The table is not what the log says; the server's log tells more.
    Damaged,
}
