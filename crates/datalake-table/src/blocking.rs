//! CPU-bound work outside of the threads for asynchronous I/O.

use datalake_store::simulation;

/// Runs `work` on a blocking thread, and propagates its panic.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if simulation::is_active() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
