//! A bound on the bytes of files in memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// In KiB: seven files of the default maximum size, or one of a common size for each request in flight.
const FILE_KIB_IN_FLIGHT_MAX: u16 = 63 * 1024;

/// The memory that files may use at the same time. One permit is a KiB.
#[derive(Debug)]
pub(crate) struct FileBudget(Semaphore);

impl Default for FileBudget {
    fn default() -> Self {
        Self(Semaphore::new(FILE_KIB_IN_FLIGHT_MAX.into()))
    }
}

impl FileBudget {
    /// Waits until there is memory for a file of this size.
    pub(crate) async fn acquire(&self, bytes: u64) -> SemaphorePermit<'_> {
        let kib = u16::try_from(bytes.div_ceil(1024)).map_or(FILE_KIB_IN_FLIGHT_MAX, |kib| kib.clamp(1, FILE_KIB_IN_FLIGHT_MAX));
        self.0.acquire_many(kib.into()).await.expect("the semaphore is never closed")
    }
}
