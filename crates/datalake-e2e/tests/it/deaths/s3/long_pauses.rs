//! A run on S3 that is paused for a day or a month, with moved clocks of the server and of the machine.

use std::time::Duration;

use jiff::SignedDuration;

use crate::deaths::{
    check::{History, check_converges, has_failed},
    lake::Lake,
    long_pauses::{DAY, FORTY_DAYS, TEN_DAYS, let_time_pass},
    process::Run,
    proxy::{Proxy, Side},
    s3_client::S3Client,
    scenario::{Sources, edited, edited_again, prepare, prepared},
    settings::sampled,
};

fn check_paused(pause: Duration, sources: &Sources, sample_max: usize) {
    let client = S3Client::from_environment();
    let boundary_proxy = |lake: &Lake, boundary| {
        let clock = lake.clock().expect("the lake has a clock");
        Proxy::with_clock(&client.server, boundary, &clock.server_clock)
    };
    let (lake, _) = Lake::with_clock(&client);
    prepare(&lake, &edited());
    let proxy = boundary_proxy(&lake, None);
    let ended = Run::start(&lake, &[], Some(&proxy.address)).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let requests = proxy.requests();

    let history = History::of(&[&prepared().0, &edited().0, &sources.0]);
    let boundaries = sampled(requests.len() * 2, sample_max);
    let (mut pauses, mut failures) = (0, 0);
    for &boundary in &boundaries {
        let (index, side) = (boundary / 2, if boundary % 2 == 0 { Side::Before } else { Side::After });
        let hours = pause.as_secs() / 3_600;
        let context = format!(
            "paused for {hours} h {side:?} request {index} ({} {})",
            requests[index].method, requests[index].target
        );
        let (lake, clock) = Lake::with_clock(&client);
        prepare(&lake, &edited());
        let proxy = boundary_proxy(&lake, Some((index, side)));
        let mut disturbed = Run::start(&lake, &[], Some(&proxy.address));
        if proxy.wait_for_boundary(&mut disturbed) {
            disturbed.pause();
            pauses += 1;
            let pass = || clock.advance(SignedDuration::try_from(pause).unwrap());
            let_time_pass(&lake, sources, pause, pass, &context);
            proxy.open_to_new_connections();
            disturbed.resume();
        }
        let ended = disturbed.end();
        failures += usize::from(has_failed(&ended, &context));
        check_converges(&lake, &history, &context);
    }
    println!(
        "{} h: {} of {} boundaries, {pauses} pauses, {failures} runs failed afterwards",
        pause.as_secs() / 3_600,
        boundaries.len(),
        requests.len() * 2
    );
    assert!(pauses * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

/// A server on the same machine is suspended with the run, and then continues with the request.
#[test]
fn request_that_arrives_a_day_late_is_repeated_or_fails_the_run() {
    let client = S3Client::from_environment();
    let (lake, clock) = Lake::with_clock(&client);
    prepare(&lake, &edited());
    let proxy = Proxy::with_clock(&client.server, Some((0, Side::Before)), &clock.server_clock);
    let mut disturbed = Run::start(&lake, &[], Some(&proxy.address));
    assert!(proxy.wait_for_boundary(&mut disturbed), "the run makes a request");
    disturbed.pause();
    clock.advance(SignedDuration::try_from(DAY).unwrap());
    disturbed.resume();
    proxy.open();
    has_failed(&disturbed.end(), &"a request arrives a day late");
    check_converges(&lake, &History::of(&[&prepared().0, &edited().0]), &"a request arrives a day late");
}

#[test]
fn run_paused_for_a_day_does_not_overwrite_later_runs() {
    check_paused(DAY, &edited_again(), 6);
}

#[test]
fn run_paused_for_a_day_while_its_edits_are_undone_restores_nothing() {
    check_paused(DAY, &prepared(), 6);
}

#[test]
fn run_paused_for_ten_days_does_not_overwrite_later_runs() {
    check_paused(TEN_DAYS, &edited_again(), 2);
}

#[test]
fn run_paused_for_forty_days_does_not_overwrite_later_runs() {
    check_paused(FORTY_DAYS, &edited_again(), 2);
}
