//! Work that looks at rows, off the threads that answer and not on all of those that the store needs.

use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};

/// Two scans read memory as fast as the cores of a small machine can. The other blocking threads are the store's and the watch's.
const SCANS_MAX: usize = 2;

static SCANS: Semaphore = Semaphore::const_new(SCANS_MAX);

/// Does the work on a blocking thread once it is its turn. A request that is given up before that leaves the queue, so that the queue is no
/// longer than the requests in flight. An error is a panic, or the end of the process.
pub async fn scan<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let turn = SCANS.acquire().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        // Held by the work, which goes on when nobody waits for it any more.
        let _turn = turn;
        work()
    })
    .await
}

/// The same for a body: who asks for its next piece may not ask again for long, while its turn would come and be kept.
pub async fn scan_apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    apart(scan(work)).await?
}

/// Goes on whether or not it is asked how far it is, and ends with whoever waits for it. What waits for a turn within a body has to: the turn
/// comes to whom is next, also where nobody asks that one any more.
pub async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    let mut task = JoinSet::new();
    task.spawn(work);
    task.join_next().await.expect("one was spawned")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
        let working: Vec<_> = (0..SCANS_MAX)
            .map(|_| {
                let gate = std::sync::Arc::clone(&gate);
                tokio::spawn(scan(move || gate.lock().unwrap().recv().unwrap()))
            })
            .collect();
        while SCANS.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut given_up = scan(|| panic!("nobody waits for it")).boxed();
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        for _ in 0..SCANS_MAX {
            release.send(()).unwrap();
        }
        for working in working {
            working.await.unwrap().unwrap();
        }
        assert_eq!(scan(|| 1).await.unwrap(), 1);
    }
}
