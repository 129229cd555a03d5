//! Each derived object deleted or damaged, one at a time.

use std::{fs, path::Path, time::Duration};

use crate::deaths::{
    check::{History, check_content},
    lake::{IMAGES, INGEST, LAST_VACUUM, LOG, Lake, RUNS, SOURCES, TABLE},
    process::{Run, run},
    scenario::{Sources, edited, prepare, prepared},
    settings::sampled,
};

/// Cases in CI.
const SAMPLE_MAX: usize = 24;

/// Versions of the lake: enough for a checkpoint with entries before and after it.
const COMMITS: usize = 22;

/// More than the time between two vacuums.
const DAY: Duration = Duration::from_hours(25);

/// The damage of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Deleted,
    /// Only the first half of the bytes remains.
    Truncated,
    /// One bit of the byte in the middle is flipped.
    Flipped,
}

/// A lake in its last state, with an image and a rejected file of every kind.
fn processed() -> Lake {
    let lake = Lake::in_folder();
    prepare(&lake, &prepared());
    for number in 0..COMMITS {
        process(&lake, prepared().csv("busy", &format!("Busy{number}")));
    }
    process(&lake, &last());
    lake
}

/// Without rejected sources that have a last valid row, which damage may lose.
fn last() -> Sources {
    let mut sources = edited();
    sources.remove("rejected.csv").remove("damaged.csv").remove("damaged.png");
    sources
}

fn process(lake: &Lake, sources: &Sources) {
    lake.set_sources(&sources.0);
    let ended = run(lake, &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// The same lake in another folder. Files keep their inodes and times, which a run uses to detect changes.
fn linked(lake: &Lake) -> Lake {
    fn link(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            match path.is_dir() {
                true => link(&path, &target),
                // Not the lock, for which processes of both lakes would wait.
                false if path.ends_with(".datalake/lock") => {}
                false => fs::hard_link(&path, &target).unwrap(),
            }
        }
    }
    let copy = Lake::in_folder();
    link(lake.folder().unwrap(), copy.folder().unwrap());
    copy
}

fn damage(lake: &Lake, key: &str, damage: Damage) {
    let mut bytes = lake.read(key).unwrap();
    // As a new file, so that the linked lake does not change.
    lake.remove(key);
    let middle = bytes.len() / 2;
    match damage {
        Damage::Deleted => return,
        Damage::Truncated => bytes.truncate(middle),
        Damage::Flipped => bytes[middle] ^= 1,
    }
    lake.write(key, &bytes);
}

/// Whether the next run restores an object. False for a log that cannot be loaded; the error then names the remedy.
fn is_healed(lake: &Lake, key: &str, context: &str) -> bool {
    let ended = run(lake, &[]);
    match ended.status {
        Some(0) => true,
        Some(2) if key.starts_with(LOG) => {
            let named = key.rsplit('/').next().unwrap();
            let error = ended.report["error"].to_string();
            assert!(
                error.contains("datalake repair"),
                "{context}: the error does not name the remedy: {ended:?}"
            );
            assert!(
                error.contains(named) || error.contains("_delta_log"),
                "{context}: the error does not name the object: {ended:?}"
            );
            false
        }
        _ => panic!("{context}: the next run fails: {ended:?}"),
    }
}

/// Rebuilds the table with the command of the error message.
fn repair(lake: &Lake, context: &str) {
    let ended = Run::spawn(lake.command("repair", None).arg("--yes")).end();
    assert_eq!(ended.status, Some(0), "{context}: repair fails: {ended:?}");
}

/// True if the object was restored by a run, false if the table was rebuilt.
fn check_damaged(lake: &Lake, key: &str, how: Damage) -> bool {
    let context = format!("{key} {how:?}");
    damage(lake, key, how);
    if key.starts_with(IMAGES) {
        // Copies are compared once a day.
        lake.set_back(LAST_VACUUM, DAY);
    }
    let is_healed = is_healed(lake, key, &context);
    if !is_healed {
        repair(lake, &context);
    }
    if how == Damage::Flipped {
        // The bytes may still be a valid data file, whose rows a full run compares.
        let ended = run(lake, &["--full"]);
        assert_eq!(ended.status, Some(0), "{context}: a full run fails: {ended:?}");
    }
    check_content(lake, &History::default(), &context);
    for arguments in [&[][..], &["--full"]] {
        let ended = run(lake, arguments);
        assert_eq!(ended.status, Some(0), "{context}: {arguments:?}: {ended:?}");
        assert_eq!(
            ended.report["committed"], false,
            "{context}: {arguments:?} commits again: {ended:?}"
        );
    }
    check_content(lake, &History::default(), &context);
    is_healed
}

/// Damages each object under some prefixes in each way.
fn check_all(prefixes: &[&str], sample_max: usize) {
    let lake = processed();
    let keys: Vec<_> = prefixes.iter().flat_map(|prefix| lake.keys(prefix)).collect();
    let cases: Vec<_> = keys
        .iter()
        .flat_map(|key| [Damage::Deleted, Damage::Truncated, Damage::Flipped].map(|how| (key, how)))
        .collect();
    let chosen = sampled(cases.len(), sample_max);
    let mut rebuilt = 0;
    for &index in &chosen {
        let (key, how) = cases[index];
        rebuilt += usize::from(!check_damaged(&linked(&lake), key, how));
    }
    println!(
        "{prefixes:?}: {} of {} cases, {rebuilt} by datalake repair",
        chosen.len(),
        cases.len()
    );
}

#[test]
fn damaged_log_objects_are_tolerated_or_repaired_by_command() {
    check_all(&[LOG], SAMPLE_MAX);
}

#[test]
fn damaged_data_files_are_restored_by_the_next_run() {
    check_all(&[&format!("{TABLE}part-")], SAMPLE_MAX / 2);
}

#[test]
fn damaged_rejects_files_and_records_are_restored_by_the_next_run() {
    check_all(&[INGEST], SAMPLE_MAX / 2);
}

#[test]
fn damaged_output_file_is_restored_by_the_next_run() {
    check_all(&["processed_data/output.csv"], SAMPLE_MAX);
}

#[test]
fn damaged_image_copies_are_restored_by_the_vacuum() {
    check_all(&[IMAGES], SAMPLE_MAX / 4);
}

#[test]
fn damaged_reports_do_not_stop_runs() {
    check_all(&[RUNS], SAMPLE_MAX / 8);
}

#[test]
fn lake_without_derived_objects_is_rebuilt() {
    let lake = processed();
    for key in lake.keys("processed_data/") {
        lake.remove(&key);
    }
    assert!(!lake.keys(SOURCES).is_empty());
    let ended = run(&lake, &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    check_content(&lake, &History::default(), &"everything deleted");
}

#[test]
fn lost_metadata_of_objects_is_restored_by_runs_and_the_vacuum() {
    let lake = processed();
    let folder = lake.path(".datalake/metadata");
    assert!(fs::read_dir(&folder).unwrap().count() > 0, "objects have metadata");
    fs::remove_dir_all(folder).unwrap();
    lake.set_back(LAST_VACUUM, DAY);
    let ended = run(&lake, &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    check_content(&lake, &History::default(), &"metadata deleted");
    let ended = run(&lake, &[]);
    assert_eq!((ended.status, &ended.report["committed"]), (Some(0), &false.into()), "{ended:?}");
}
