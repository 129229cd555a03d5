//! The sizes of the table and of its reads.

/// The sizes of the table. Only tests need other values than the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// The maximum number of rows in a data file.
    pub data_file_rows_max: usize,
    /// A checkpoint is written for each version whose number is a multiple of this.
    pub commits_per_checkpoint: u64,
}

impl Default for TableSettings {
    /// 128,000 rows have 5 to 10 MB: rewriting them for one changed row takes well under a second, and 10 million rows still have few
    /// files. 20 commits are most of a day of hourly runs, so a load reads at most 20 small entries.
    fn default() -> Self {
        Self {
            data_file_rows_max: 128_000,
            commits_per_checkpoint: 20,
        }
    }
}

/// The number of data files that are read at once: two are decoded while two are fetched, and 4 times 10 MB are in memory.
pub(crate) const READS_IN_FLIGHT: usize = 4;
