//! A run in a folder that is paused for a day or a month: the times of all files are set back.

use std::time::Duration;

use crate::deaths::{
    check::{History, check_converges, has_failed},
    lake::Lake,
    long_pauses::{DAY, FORTY_DAYS, TEN_DAYS, let_time_pass},
    scenario::{Sources, edited, edited_again, prepare, prepared},
    settings::sampled,
    tracer::{Calls, Traced},
};

fn check_paused(pause: Duration, sources: &Sources, sample_max: usize) {
    let lake = Lake::in_folder();
    prepare(&lake, &edited());
    let (ended, calls) = Traced::start(&lake, Calls::All).run_to_end();
    assert_eq!(ended.status, Some(0), "{ended:?}");

    let history = History::of(&[&prepared().0, &edited().0, &sources.0]);
    let boundaries = sampled(calls.len(), sample_max);
    let (mut pauses, mut failures, mut locked) = (0, 0, 0);
    for &index in &boundaries {
        let hours = pause.as_secs() / 3_600;
        let context = format!("paused for {hours} h before call {index} ({:?})", calls[index]);
        let lake = Lake::in_folder();
        prepare(&lake, &edited());
        let mut disturbed = Traced::start(&lake, Calls::All);
        if disturbed.run_to(index) {
            // Other runs cannot commit while a run has the lock.
            if disturbed.has_lock() {
                locked += 1;
                lake.set_sources(&sources.0);
                lake.set_all_back(pause);
            } else {
                pauses += 1;
                let_time_pass(&lake, sources, pause, || lake.set_all_back(pause), &context);
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
fn run_paused_for_a_day_does_not_overwrite_later_runs() {
    check_paused(DAY, &edited_again(), 10);
}

#[test]
fn run_paused_for_a_day_while_its_edits_are_undone_restores_nothing() {
    check_paused(DAY, &prepared(), 10);
}

#[test]
fn run_paused_for_ten_days_does_not_overwrite_later_runs() {
    check_paused(TEN_DAYS, &edited_again(), 2);
}

#[test]
fn run_paused_for_forty_days_does_not_overwrite_later_runs() {
    check_paused(FORTY_DAYS, &edited_again(), 2);
}
