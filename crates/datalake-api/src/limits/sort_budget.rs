//! Room for the rows that answers in another order than that of the ids hold the numbers of, until they end.

use std::sync::Arc;

use datalake_table::memory::row_cursor::ROW_NUMBER_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// The bound of all such answers together, 2 MB.
const ROWS_MAX: u32 = 500_000;

/// What one of them takes at most: beside an answer of more rows, which holds as many as it has, there is room for smaller ones.
const ROWS_OF_ONE_MAX: u32 = 400_000;

const _: () = assert!(ROW_NUMBER_BYTES == 4, "the bound counts on it");

/// The room there is. Clones share it.
#[derive(Clone, Debug)]
pub struct OrderedRows(Arc<Semaphore>);

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub struct RowsRoom {
    _rows: OwnedSemaphorePermit,
}

impl OrderedRows {
    /// The whole budget.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(
            usize::try_from(ROWS_MAX).unwrap_or(Semaphore::MAX_PERMITS),
        )))
    }

    /// Room for as many rows; refused where others hold too many.
    pub fn take(&self, rows: usize) -> Result<RowsRoom, Problem> {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(ROWS_OF_ONE_MAX);
        let taken = Arc::clone(&self.0).try_acquire_many_owned(rows);
        taken
            .map(|rows| RowsRoom { _rows: rows })
            .map_err(|_| Problem::ResponseBudgetExhausted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_leaves_room_for_small_ones() {
        let room = OrderedRows::new();
        let large = room.take(10_000_000).unwrap();
        assert!(room.clone().take(10_000_000).is_err() && room.take(100_001).is_err());
        let small = room.take(100_000).unwrap();
        assert!(room.take(1).is_err());
        drop((large, small));
        assert!(room.take(400_000).is_ok());
    }
}
