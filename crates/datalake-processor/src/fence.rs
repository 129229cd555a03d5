//! Writes that expire, for as long as a run needs them.

use std::sync::Arc;

use datalake_store::{
    bucket::{Bucket, Fenced},
    error::StoreError,
};
use tokio::sync::Mutex;

/// A write that expired is tried again under a new fence so often: each time the process was paused for minutes, or the store took as long.
const RENEWALS_MAX: u32 = 3;

/// A fenced view of the store that is renewed as it expires. For writes that are conditional by themselves and covered by a note: a write that
/// comes late, from a process that was paused, then finds that its condition no longer holds.
pub(crate) struct Fence<'a> {
    bucket: &'a dyn Bucket,
    /// The present view and how often it was made; none before the first write.
    current: Mutex<(u32, Option<Fenced>)>,
}

impl<'a> Fence<'a> {
    /// No view is made before the first write.
    pub(crate) fn new(bucket: &'a dyn Bucket) -> Self {
        Self {
            bucket,
            current: Mutex::new((0, None)),
        }
    }

    /// The present view and its number.
    async fn view(&self) -> Result<(u32, Arc<dyn Bucket>), StoreError> {
        let mut current = self.current.lock().await;
        let number = current.0;
        let view = match &mut current.1 {
            Some(view) => view,
            none => none.insert(self.bucket.fenced().await?),
        };
        Ok((number, Arc::clone(&view.bucket)))
    }

    /// Writes through the present view, and again through a new one if that has expired.
    pub(crate) async fn write<T>(&self, write: impl AsyncFn(&dyn Bucket) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut renewals = 0;
        loop {
            let (number, view) = self.view().await?;
            match write(view.as_ref()).await {
                Err(StoreError::Expired { .. }) if renewals < RENEWALS_MAX => {
                    renewals += 1;
                    let mut current = self.current.lock().await;
                    if current.0 == number {
                        *current = (number.wrapping_add(1), None);
                    }
                }
                written => return written,
            }
        }
    }
}
