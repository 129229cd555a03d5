//! A fence that is renewed when it expires, so that a run can write for as long as it needs.

use std::sync::Arc;

use datalake_store::{
    bucket::{Bucket, Fenced},
    error::StoreError,
};
use tokio::sync::Mutex;

/// Retries of a write under a new fence. Each means that the process was paused for minutes, or that the store took as long.
const RENEWALS_MAX: u32 = 3;

/// A fenced view of the store that is renewed when it expires. For writes that are conditional and covered by an intent: a late write of a process
/// that was paused fails on its condition.
pub(crate) struct Fence<'a> {
    bucket: &'a dyn Bucket,
    /// The current view, and how many views there were before it; none before the first write.
    current: Mutex<(u32, Option<Fenced>)>,
}

impl<'a> Fence<'a> {
    /// No view is created before the first write.
    pub(crate) fn new(bucket: &'a dyn Bucket) -> Self {
        Self {
            bucket,
            current: Mutex::new((0, None)),
        }
    }

    /// The current view and its number.
    async fn view(&self) -> Result<(u32, Arc<dyn Bucket>), StoreError> {
        let mut current = self.current.lock().await;
        let number = current.0;
        let view = match &mut current.1 {
            Some(view) => view,
            none => none.insert(self.bucket.fenced().await?),
        };
        Ok((number, Arc::clone(&view.bucket)))
    }

    /// Writes through the current view, and through a new one if it has expired.
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
