//! The memory budget for responses that are not ordered by `user_id`. Each such response keeps its row numbers in memory until it ends.

use std::sync::Arc;

use datalake_table::memory::row_cursor::ROW_NUMBER_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Row numbers of all such responses together: 2 MB.
const ROWS_MAX: u32 = 500_000;

/// The maximum share of one response. A larger response takes only this share, which leaves budget for smaller ones.
const ROWS_PER_RESPONSE_MAX: u32 = 400_000;

const _: () = assert!(ROW_NUMBER_BYTES == 4, "ROWS_MAX is derived from it");

/// The budget. Clones share it.
#[derive(Clone, Debug)]
pub struct SortBudget(Arc<Semaphore>);

/// A part of the budget, which is returned when this is dropped.
#[derive(Debug)]
pub struct SortPermit {
    _rows: OwnedSemaphorePermit,
}

impl Default for SortBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl SortBudget {
    /// The whole budget.
    pub fn new() -> Self {
        let rows = usize::try_from(ROWS_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(rows)))
    }

    /// A permit to sort this number of rows; a problem if other responses use the budget.
    pub fn acquire(&self, rows: usize) -> Result<SortPermit, Problem> {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(ROWS_PER_RESPONSE_MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(rows);
        permit
            .map(|rows| SortPermit { _rows: rows })
            .map_err(|_| Problem::ResponseBudgetExhausted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_response_leaves_budget_for_small_ones() {
        let budget = SortBudget::new();
        let large = budget.acquire(10_000_000).unwrap();
        assert!(budget.clone().acquire(10_000_000).is_err() && budget.acquire(100_001).is_err());
        let small = budget.acquire(100_000).unwrap();
        assert!(budget.acquire(1).is_err());
        drop((large, small));
        assert!(budget.acquire(400_000).is_ok());
    }
}
