//! A run that is killed or paused at each of its requests.

use std::collections::BTreeSet;

use crate::deaths::{
    check::{History, check_converges, has_failed},
    lake::{LOG, Lake},
    process::{Run, run},
    proxy::{Proxy, Recorded, Side},
    s3_client::S3Client,
    scenario::{Sources, edited, edited_again, prepare, prepared},
    settings::sampled,
};

/// Boundaries of each test in CI: each takes about two seconds.
const SAMPLE_MAX: usize = 6;

/// The requests of an undisturbed run over the edits.
fn recorded(client: &S3Client) -> Vec<Recorded> {
    let lake = Lake::on_s3(client);
    prepare(&lake, &edited());
    let proxy = Proxy::start(&client.server);
    let ended = Run::start(&lake, &[], Some(&proxy.address)).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    proxy.requests()
}

/// Asserts that the server has created no entry of the log twice.
fn check_creates(lake: &Lake, requests: &[Recorded], context: &str) {
    let mut created = BTreeSet::new();
    for request in requests {
        let entry = lake
            .key_of(&request.target)
            .and_then(|key| key.strip_prefix(LOG)?.strip_suffix(".json"));
        if let ("PUT", Some(entry), Some(200)) = (request.method.as_str(), entry, request.status) {
            assert!(created.insert(entry), "{context}: {entry} is created twice");
        }
    }
}

fn check_killed(side: Side) {
    let client = S3Client::from_environment();
    let requests = recorded(&client);
    let history = History::of(&[&prepared().0, &edited().0]);
    let (mut kills, boundaries) = (0, sampled(requests.len(), SAMPLE_MAX));
    for &index in &boundaries {
        let context = format!(
            "killed {side:?} request {index} ({} {})",
            requests[index].method, requests[index].target
        );
        let lake = Lake::on_s3(&client);
        prepare(&lake, &edited());
        let proxy = Proxy::at_boundary(&client.server, index, side);
        let mut disturbed = Run::start(&lake, &[], Some(&proxy.address));
        if proxy.wait_for_boundary(&mut disturbed) {
            disturbed.kill();
            kills += 1;
        }
        proxy.cut();
        disturbed.end();
        check_creates(&lake, &proxy.requests(), &context);
        check_converges(&lake, &history, &context);
    }
    println!("{side:?}: {} of {} boundaries, {kills} kills", boundaries.len(), requests.len());
    assert!(kills * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

/// Pauses a run at each boundary while others process these sources.
fn check_paused(side: Side, sources: &Sources) {
    let client = S3Client::from_environment();
    let requests = recorded(&client);
    let history = History::of(&[&prepared().0, &edited().0, &sources.0]);
    let (mut pauses, mut failures, boundaries) = (0, 0, sampled(requests.len(), SAMPLE_MAX));
    for &index in &boundaries {
        let context = format!(
            "paused {side:?} request {index} ({} {})",
            requests[index].method, requests[index].target
        );
        let lake = Lake::on_s3(&client);
        prepare(&lake, &edited());
        let proxy = Proxy::at_boundary(&client.server, index, side);
        let mut disturbed = Run::start(&lake, &[], Some(&proxy.address));
        if proxy.wait_for_boundary(&mut disturbed) {
            disturbed.pause();
            pauses += 1;
            lake.set_sources(&sources.0);
            let other = run(&lake, &[]);
            assert_eq!(other.status, Some(0), "{context}: {other:?}");
            disturbed.resume();
            proxy.open();
        }
        let ended = disturbed.end();
        failures += usize::from(has_failed(&ended, &context));
        check_creates(&lake, &proxy.requests(), &context);
        check_converges(&lake, &history, &context);
    }
    println!(
        "{side:?}: {} of {} boundaries, {pauses} pauses, {failures} runs failed afterwards",
        boundaries.len(),
        requests.len()
    );
    assert!(pauses * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

#[test]
fn next_run_completes_a_run_killed_before_a_request() {
    check_killed(Side::Before);
}

#[test]
fn next_run_completes_a_run_killed_after_a_request() {
    check_killed(Side::After);
}

#[test]
fn run_paused_before_a_request_does_not_overwrite_later_runs() {
    check_paused(Side::Before, &edited_again());
}

#[test]
fn run_paused_after_a_request_does_not_overwrite_later_runs() {
    check_paused(Side::After, &edited_again());
}

#[test]
fn run_paused_while_its_edits_are_undone_restores_nothing() {
    check_paused(Side::Before, &prepared());
}
