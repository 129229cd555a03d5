//! Every replica serves a new version within two seconds, with or without a hint. Time is paused and advances when all tasks wait.

use std::time::Duration;

use datalake_api::snapshots::watch::TableWatch;
use datalake_core::clock::Clock;
use tokio::{
    sync::watch,
    time::{Instant, advance},
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Lake, now, put};

/// Half of the promise: loading the version has the other half.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_new_version_is_served_within_two_seconds_without_a_hint() {
    let lake = Lake::of_users().await;
    let other = TableWatch::new(lake.table.clone(), Clock::new(now));
    other.refresh_now().await;
    let shutdown = CancellationToken::new();
    let (_silent, never) = watch::channel(());
    // The sender of hints is gone: the polling interval stays the same.
    let (_, gone) = watch::channel(());
    let following = [
        tokio::spawn(lake.watch.clone().follow(never, shutdown.clone())),
        tokio::spawn(other.clone().follow(gone, shutdown.clone())),
    ];
    // Between two polls: just after one, in the middle, just before the next.
    for (number, moment_ms) in (1..).zip([1, 500, 999]) {
        advance(Duration::from_millis(moment_ms)).await;
        let first_name = format!("Version {number}");
        lake.commit(vec![put("1000", &first_name, "1990-01-01", true)]).await;
        let committed = Instant::now();
        for replica in [&lake.watch, &other] {
            let mut versions = replica.versions();
            versions.wait_for(|version| *version == Some(number)).await.unwrap();
            assert!(
                committed.elapsed() <= TOLD_WITHIN,
                "version {number} after {:?}",
                committed.elapsed()
            );
        }
        assert_eq!(lake.get("/data/1000").await.json()["first_name"], *first_name);
    }
    shutdown.cancel();
    for followed in following {
        followed.await.unwrap();
    }
}
