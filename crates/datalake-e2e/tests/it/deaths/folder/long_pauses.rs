//! A run in a folder that is paused for a day or a month: all files become older by the time of the pause.

use std::time::Duration;

use crate::deaths::{
    check::{History, check_converges, has_failed},
    lake::Lake,
    long_pauses::{DAY, FORTY_DAYS, TEN_DAYS, let_time_pass},
    scenario::{Sources, edited, edited_again, prepare, prepared},
    settings::sampled,
    tracer::{Calls, Traced},
};

fn check_paused(pause: Duration, meanwhile: &Sources, sample_max: usize) {
    let lake = Lake::in_folder();
    prepare(&lake, &edited());
    let (ended, calls) = Traced::start(&lake, Calls::All).run_to_end();
    assert_eq!(ended.status, Some(0), "{ended:?}");

    let history = History::of(&[&prepared().0, &edited().0, &meanwhile.0]);
    let boundaries = sampled(calls.len(), sample_max);
    let (mut pauses, mut failures, mut locked) = (0, 0, 0);
    for &index in &boundaries {
        let hours = pause.as_secs() / 3_600;
        let context = format!("paused for {hours} h before call {index} ({:?})", calls[index]);
        let lake = Lake::in_folder();
        prepare(&lake, &edited());
        let mut disturbed = Traced::start(&lake, Calls::All);
        if disturbed.run_to(index) {
            // While a run has the lock, others can commit nothing.
            if disturbed.has_lock() {
                locked += 1;
                lake.set_sources(&meanwhile.0);
                lake.set_all_back(pause);
            } else {
                pauses += 1;
                let_time_pass(&lake, meanwhile, pause, || lake.set_all_back(pause), &context);
            }
        }
        let (ended, _) = disturbed.run_to_end();
        failures += usize::from(has_failed(&ended, &context));
        check_converges(&lake, &history, &context);
    }
    println!(
        "{} h: {} of {} boundaries, {pauses} pauses, {locked} with the lock, {failures} runs failed afterwards",
        pause.as_secs() / 3_600,
        boundaries.len(),
        calls.len()
    );
    assert!((pauses + locked) * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

#[test]
fn a_run_paused_for_a_day_overwrites_no_later_run() {
    check_paused(DAY, &edited_again(), 10);
}

#[test]
fn a_run_paused_for_a_day_while_its_edits_are_undone_brings_nothing_back() {
    check_paused(DAY, &prepared(), 10);
}

#[test]
fn a_run_paused_for_ten_days_overwrites_no_later_run() {
    check_paused(TEN_DAYS, &edited_again(), 2);
}

#[test]
fn a_run_paused_for_forty_days_overwrites_no_later_run() {
    check_paused(FORTY_DAYS, &edited_again(), 2);
}
