//! Properties of a lake after a disturbance and one undisturbed run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use serde_json::Value;

use super::{
    lake::{IMAGES, INGEST, LOG, Lake, NOTES, OUTPUT, Objects, RUNS, SOURCES},
    process::{Ended, run},
    s3_client::sha256_hex,
};

/// A run reconciles and removes the notes of other runs at this age.
const NOTE_AGE_MIN: Duration = Duration::from_hours(2);

/// The rows and images that users have had, which include every last valid row.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    rows: BTreeMap<String, BTreeSet<String>>,
    images: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Users with a row in a version that is known to be committed: a rejected source does not remove them.
    kept: BTreeSet<String>,
}

impl History {
    /// The history of a lake of which the first of these states was processed, and each other one may have been.
    pub(super) fn of(states: &[&Objects]) -> Self {
        let mut history = Self::default();
        for (number, sources) in states.iter().enumerate() {
            for (user_id, row) in rows(&rebuilt(sources)) {
                if let Some(image) = sources.get(&format!("{SOURCES}{user_id}.png")) {
                    history.images.entry(user_id.clone()).or_default().insert(image.clone());
                }
                if number == 0 {
                    history.kept.insert(user_id.clone());
                }
                history.rows.entry(user_id).or_default().insert(row);
            }
        }
        history
    }
}

/// Runs once without disturbance, and checks all guarantees of the contract.
pub(super) fn check_converges(lake: &Lake, history: &History, context: &dyn fmt::Display) {
    let ended = run(lake, &[]);
    assert_eq!(ended.status, Some(0), "{context}: the undisturbed run fails: {ended:?}");
    check_content(lake, history, context);
    check_log(lake, context);
    check_reports(lake, context);

    let before = unchanged_objects(lake);
    for arguments in [&[][..], &["--full"]] {
        let ended = run(lake, arguments);
        assert_eq!(ended.status, Some(0), "{context}: {arguments:?}: {ended:?}");
        assert_eq!(
            ended.report["committed"], false,
            "{context}: {arguments:?} commits without changes: {ended:?}"
        );
        let after = unchanged_objects(lake);
        let changed = |key: &&String| before.get(*key) != after.get(*key);
        let changed: BTreeSet<_> = before.keys().chain(after.keys()).filter(changed).collect();
        assert!(changed.is_empty(), "{context}: {arguments:?} writes without changes: {changed:?}");
    }
    check_orphans(lake, context);
}

/// Checks `output.csv` and the image copies against the sources.
pub(super) fn check_content(lake: &Lake, history: &History, context: &dyn fmt::Display) {
    let sources = lake.objects(SOURCES);
    let rebuilt = rebuilt(&sources);
    let output = String::from_utf8(lake.read(OUTPUT).unwrap_or_default()).unwrap();
    let (expected, actual) = (rows(&rebuilt), rows(&output));
    let mut lines: BTreeMap<_, _> = expected.clone();
    for (user_id, row) in &actual {
        let is_valid_now = expected.get(user_id) == Some(row);
        if !is_valid_now {
            // A source that is rejected keeps the last valid row.
            let was_valid = history.rows.get(user_id).is_some_and(|rows| rows.contains(row));
            let is_rejected = sources.keys().any(|key| is_source_of(key, user_id)) && has_rejected_source(&sources, user_id);
            assert!(
                was_valid && is_rejected,
                "{context}: the row {row:?} is not in the sources: expected {rebuilt}"
            );
            lines.insert(user_id.clone(), row.clone());
        }
    }
    for user_id in &history.kept {
        let has_csv = sources.contains_key(&format!("{SOURCES}{user_id}.csv"));
        assert!(
            !has_csv || actual.contains_key(user_id),
            "{context}: the row of {user_id} is lost: {output}"
        );
    }
    let header = rebuilt.lines().next().unwrap_or_default();
    let whole = lines.values().fold(format!("{header}\n"), |text, row| text + row + "\n");
    assert_eq!(output, whole, "{context}: output.csv differs from a rebuild");

    for (user_id, row) in &actual {
        let Some(key) = row.rsplit(',').next().filter(|key| !key.is_empty()) else {
            continue;
        };
        let copy = lake.read(key).unwrap_or_else(|| panic!("{context}: the copy {key} is missing"));
        let source = sources.get(&format!("{SOURCES}{user_id}.png"));
        let was_valid = has_rejected_source(&sources, user_id) && history.images.get(user_id).is_some_and(|images| images.contains(&copy));
        assert!(
            source == Some(&copy) || was_valid,
            "{context}: the copy {key} differs from its source"
        );
    }
}

