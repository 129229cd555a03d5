//! The sizes of the table and of its reads.

/// The sizes of the table. The defaults are right but for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// Most rows of a data file.
    pub data_file_rows_max: usize,
    /// A checkpoint is written whenever a version's number is a multiple of this.
    pub commits_per_checkpoint: u64,
}

impl Default for TableSettings {
    /// 128,000 rows are 5 to 10 MB: rewritten for one changed row in well under a second, and few enough files for 10 million rows.
    /// 20 commits are most of a day of hourly runs, and a load then reads at most 20 small entries.
    fn default() -> Self {
        Self {
            data_file_rows_max: 128_000,
            commits_per_checkpoint: 20,
        }
    }
}

/// The number of data files that are read at once: two are decoded while two are fetched, and 4 times 10 MB are in memory.
pub(crate) const READS_IN_FLIGHT: usize = 4;
