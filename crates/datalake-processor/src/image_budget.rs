//! A bound on the bytes of images in memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// In KiB: seven images of the maximum size, or one image of a common size for each request in flight.
const IMAGE_KIB_IN_FLIGHT_MAX: u16 = 63 * 1024;

/// The memory that images may use at the same time. One permit is a KiB.
#[derive(Debug)]
pub(crate) struct ImageBudget(Semaphore);

impl Default for ImageBudget {
    fn default() -> Self {
        Self(Semaphore::new(IMAGE_KIB_IN_FLIGHT_MAX.into()))
    }
}

impl ImageBudget {
    /// Waits until there is memory for an image of this size.
    pub(crate) async fn acquire(&self, bytes: u64) -> SemaphorePermit<'_> {
        let kib = u16::try_from(bytes.div_ceil(1024)).map_or(IMAGE_KIB_IN_FLIGHT_MAX, |kib| kib.clamp(1, IMAGE_KIB_IN_FLIGHT_MAX));
        self.0.acquire_many(kib.into()).await.expect("the semaphore is never closed")
    }
}