/// Checks that each copy of the lake is linked, or named by a note that is not reconciled yet.
fn check_orphans(lake: &Lake, context: &dyn fmt::Display) {
    let found = orphans(lake);
    let notes: Vec<_> = lake
        .objects(NOTES)
        .into_values()
        .map(|note| String::from_utf8(note).unwrap())
        .collect();
    for user_id in &found {
        let is_noted = notes.iter().any(|note| note.contains(&format!("\"{user_id}\"")));
        assert!(
            is_noted,
            "{context}: the copy of {user_id} is neither linked by a row nor named by a note: {notes:?}, {:?}",
            lake.keys(INGEST)
        );
    }
    if lake.folder().is_none() || notes.is_empty() {
        return;
    }
    for note in lake.keys(NOTES) {
        lake.set_back(&note, NOTE_AGE_MIN);
    }
    // One run reconciles the notes, and another one may be needed to remove them.
    for _ in 0..2 {
        let ended = run(lake, &[]);
        assert_eq!(ended.status, Some(0), "{context}: {ended:?}");
    }
    assert_eq!(
        orphans(lake),
        BTreeSet::new(),
        "{context}: unlinked copies remain after the notes were reconciled"
    );
}

/// Users with an unlinked copy.
fn orphans(lake: &Lake) -> BTreeSet<String> {
    let output = String::from_utf8(lake.read(OUTPUT).unwrap_or_default()).unwrap();
    let linked: BTreeSet<_> = output.lines().filter_map(|row| row.rsplit(',').next()).collect();
    let copies = lake.keys(IMAGES).into_iter().filter(|key| !linked.contains(key.as_str()));
    copies.map(|key| key[IMAGES.len()..].trim_end_matches(".png").to_owned()).collect()
}

/// The log's entries by version.
pub(super) fn entries(lake: &Lake) -> BTreeMap<u64, Vec<u8>> {
    let number = |key: &str| key.strip_prefix(LOG)?.strip_suffix(".json")?.parse().ok();
    let keyed = lake
        .objects(LOG)
        .into_iter()
        .filter_map(|(key, bytes)| Some((number(&key)?, bytes)));
    keyed.collect()
}

/// The record of the product in an entry.
pub(super) fn own_record(entry: &[u8]) -> Value {
    let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let actions = lines.map(|line| serde_json::from_slice::<Value>(line).expect("an entry has one action per line"));
    let mut commits = actions.filter_map(|action| action.get("commitInfo").map(|commit| commit["datalake"].clone()));
    let commit = commits.next().expect("an entry describes its commit");
    assert!(commits.next().is_none(), "an entry describes one commit");
    commit
}

/// Checks that the log has no gap, and that each entry names its predecessor.
pub(super) fn check_log(lake: &Lake, context: &dyn fmt::Display) {
    let entries = entries(lake);
    let records: BTreeMap<_, _> = entries.iter().map(|(number, entry)| (*number, own_record(entry))).collect();
    // Older executables do not record this field.
    let is_recorded = records.values().any(|record| record.get("base").is_some_and(Value::is_string));
    let mut writers = BTreeSet::new();
    let mut previous: Option<u64> = None;
    for (number, record) in &records {
        if let Some(previous) = previous {
            assert_eq!(*number, previous + 1, "{context}: the log has a gap: {:?}", entries.keys());
            let digest = sha256_hex(&entries[&previous]);
            if is_recorded {
                assert_eq!(record["base"], digest, "{context}: entry {number} does not follow entry {previous}");
            }
        }
        if *number == 0 {
            assert!(record["base"].is_null(), "{context}: entry 0 has no predecessor: {record}");
        }
        assert!(
            writers.insert(record["writer_id"].as_str().map(ToOwned::to_owned)),
            "{context}: two entries of one writer: {record}"
        );
        previous = Some(*number);
    }
}

