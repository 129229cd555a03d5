//! A run that is killed or paused at each of its system calls.

use crate::deaths::{
    check::{History, check_converges, has_failed},
    lake::Lake,
    process::{Run, wait_until},
    scenario::{Sources, edited, edited_again, prepare, prepared},
    settings::sampled,
    tracer::{Call, Calls, Traced},
};

/// Boundaries of each test in CI: each takes about two seconds.
const SAMPLE_MAX: usize = 12;

/// The system calls of an undisturbed run over the edits.
fn recorded(calls: Calls) -> Vec<Call> {
    let lake = Lake::in_folder();
    prepare(&lake, &edited());
    let (ended, calls) = Traced::start(&lake, calls).run_to_end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    calls
}

#[test]
fn next_run_completes_a_run_killed_before_a_system_call() {
    let calls = recorded(Calls::Writes);
    let history = History::of(&[&prepared().0, &edited().0]);
    let (mut kills, boundaries) = (0, sampled(calls.len(), SAMPLE_MAX));
    for &index in &boundaries {
        let context = format!("killed before call {index} ({:?})", calls[index]);
        let lake = Lake::in_folder();
        prepare(&lake, &edited());
        let mut disturbed = Traced::start(&lake, Calls::Writes);
        if disturbed.run_to(index) {
            disturbed.kill();
            kills += 1;
        } else {
            disturbed.run_to_end();
        }
        check_converges(&lake, &history, &context);
    }
    println!("{} of {} boundaries, {kills} kills", boundaries.len(), calls.len());
    assert!(kills * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

/// Pauses a run at each boundary while another one processes these sources.
fn check_paused(sources: &Sources) {
    let calls = recorded(Calls::All);
    let history = History::of(&[&prepared().0, &edited().0, &sources.0]);
    let (mut pauses, mut failures, mut waits, boundaries) = (0, 0, 0, sampled(calls.len(), SAMPLE_MAX));
    for &index in &boundaries {
        let context = format!("paused before call {index} ({:?})", calls[index]);
        let lake = Lake::in_folder();
        prepare(&lake, &edited());
        let mut disturbed = Traced::start(&lake, Calls::All);
        let mut other = None;
        if disturbed.run_to(index) {
            pauses += 1;
            lake.set_sources(&sources.0);
            let mut run = Run::start(&lake, &[], None);
            // A run that is paused with the lock makes others wait until it continues.
            if disturbed.has_lock() {
                waits += 1;
            } else {
                wait_until("the other run ends", || run.has_ended());
            }
            other = Some(run);
        }
        let (ended, _) = disturbed.run_to_end();
        failures += usize::from(has_failed(&ended, &context));
        if let Some(other) = other {
            let other = other.end();
            assert_eq!(other.status, Some(0), "{context}: {other:?}");
        }
        check_converges(&lake, &history, &context);
    }
    println!(
        "{} of {} boundaries, {pauses} pauses, {waits} waits for a lock, {failures} runs failed afterwards",
        boundaries.len(),
        calls.len()
    );
    assert!(pauses * 10 >= boundaries.len() * 9, "nearly all boundaries are reached");
}

#[test]
fn run_paused_before_a_system_call_does_not_overwrite_later_runs() {
    check_paused(&edited_again());
}

#[test]
fn run_paused_while_its_edits_are_undone_restores_nothing() {
    check_paused(&prepared());
}
