//! Bounds on the memory for files.

use datalake_core::jpeg::DECODER_MIB_MAX;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Seven files of the default maximum size, or one of a common size for each request in flight.
const FILE_MIB_IN_FLIGHT_MAX: u16 = 63;

/// The memory that files may use at the same time. One permit is a KiB.
#[derive(Debug)]
pub(crate) struct FileBudget {
    permits: Semaphore,
    kib_max: u32,
}

impl FileBudget {
    /// The memory for the bytes of files.
    pub(crate) fn for_bytes() -> Self {
        Self::new(FILE_MIB_IN_FLIGHT_MAX)
    }

    /// The memory that decoders need beside the bytes of files: a task that has some of it must not wait for memory for bytes.
    pub(crate) fn for_decoders() -> Self {
        Self::new(DECODER_MIB_MAX)
    }

    fn new(mib_max: u16) -> Self {
        Self {
            permits: Semaphore::new(usize::from(mib_max) * 1024),
            kib_max: u32::from(mib_max) * 1024,
        }
    }

    /// Waits until there is memory for these bytes.
    pub(crate) async fn acquire(&self, bytes: u64) -> SemaphorePermit<'_> {
        let kib = u32::try_from(bytes.div_ceil(1024)).map_or(self.kib_max, |kib| kib.clamp(1, self.kib_max));
        self.permits.acquire_many(kib).await.expect("the semaphore is never closed")
    }
}
