//! Room for the rows that answers in another order than that of the ids hold the numbers of, until they end.

use std::sync::Arc;

use datalake_table::walk::PLACE_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// The bound of all such answers together, 2 MB; of a larger table one answer at a time may hold all its rows.
const ROWS_MAX: u32 = 500_000;

const _: () = assert!(PLACE_BYTES == 4, "the bound counts on it");

/// The room there is. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct OrderedRows(Arc<Semaphore>);

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct RowsRoom(OwnedSemaphorePermit);

impl OrderedRows {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(permits(usize::MAX))))
    }

    /// Room for as many rows; refused where others hold too many.
    pub(crate) fn take(&self, rows: usize) -> Result<RowsRoom, Problem> {
        let rows = u32::try_from(permits(rows)).unwrap_or(ROWS_MAX);
        let taken = Arc::clone(&self.0).try_acquire_many_owned(rows);
        taken.map(RowsRoom).map_err(|_| Problem::TooManyStreams)
    }
}

impl RowsRoom {
    /// Gives back what is more than room for so many rows.
    pub(crate) fn shrink_to(&mut self, rows: usize) {
        let surplus = self.0.num_permits().saturating_sub(permits(rows));
        drop(self.0.split(surplus));
    }
}

fn permits(rows: usize) -> usize {
    rows.min(usize::try_from(ROWS_MAX).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_the_rows_of_all_or_for_one_large_table() {
        let room = OrderedRows::new();
        let mut first = room.take(300_000).unwrap();
        assert!(room.clone().take(200_001).is_err());
        first.shrink_to(250_000);
        let second = room.take(250_000).unwrap();
        assert!(room.take(1).is_err());
        drop((first, second));
        let mut large = room.take(10_000_000).unwrap();
        large.shrink_to(10_000_000);
        assert!(room.take(1).is_err());
        // As where a filter takes few of many rows.
        large.shrink_to(3);
        assert!(room.take(499_997).is_ok() && room.take(499_998).is_err());
    }
}