/// Checks that a run reports a commit if and only if the log has it.
pub(super) fn check_reports(lake: &Lake, context: &dyn fmt::Display) {
    let entries = entries(lake);
    let first = entries.keys().next().copied().unwrap_or(0);
    // A run commits again if the bytes of an image no longer exist.
    let mut committed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (number, entry) in &entries {
        let run_id = own_record(entry)["run_id"].as_str().unwrap().to_owned();
        committed.entry(run_id).or_default().push(*number);
    }
    for (key, report) in lake.objects(RUNS) {
        let report: Value = serde_json::from_slice(&report).unwrap_or_else(|error| panic!("{context}: {key}: {error}"));
        let found = committed.get(report["run_id"].as_str().unwrap());
        match report["committed"].as_bool() {
            // The outcome is unknown.
            None => {}
            Some(false) => assert_eq!(found, None, "{context}: a run denies its commit: {report}"),
            Some(true) => {
                // The version is the newest one that the run has seen, its own or a later one.
                let version = report["version"].as_u64().unwrap();
                let is_in_log = found.is_some_and(|found| found.iter().all(|own| *own <= version));
                assert!(is_in_log || version < first, "{context}: no entry is of {report}");
            }
        }
    }
}

/// The objects that a run without changes does not change.
fn unchanged_objects(lake: &Lake) -> Objects {
    let mut objects = lake.objects("processed_data/");
    objects.retain(|key, _| !key.starts_with(RUNS) && !key.starts_with(INGEST));
    objects
}

/// `output.csv` of an empty lake with these sources.
pub(super) fn rebuilt(sources: &Objects) -> String {
    static REBUILT: LazyLock<Mutex<BTreeMap<Objects, String>>> = LazyLock::new(Mutex::default);
    let known = REBUILT.lock().unwrap().get(sources).cloned();
    known.unwrap_or_else(|| {
        let lake = Lake::in_folder();
        lake.set_sources(sources);
        let ended = run(&lake, &[]);
        assert_eq!(ended.status, Some(0), "a rebuild fails: {ended:?}");
        let output = String::from_utf8(lake.read(OUTPUT).unwrap()).unwrap();
        REBUILT.lock().unwrap().insert(sources.clone(), output.clone());
        output
    })
}

/// Rows by user, in the order of `output.csv`.
pub(super) fn rows(output: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for row in output.lines().skip(1) {
        let user_id = row.split(',').next().unwrap().to_owned();
        let previous = rows.insert(user_id, row.to_owned());
        assert_eq!(previous, None, "a user has two rows: {output}");
    }
    rows
}

fn is_source_of(key: &str, user_id: &str) -> bool {
    key == format!("{SOURCES}{user_id}.csv") || key == format!("{SOURCES}{user_id}.png")
}

/// Whether a source of a user is rejected, so a rebuild does not contain it.
fn has_rejected_source(sources: &Objects, user_id: &str) -> bool {
    let rebuilt = rows(&rebuilt(sources));
    let row = rebuilt.get(user_id);
    let csv_is_rejected = sources.contains_key(&format!("{SOURCES}{user_id}.csv")) && row.is_none();
    let image_is_rejected = sources.contains_key(&format!("{SOURCES}{user_id}.png")) && row.is_none_or(|row| row.ends_with(','));
    csv_is_rejected || image_is_rejected
}

/// Asserts the exit status of a disturbed run that was not killed. Returns whether it failed, which is allowed if a retry may succeed.
pub(super) fn has_failed(ended: &Ended, context: &dyn fmt::Display) -> bool {
    assert!(
        matches!(ended.status, Some(0 | 1)),
        "{context}: a disturbed run ends with {ended:?}"
    );
    let has_failed = ended.status == Some(1);
    if has_failed {
        println!("{context}: the run failed: {}", ended.report["error"]);
    }
    has_failed
}
