//! A network that fails between a run and its server.

use std::{fmt::Debug, thread, time::Duration};

use fastrand::Rng;

use crate::deaths::{
    check::{History, check_converges},
    lake::{Lake, RUNS},
    process::{Ended, Run},
    proxy::{Fault, Proxy},
    s3_client::S3Client,
    scenario::{edited, prepare, prepared},
    settings::{rounds, sampled, seed},
};

/// Boundaries of each kind of fault in CI.
const SAMPLE_MAX: usize = 4;

/// The number of runs in parallel for requests without a response, each of which waits for the timeout of the client.
const BLACK_HOLES: usize = 3;

/// Processes the edits through a network with these faults, and checks the result. `statuses` are the allowed exit statuses.
fn check_faults(
    client: &S3Client,
    context: &str,
    statuses: &[i32],
    faults: impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static,
) -> (Ended, Vec<usize>) {
    let lake = Lake::on_s3(client);
    prepare(&lake, &edited());
    let injected = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = std::sync::Arc::clone(&injected);
    let proxy = Proxy::with_faults(&client.server, move |index, request| {
        let fault = faults(index, request.target());
        if fault.is_some() {
            record.lock().unwrap().push(index);
        }
        fault
    });
    let ended = Run::start(&lake, &[], Some(&proxy.address)).end();
    let is_allowed = ended.status.is_some_and(|status| statuses.contains(&status));
    assert!(is_allowed, "{context}: the run ends with {ended:?}");
    check_converges(&lake, &History::of(&[&prepared().0, &edited().0]), &context);
    let injected = injected.lock().unwrap().clone();
    (ended, injected)
}

/// The number of requests of an undisturbed run.
fn request_count(client: &S3Client) -> usize {
    let lake = Lake::on_s3(client);
    prepare(&lake, &edited());
    let proxy = Proxy::start(&client.server);
    let ended = Run::start(&lake, &[], Some(&proxy.address)).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    proxy.requests().len()
}

/// One fault per run, at each boundary: the request is repeated, and the run succeeds.
fn check_tolerated(fault: Fault) {
    let client = S3Client::from_environment();
    let count = request_count(&client);
    let mut injected = 0;
    let boundaries = sampled(count, SAMPLE_MAX);
    for &boundary in &boundaries {
        let context = format!("{fault:?} at request {boundary}");
        let (_, faults) = check_faults(&client, &context, &[0], move |index, _| (index == boundary).then_some(fault));
        injected += faults.len();
    }
    println!("{fault:?}: {} of {count} boundaries, {injected} faults", boundaries.len());
    assert!(injected * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

/// Runs cases in parallel, because each of them waits.
fn in_parallel<T: Copy + Debug + Send + Sync>(cases: &[T], check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| check(*case)))).collect();
        for (case, thread) in threads {
            assert!(thread.join().is_ok(), "the case {case:?} fails");
        }
    });
}

#[test]
fn connection_reset_before_a_request_is_tolerated() {
    check_tolerated(Fault::ResetBefore);
}

#[test]
fn connection_reset_after_a_request_is_tolerated() {
    check_tolerated(Fault::ResetAfter);
}

#[test]
fn truncated_response_is_tolerated() {
    check_tolerated(Fault::CutBody);
}

#[test]
fn latency_does_not_change_the_result() {
    let client = S3Client::from_environment();
    let seeds: Vec<u64> = (seed()..seed() + 4).collect();
    in_parallel(&seeds, |seed| {
        let context = format!("latency of seed {seed}");
        let latency = move |index: usize, _: &str| {
            let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003) + u64::try_from(index).unwrap());
            Some(Fault::Latency(Duration::from_millis(rng.u64(50..=500))))
        };
        let (_, injected) = check_faults(&client, &context, &[0], latency);
        println!("{context}: {} requests", injected.len());
    });
}

#[test]
fn random_faults_fail_at_most_the_run() {
    let client = S3Client::from_environment();
    let rounds = rounds().div_ceil(4);
    let (mut failures, mut faults) = (0, 0);
    for seed in seed()..seed() + rounds {
        let context = format!("random faults of seed {seed}");
        let random = move |index: usize, _: &str| {
            let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003) + u64::try_from(index).unwrap());
            match rng.u8(..20) {
                0 => Some(Fault::ResetBefore),
                1 => Some(Fault::ResetAfter),
                2 => Some(Fault::CutBody),
                3 => Some(Fault::Latency(Duration::from_millis(rng.u64(50..=200)))),
                _ => None,
            }
        };
        let (ended, injected) = check_faults(&client, &context, &[0, 1], random);
        failures += usize::from(ended.status == Some(1));
        faults += injected.len();
    }
    println!("{rounds} rounds, {faults} faults, {failures} runs failed");
}

#[test]
fn request_without_a_response_is_repeated() {
    let client = S3Client::from_environment();
    let count = request_count(&client);
    let boundaries = sampled(count, BLACK_HOLES);
    in_parallel(&boundaries, |boundary| {
        let context = format!("no response to request {boundary}");
        check_faults(&client, &context, &[0], move |index, _| {
            (index == boundary).then_some(Fault::BlackHole)
        });
    });
    println!("{} of {count} boundaries without a response", boundaries.len());
}

#[test]
fn unresponsive_server_fails_the_run() {
    let client = S3Client::from_environment();
    let count = request_count(&client);
    let boundaries = sampled(count, BLACK_HOLES);
    in_parallel(&boundaries, |boundary| {
        let context = format!("no responses from request {boundary} on");
        // Only the report gets a response, because a run waits for a minute for each operation that fails.
        let is_silent = move |index, target: &str| index >= boundary && !target.contains(RUNS);
        let faults = move |index, target: &str| is_silent(index, target).then_some(Fault::BlackHole);
        let (ended, injected) = check_faults(&client, &context, &[0, 1], faults);
        // The vacuum is the last step. If it fails, the run has succeeded, and the next run repeats the vacuum.
        let may_succeed = injected.is_empty() || ended.log.contains("vacuum failed");
        assert!(may_succeed || ended.status == Some(1), "{context}: {ended:?}");
    });
    println!("from {} of {count} boundaries on without responses", boundaries.len());
}
