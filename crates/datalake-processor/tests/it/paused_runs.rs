//! Runs that are paused between any two requests, for longer than any retention, while other runs commit and vacuum.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use datalake_core::{keys, run::RunMode};
use datalake_processor::{options::RunOptions, run};
use datalake_store::{
    faults::{FaultAction, Faulty},
    memory::{EtagInput, Expiry, MemoryBucket},
};
use futures_util::FutureExt;
use jiff::SignedDuration;
use rstest::rstest;

use crate::lake::{COPIES, TestLake, csv, edited, on_other_thread, options, plain, png};

/// What the user and other runs do while a run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// The user reverts the edits. Other runs have nothing to commit, and vacuum.
    Restore,
    /// The user edits again, and other runs commit before and after the pause.
    Edit,
}

async fn restore(lake: &TestLake) {
    for id in ["1", "2", "3", "4", "7"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.remove("5.csv").await;
    lake.remove("5.png").await;
}

async fn edit(lake: &TestLake, round: u8) {
    lake.put("1.png", png(&format!("again {round}"))).await;
    lake.put("2.csv", csv("Ada", &format!("Back {round}"), 1)).await;
    lake.put("3.png", png(&format!("back {round}"))).await;
    match round % 2 {
        0 => lake.remove("5.png").await,
        _ => lake.put("5.png", png("5 again")).await,
    }
    lake.put("7.csv", csv("Ada", &format!("Edited {round}"), 7)).await;
}

async fn run_as_scheduled(bucket: &MemoryBucket) {
    let report = plain(bucket).run_with(&options(RunMode::Incremental)).await;
    assert_eq!(report.error, None);
}

async fn others(bucket: &MemoryBucket, others: Others, pause: SignedDuration) {
    let lake = plain(bucket);
    if others == Others::Edit {
        for round in 0..4 {
            edit(&lake, round).await;
            run_as_scheduled(bucket).await;
        }
    } else {
        restore(&lake).await;
    }
    bucket.advance_to(bucket.now() + pause);
    run_as_scheduled(bucket).await;
    if others == Others::Edit {
        edit(&lake, 4).await;
        run_as_scheduled(bucket).await;
    }
    // The vacuum of the next day removes what these runs superseded.
    bucket.advance_to(bucket.now() + SignedDuration::from_hours(25));
    run_as_scheduled(bucket).await;
}

/// Pauses a run before the request with this number. Returns false if the run ended before that request.
async fn paused_run(bucket: &MemoryBucket, request: u64, who: Others, pause: SignedDuration) -> bool {
    let was_paused = Arc::new(AtomicBool::new(false));
    let (other, paused) = (bucket.clone(), Arc::clone(&was_paused));
    let hook = move |operation: datalake_store::faults::Operation| {
        let is_paused = operation.number == request;
        let (other, paused) = (other.clone(), Arc::clone(&paused));
        async move {
            if is_paused {
                paused.store(true, Ordering::SeqCst);
                on_other_thread(move || async move { others(&other, who, pause).await }).await;
            }
        }
        .boxed()
    };
    let faulty = Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook);
    let lake = TestLake::with_faults(faulty, bucket);
    let options = RunOptions {
        jitter: || 0.0,
        ..options(RunMode::Incremental)
    };
    let report = run::run(&lake.lake, &options).await;
    assert_eq!(report.error, None, "request {request}, {who:?}, {pause}: {report:?}");
    was_paused.load(Ordering::SeqCst)
}

/// After one more run without disturbance, everything except last valid rows is as after a run in an empty lake.
async fn check(bucket: &MemoryBucket, moment: &str) {
    let lake = plain(bucket);
    bucket.advance_to(bucket.now() + SignedDuration::from_hours(2));
    lake.run().await;
    let rebuilt = MemoryBucket::new();
    for (key, bytes) in lake.objects(keys::SOURCES).await {
        plain(&rebuilt).put(key.strip_prefix(keys::SOURCES).unwrap(), bytes).await;
    }
    plain(&rebuilt).run().await;
    // The CSV of user 4 may be rejected; then the last valid row is kept.
    let without_4 = |text: String| text.lines().filter(|line| !line.starts_with("4,")).collect::<Vec<_>>().join("\n");
    let (output, expected) = (lake.output().await, plain(&rebuilt).output().await);
    assert_eq!(without_4(output.clone()), without_4(expected), "{moment}");
    let mut rows = lake.rows().await;
    rows.insert(0, "user_id,first_name,last_name,birthts,img_path".to_owned());
    assert_eq!(output.trim_end().lines().collect::<Vec<_>>(), rows, "{moment}");
    let linked: Vec<&String> = rows.iter().skip(1).filter(|row| !row.ends_with(',')).collect();
    let copies = lake.objects(COPIES).await;
    assert_eq!(copies.len(), linked.len(), "{moment}: {:?}, {linked:?}", copies.keys());
    for row in linked {
        let (id, key) = (row.split(',').next().unwrap(), row.rsplit(',').next().unwrap());
        let source = lake.bucket().get(&keys::source(&format!("{id}.png")), None, None).await.unwrap();
        assert_eq!(copies[key], source.bytes, "{moment}: {row}");
    }
    assert_eq!(lake.run().await.committed, Some(false), "{moment}");
}

async fn paused_at_each_request(etags: EtagInput, expiry: Expiry, who: Others, pause: SignedDuration) {
    let mut request = 0;
    loop {
        let bucket = edited(etags).await;
        bucket.set_expiry(expiry);
        let was_paused = paused_run(&bucket, request, who, pause).await;
        check(&bucket, &format!("request {request}, {who:?}, {pause}, {etags:?}, {expiry:?}")).await;
        if !was_paused {
            assert!(request > 30, "a run has more than 30 requests");
            return;
        }
        request += 1;
    }
}

#[rstest]
#[tokio::test]
async fn run_paused_at_any_request_leaves_a_consistent_lake(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
    #[values(Expiry::Timed, Expiry::Swept, Expiry::Never)] expiry: Expiry,
    #[values(Others::Restore, Others::Edit)] others: Others,
) {
    for hours in [0, 25, 10 * 24, 40 * 24] {
        let pause = SignedDuration::from_hours(hours) + SignedDuration::from_mins(6);
        paused_at_each_request(etags, expiry, others, pause).await;
    }
}
